/* plugin.c: shared objects. The exported table is read, and its ABI checked, before any code of the plugin runs (a
 * library's own constructors apart); then load() receives the host's functions; then its components are checked and
 * registered. A plugin that is refused leaves nothing behind. */
#include "registry.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static dr_library **plugins;
static int64_t count;

static dr_status add_components(const dr_plugin_info *info)
{
    for (const dr_component *const *c = info->plugin->components_begin; c < info->plugin->components_end; c++) {
        if (dr_registry_add(*c, info) != DR_OK) return dr_failed();
    }
    return DR_OK;
}

static dr_status remember(dr_library *l)
{
    dr_library **grown = realloc(plugins, (size_t)(count + 1) * sizeof *grown);
    if (!grown) return dr_fail(DR_ENOMEM, "out of memory loading plugin %s", l->path);
    plugins = grown;
    plugins[count++] = l;
    return DR_OK;
}

static void set_info(dr_library *l, const dr_plugin *p)
{
    l->info = (dr_plugin_info){ .id = p->id, .version = p->version, .doc = p->doc ? p->doc : "", .path = l->path, .plugin = p };
}

static dr_status refused(const dr_library *l, dr_status status)
{
    char why[2048];
    if (!dr_failed()) return dr_fail(DR_EABI, "plugin %s: it refused to load and did not say why (load returned %d)", l->path, (int)status);
    snprintf(why, sizeof why, "%s", dr_error_message());
    status = dr_failed();
    dr_error_clear();
    return dr_fail(status, "plugin %s: it refused to load: %s", l->path, why);
}

dr_status dr_library_start(dr_library *l)
{
    const dr_plugin *p = l->info.plugin;
    const dr_status status = p->load(&dr_host_functions);
    if (status != DR_OK || dr_failed()) return refused(l, status);
    l->started = true;
    if (add_components(&l->info) == DR_OK) return DR_OK;
    dr_registry_remove_plugin(&l->info);
    return dr_failed();
}

static dr_library *library_new(const char *path)
{
    dr_library *l = calloc(1, sizeof *l + strlen(path) + 1);
    if (l) {
        strcpy(l->path, path);
    } else {
        dr_fail(DR_ENOMEM, "out of memory loading plugin %s", path);
    }
    return l;
}

void dr_library_close(dr_library *l)
{
    if (!l) return;
    if (l->started && l->info.plugin->unload) l->info.plugin->unload();
    if (l->handle) dlclose(l->handle);
    free(l->file);
    free(l);
}

/* A name without a folder is this folder's, as for every other file: dlopen would search the system's. */
static char *here(const char *file)
{
    const size_t n = strlen(file) + 3;
    char *path = malloc(n);
    if (path) {
        snprintf(path, n, "%s%s", strchr(file, '/') ? "" : "./", file);
    } else {
        dr_fail(DR_ENOMEM, "out of memory loading plugin %s", file);
    }
    return path;
}

/* What the dynamic linker says, without the path that it begins with, and what to do about it. */
static dr_status fail_to_link(const char *path, const char *file)
{
    const char *why = dlerror(), *advice = "";
    const size_t n = strlen(file);
    if (!why) why = "the dynamic linker cannot open it";
    if (strncmp(why, file, n) == 0 && strncmp(why + n, ": ", 2) == 0) why += n + 2;
    if (strstr(why, "undefined symbol")) advice = "; link the library that has it (-l..., after the sources), or define it";
    if (strstr(why, "cannot open shared object")) advice = "; install that library, or link with -Wl,-rpath,FOLDER";
    return dr_fail(DR_EIO, "plugin %s: %s%s", path, why, advice);
}

dr_library *dr_library_open(const char *file, const char *path)
{
    dr_library *l = dr_failed() ? NULL : library_new(path);
    if (!l) return NULL;
    l->file = here(file);
    if (l->file && dr_elf_check(l->file) == DR_OK) l->handle = dlopen(l->file, RTLD_NOW | RTLD_LOCAL);
    const dr_plugin *p = l->handle ? dlsym(l->handle, DR_PLUGIN_SYMBOL) : NULL;
    if (dr_failed()) {
        dr_library_close(l);
        return NULL;
    }
    if (!l->handle) {
        fail_to_link(path, l->file);
    } else if (!p) {
        dr_fail(DR_EABI, "plugin %s: no symbol %s; is it a Drift plugin, with DR_PLUGIN(...) in one file?", path, DR_PLUGIN_SYMBOL);
    } else if (dr_plugin_check(p, path) == DR_OK) {
        set_info(l, p);
        return l;
    }
    dr_library_close(l);
    return NULL;
}

/* Before any of its code runs. One id twice is most often one plugin in two places. */
static dr_status check_id(const dr_library *l)
{
    for (int64_t i = 0; i < count; i++) {
        const dr_library *other = plugins[i];
        if (strcmp(other->info.id, l->info.id) != 0 || (i > 0 && !other->handle)) continue; /* 0: the core; others are Lua's */
        if (!other->handle) return dr_fail(DR_EINVAL, "plugin %s: its id %s is that of the program itself; give it another one", l->path, l->info.id);
        return dr_fail(DR_EINVAL, "plugin %s: its id %s is that of plugin %s, which is loaded; take one of the two away, or give it another "
                       "id", l->path, l->info.id, other->path);
    }
    return DR_OK;
}

