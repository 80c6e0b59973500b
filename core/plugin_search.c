/* plugin_search.c: where plugins are found, in this order:
 *   1. Drift's own folder                                  one that cannot be loaded is an error
 *   2. DRIFT_PLUGINS, FOLDER[:FOLDER...] or files          the same: the user asked for them. FILE.lua, components written
 *                                                          in Lua, is run when there is a Lua state: lua/drift/start.lua
 *   3. beside the script: its folder, and plugins/ in it   a note; whoever asks for its component is told why it is missing
 *   4. $XDG_DATA_HOME/drift/plugins (~/.local/share/...)   the same
 * In a folder of 2 to 4 these are plugins: *.so, and NAME/NAME.so, as `drift new` leaves them. A file that is reached twice
 * is loaded once. In 3 and 4 a plugin of the id of one that was found before is left out, with a note unless it is a copy:
 * so one may go on with a plugin that is installed. One component from plugins of different ids is an error, which names both files. */
#define _GNU_SOURCE /* memmem */
#include "registry.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_MOST = 4096 };

typedef struct found { /* a plugin file that the search has come to */
    const char *origin;  /* of static lifetime */
    char *path, *why;    /* why: NULL where it was loaded */
} found;

static found *files;
static int64_t count;

typedef struct place {
    const char *origin, *folder;
    bool asked_for; /* by the user or by Drift: what cannot be loaded is an error */
    bool trusted;   /* false: only files of the user's, of root's and of the script's owner */
    uid_t owner;    /* the script's */
} place;

static dr_status note_file(const place *p, const char *path, const char *why)
{
    found *grown = realloc(files, (size_t)(count + 1) * sizeof *grown);
    if (!grown) return dr_fail(DR_ENOMEM, "out of memory searching for plugins");
    files = grown;
    files[count] = (found){ p->origin, strdup(path), why ? strdup(why) : NULL };
    if (!files[count].path || (why && !files[count].why)) return dr_fail(DR_ENOMEM, "out of memory searching for plugins");
    count++;
    return DR_OK;
}

/* ---- what is known of a file without loading it ----------------------------------------------------------------- */

/* A file in memory, or NULL; munmap ends it. */
static const unsigned char *map_file(const char *path, size_t *bytes)
{
    struct stat s;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return NULL;
    void *map = fstat(file, &s) == 0 && S_ISREG(s.st_mode) && s.st_size > 0
                    ? mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
    close(file);
    *bytes = map == MAP_FAILED ? 0 : (size_t)s.st_size;
    return map == MAP_FAILED ? NULL : map;
}

static bool contains(const char *path, const char *text, size_t n)
{
    size_t bytes;
    const unsigned char *map = map_file(path, &bytes);
    const bool there = map && memmem(map, bytes, text, n) != NULL;
    if (map) munmap((void *)(uintptr_t)map, bytes);
    return there;
}

static bool is_loaded(const struct stat *file)
{
    struct stat other;
    for (int64_t i = 0; i < dr_plugin_count(); i++) {
        const char *path = dr_plugin_at(i)->path;
        if (path[0] && stat(path, &other) == 0 && other.st_dev == file->st_dev && other.st_ino == file->st_ino) return true;
    }
    return false;
}

/* A copy of it, as `make install` leaves one. */
static bool same_content(const char *a, const char *b)
{
    size_t bytes_a, bytes_b;
    const unsigned char *map_a = map_file(a, &bytes_a), *map_b = map_file(b, &bytes_b);
    const bool same = map_a && map_b && bytes_a == bytes_b && memcmp(map_a, map_b, bytes_a) == 0;
    if (map_a) munmap((void *)(uintptr_t)map_a, bytes_a);
    if (map_b) munmap((void *)(uintptr_t)map_b, bytes_b);
    return same;
}

/* ---- one file ------------------------------------------------------------------------------------------------------ */

/* The loaded plugin that has a component of the file's, and its id; NULL: none. Its table is known to be sound. */
static const dr_plugin_info *rival_of(const char *path, bool *same_id)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const dr_plugin *p = library ? dlsym(library, DR_PLUGIN_SYMBOL) : NULL;
    const dr_plugin_info *rival = NULL;
    for (int64_t i = 0; p && !rival && i < dr_component_count(); i++) {
        const dr_component *there = dr_component_at(i);
        for (const dr_component *const *c = p->components_begin; c < p->components_end && !rival; c++) {
            if (strcmp((*c)->kind, there->kind) == 0 && strcmp((*c)->name, there->name) == 0) rival = dr_component_plugin(there);
        }
    }
    *same_id = rival && strcmp(rival->id, p->id) == 0;
    if (library) dlclose(library);
    return rival;
}

/* The load failed, and nobody has asked for this file: a note, unless it is one of two files of one component. */
static dr_status leave_out(const place *p, const char *path, dr_status status)
{
    char why[2048];
    snprintf(why, sizeof why, "%s", dr_error_message());
    dr_error_clear();
    bool same_id = false;
    const dr_plugin_info *rival = status == DR_EINVAL ? rival_of(path, &same_id) : NULL;
    if (rival && !same_id) return dr_fail(status, "%s", why);
    if (rival) {
        snprintf(why, sizeof why, "%s is the same plugin, %s, and was found before it", rival->path, rival->id);
    }
    const size_t n = strlen(path);
    const char *reason = why;
    if (strncmp(why, "plugin ", 7) == 0 && strncmp(why + 7, path, n) == 0 && why[7 + n] == ':') reason += 7 + n + 2;
    if (!rival || !same_content(path, rival->path)) dr_note("plugin %s (%s) is left out: %s", path, p->origin, reason);
    return note_file(p, path, reason);
}

static dr_status load_file(const place *p, const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0) return p->asked_for ? dr_elf_check(path) : DR_OK; /* which says why not */
    if (is_loaded(&s)) return DR_OK;
    if (!p->trusted) {
        if (!contains(path, DR_PLUGIN_SYMBOL, strlen(DR_PLUGIN_SYMBOL))) return DR_OK; /* a library of another kind */
        if (s.st_uid != geteuid() && s.st_uid != 0 && s.st_uid != p->owner) {
            dr_fail(DR_EUNSUPPORTED, "plugin %s: it belongs to another user; if it is to be loaded, name it in DRIFT_PLUGINS", path);
            return leave_out(p, path, DR_EUNSUPPORTED);
        }
    }
    const dr_status status = dr_plugin_load(path);
    if (status == DR_OK) return note_file(p, path, NULL);
    return p->asked_for ? status : leave_out(p, path, status);
}

/* ---- folders --------------------------------------------------------------------------------------------------------- */

static int is_visible(const struct dirent *e) { return e->d_name[0] != '.'; }

/* FOLDER/NAME.so itself, or FOLDER/NAME/NAME.so; "" where it is neither. */
static void plugin_in(const char *folder, const char *name, char path[PATH_MOST])
{
    const size_t n = strlen(name);
    const bool library = n > 3 && strcmp(name + n - 3, ".so") == 0;
    const int length = library ? snprintf(path, PATH_MOST, "%s/%s", folder, name)
                               : snprintf(path, PATH_MOST, "%s/%s/%s.so", folder, name, name);
    if (length >= PATH_MOST || (!library && access(path, F_OK) != 0)) path[0] = '\0';
}

static dr_status load_folder(const place *p)
{
    struct dirent **entries;
    const int n = scandir(p->folder, &entries, is_visible, alphasort);
    if (n < 0) return p->asked_for ? dr_fail(DR_EIO, "plugin folder %s cannot be read: %s", p->folder, strerror(errno)) : DR_OK;
    for (int i = 0; i < n; i++) {
        char path[PATH_MOST];
        plugin_in(p->folder, entries[i]->d_name, path);
        if (path[0] && !dr_failed()) load_file(p, path);
        free(entries[i]);
    }
    free(entries);
    return dr_failed();
}