dr_status dr_plugin_load(const char *path)
{
    dr_library *l = dr_library_open(path, path);
    if (l && check_id(l) == DR_OK && dr_library_start(l) == DR_OK && remember(l) == DR_OK) return DR_OK;
    if (l) dr_registry_remove_plugin(&l->info);
    dr_library_close(l);
    return dr_failed();
}

dr_library *dr_library_at(int64_t i) { return i >= 0 && i < count ? plugins[i] : NULL; }

dr_library *dr_library_exchange(int64_t i, dr_library *by)
{
    dr_library *before = plugins[i];
    plugins[i] = by;
    return before;
}

bool dr_plugin_has(const dr_plugin *p, const dr_component *c)
{
    for (const dr_component *const *each = p->components_begin; each < p->components_end; each++) {
        if (*each == c) return true;
    }
    return false;
}

dr_kernel dr_plugin_kernel(const char *backend, const char *op, dr_dtype dtype)
{
    for (int64_t i = 0; i < count; i++) {
        const dr_plugin *p = plugins[i]->info.plugin;
        for (const dr_brought_kernel *const *k = p->kernels_begin; k < p->kernels_end; k++) {
            if ((*k)->dtype == (int32_t)dtype && strcmp((*k)->op, op) == 0 && strcmp((*k)->backend, backend) == 0) return (*k)->fn;
        }
    }
    return NULL;
}

static int is_plugin(const struct dirent *e)
{
    const size_t n = strlen(e->d_name);
    return n > 3 && strcmp(e->d_name + n - 3, ".so") == 0;
}

dr_status dr_plugins_load(const char *folder)
{
    struct dirent **entries;
    const int n = scandir(folder, &entries, is_plugin, alphasort);
    if (n < 0) return dr_fail(DR_EIO, "plugin folder %s cannot be read: %s", folder, strerror(errno));
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (!dr_failed()) dr_plugin_load(path);
        free(entries[i]);
    }
    free(entries);
    return dr_failed();
}

const dr_plugin_info *dr_plugin_define(const dr_plugin *p, const char *path)
{
    dr_library *l = dr_failed() ? NULL : library_new(path);
    if (!l) return NULL;
    set_info(l, p);
    if (remember(l) == DR_OK) return &l->info;
    free(l);
    return NULL;
}

void dr_plugin_undefine(const dr_plugin_info *plugin)
{
    for (int64_t i = 0; i < count; i++) {
        if (&plugins[i]->info != plugin || plugins[i]->handle) continue;
        dr_registry_remove_plugin(plugin);
        free(plugins[i]);
        memmove(plugins + i, plugins + i + 1, (size_t)(count - i - 1) * sizeof *plugins);
        count--;
        return;
    }
}

int64_t dr_plugin_count(void) { return count; }
const dr_plugin_info *dr_plugin_at(int64_t i) { return i >= 0 && i < count ? &plugins[i]->info : NULL; }

dr_status dr_plugin_sha256(int64_t i, char hex[65])
{
    const dr_plugin_info *p = dr_plugin_at(i);
    hex[0] = '\0';
    return p && p->path[0] ? dr_sha256_file(p->path, hex) : DR_OK;
}

int64_t dr_export_count(void)
{
    int64_t n = 0;
    for (int64_t i = 0; i < count; i++) n += plugins[i]->info.plugin->exports_end - plugins[i]->info.plugin->exports_begin;
    return n;
}

const dr_export *dr_export_at(int64_t i)
{
    for (int64_t k = 0; k < count; k++) {
        const dr_plugin *p = plugins[k]->info.plugin;
        const int64_t n = p->exports_end - p->exports_begin;
        if (i < n) return p->exports_begin[i];
        i -= n;
    }
    return NULL;
}

const dr_export *dr_export_find(const char *name)
{
    for (int64_t i = 0; i < dr_export_count(); i++) {
        const dr_export *e = dr_export_at(i);
        if (strcmp(e->name, name) == 0) return e;
    }
    dr_fail(DR_ENOTFOUND, "no plugin exports a function '%s'", name);
    return NULL;
}

dr_status dr_registry_open(void)
{
    if (count > 0) return DR_OK;
    dr_library *core = library_new("");
    if (!core) return dr_failed();
    set_info(core, &dr_core_plugin);
    if (dr_library_start(core) == DR_OK && remember(core) == DR_OK) return DR_OK;
    dr_registry_remove_plugin(&core->info);
    dr_library_close(core);
    return dr_failed();
}

/* Libraries are unloaded in the reverse order of loading. */
void dr_registry_close(void)
{
    dr_registry_clear();
    while (count > 0) dr_library_close(plugins[--count]);
    dr_reload_close();
    free(plugins);
    plugins = NULL;
}