static dr_status load_environment(const char *list)
{
    char *copy = strdup(list), *rest = copy;
    if (!copy) return dr_fail(DR_ENOMEM, "out of memory searching for plugins");
    for (char *each = strsep(&rest, ":"); each && !dr_failed(); each = strsep(&rest, ":")) {
        const place p = { .origin = "DRIFT_PLUGINS", .folder = each, .asked_for = true, .trusted = true };
        const size_t n = strlen(each);
        if (n == 0 || (n > 4 && strcmp(each + n - 4, ".lua") == 0)) continue; /* start.lua runs those */
        if (n > 3 && strcmp(each + n - 3, ".so") == 0) {
            load_file(&p, each);
        } else {
            load_folder(&p);
        }
    }
    free(copy);
    return dr_failed();
}

static dr_status load_beside(const char *script)
{
    char folder[PATH_MOST], inner[PATH_MOST + 16];
    struct stat s;
    const char *slash = script ? strrchr(script, '/') : NULL;
    const int length = slash ? (int)(slash - script) : 1;
    snprintf(folder, sizeof folder, "%.*s", length > 0 ? length : 1, slash ? script : ".");
    snprintf(inner, sizeof inner, "%s/plugins", folder);
    place p = { .origin = script ? "beside the script" : "in this folder", .folder = folder };
    p.owner = script && stat(script, &s) == 0 ? s.st_uid : geteuid();
    if (load_folder(&p) != DR_OK) return dr_failed();
    p.folder = inner;
    return load_folder(&p);
}

const char *dr_user_plugin_dir(void)
{
    static char path[PATH_MOST];
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    path[0] = '\0';
    if (xdg && xdg[0] == '/') {
        snprintf(path, sizeof path, "%s/drift/plugins", xdg);
    } else if (home && *home) {
        snprintf(path, sizeof path, "%s/.local/share/drift/plugins", home);
    }
    return path;
}

dr_status dr_plugins_load_around(const char *script)
{
    const place user = { .origin = "the user's plugins", .folder = dr_user_plugin_dir(), .trusted = true };
    if (dr_failed() || load_beside(script) != DR_OK) return dr_failed();
    return user.folder[0] ? load_folder(&user) : DR_OK;
}

dr_status dr_plugins_find(const char *own, const char *script)
{
    const char *list = getenv("DRIFT_PLUGINS");
    if (dr_registry_open() != DR_OK || dr_plugins_load(own) != DR_OK) return dr_failed();
    if (list && load_environment(list) != DR_OK) return dr_failed();
    return dr_plugins_load_around(script);
}

/* ---- what has become of them ------------------------------------------------------------------------------------------ */

int64_t dr_plugins_left_out(void)
{
    int64_t n = 0;
    for (int64_t i = 0; i < count; i++) n += files[i].why != NULL;
    return n;
}

const char *dr_plugin_left_out(int64_t i, const char **why)
{
    for (int64_t k = 0; k < count; k++) {
        if (!files[k].why || i-- > 0) continue;
        *why = files[k].why;
        return files[k].path;
    }
    return NULL;
}

const char *dr_plugin_origin(const char *path)
{
    for (int64_t i = 0; i < count; i++) {
        if (!files[i].why && strcmp(files[i].path, path) == 0) return files[i].origin;
    }
    return "";
}

const char *dr_plugin_missing(const char *name, const char **why)
{
    char text[256];
    const size_t n = strlen(name);
    if (n + 2 > sizeof text) return NULL;
    text[0] = '\0';
    memcpy(text + 1, name, n + 1); /* a string of its own in the file: between two zeros */
    for (int64_t i = 0; i < count; i++) {
        if (!files[i].why || !contains(files[i].path, text, n + 2)) continue;
        *why = files[i].why;
        return files[i].path;
    }
    return NULL;
}
