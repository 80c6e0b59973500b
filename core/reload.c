/* reload.c: a plugin's new version in place of the one that runs.
 *   copy the file -> open the copy -> check its table -> its components into the registry in place of the old ones ->
 *   a second one of all that is alive of it, with the same parameters and the same weights -> exchange, all at once ->
 *   plans are recorded again -> the old library goes
 * The copy, because dlopen of a path that is open returns the old library. Until the exchange nothing of the old version
 * is touched, so a failure anywhere leaves it running. See docs/decisions/031-hot-reload.md. */
#include "reload.h"
#include "tensor.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- where it may not be ----------------------------------------------------------------------------------------- */

static int bars;
static const char *bar;

void dr_reload_bar(const char *what)
{
    if (bars++ == 0) bar = what;
}

void dr_reload_unbar(void) { bars--; }

dr_status dr_reload_check(const char *plugin)
{
    return bars == 0 ? DR_OK : dr_fail(DR_EINVAL, "plugin %s: it is reloaded between steps, and not within %s", plugin, bar);
}

static bool is_kind(const dr_component *c, const char *kind)
{
    return strncmp(c->kind, kind, strlen(kind)) == 0 && c->kind[strlen(kind)] == '/';
}

static bool has_kind(const dr_plugin *p, const char *kind)
{
    for (const dr_component *const *c = p->components_begin; c < p->components_end; c++) {
        if (is_kind(*c, kind)) return true;
    }
    return false;
}

static dr_status check_reloadable(const dr_library *l)
{
    if (!l) return dr_fail(DR_EINVAL, "there is no such plugin to reload");
    if (!l->handle) return dr_fail(DR_EUNSUPPORTED, "%s is part of the program, not a plugin's", l->info.id);
    if (dr_reload_check(l->info.id) != DR_OK) return dr_failed();
    if (!has_kind(l->info.plugin, "backend")) return DR_OK;
    return dr_fail(DR_EUNSUPPORTED, "plugin %s is a device: all tensors lie in its memory and its threads and kernels are at work; "
                   "start the program again", l->info.id);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static unsigned char *read_file(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    struct stat s = { 0 };
    if (!f || fstat(fileno(f), &s) != 0) {
        dr_fail(DR_EIO, "%s: %s", path, strerror(errno));
        if (f) fclose(f);
        return NULL;
    }
    unsigned char *data = malloc((size_t)s.st_size + 1);
    *bytes = data ? fread(data, 1, (size_t)s.st_size, f) : 0;
    fclose(f);
    if (!data) {
        dr_fail(DR_ENOMEM, "%s: out of memory reading it", path);
    } else if (dr_elf_check_bytes(path, data, *bytes) == DR_OK) {
        return data;
    }
    free(data);
    return NULL;
}

static bool write_copy(const char *path, const unsigned char *data, size_t bytes)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    if (fd < 0) return false;
    size_t done = 0;
    while (done < bytes) {
        const ssize_t n = write(fd, data + done, bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        done += (size_t)n;
    }
    if (close(fd) == 0 && done == bytes) return true;
    unlink(path);
    return false;
}

enum { PATH = 4096 };

/* Beside the plugin, where libraries that it names relative to itself are found; else in the folder of temporary files.
 * The name is new each time, since a library is known by it, and no plugin's (*.so). */
static dr_status copy_file(const char *path, char copy[PATH], char sha256[65])
{
    static int64_t copies;
    size_t bytes;
    unsigned char *data = read_file(path, &bytes);
    if (!data) return dr_failed();
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *temporary = getenv("TMPDIR");
    dr_sha256_hex(data, bytes, sha256);
    copies++;
    snprintf(copy, PATH, "%.*s.%s.%ld-%lld.reload", slash ? (int)(slash + 1 - path) : 2, slash ? path : "./", name, (long)getpid(),
             (long long)copies);
    bool written = write_copy(copy, data, bytes);
    if (!written) {
        snprintf(copy, PATH, "%s/.%s.%ld-%lld.reload", temporary && *temporary ? temporary : "/tmp", name, (long)getpid(), (long long)copies);
        written = write_copy(copy, data, bytes);
    }
    free(data);
    return written ? DR_OK : dr_fail(DR_EIO, "%s: no copy of it can be written, neither beside it nor as %s: %s", path, copy, strerror(errno));
}

/* ---- what is alive of it ----------------------------------------------------------------------------------------- */

typedef struct renewal { /* one of both */
    dr_instance *instance, *fresh_instance;
    dr_module *module, *fresh_module;
} renewal;

typedef struct renewals {
    renewal *v;
    int64_t n, room;
} renewals;

static dr_status add(renewals *r, dr_instance *i, dr_module *m)
{
    if (r->n == r->room) {
        const int64_t room = r->room ? 2 * r->room : 64;
        renewal *v = realloc(r->v, (size_t)room * sizeof *v);
        if (!v) return dr_fail(DR_ENOMEM, "out of memory");
        r->v = v;
        r->room = room;
    }
    r->v[r->n++] = (renewal){ .instance = i, .module = m };
    return DR_OK;
}

/* What is below a module that is made anew comes with it. */
static dr_status collect_modules(renewals *r, dr_module *m, const dr_plugin *p)
{
    if (dr_module_uses(m, p)) return add(r, NULL, m);
    for (int64_t i = 0; i < dr_module_child_count(m); i++) {
        if (collect_modules(r, dr_module_child_at(m, i), p) != DR_OK) return dr_failed();
    }
    return DR_OK;
}

static dr_status collect(renewals *r, const dr_plugin *p)
{
    for (dr_instance *i = dr_instance_after(NULL); i; i = dr_instance_after(i)) {
        if (!dr_instance_is_held(i) && dr_instance_uses(i, p) && add(r, i, NULL) != DR_OK) return dr_failed();
    }
    for (dr_module *m = dr_module_after(NULL); m; m = dr_module_after(m)) {
        if (collect_modules(r, m, p) != DR_OK) return dr_failed();
    }
    return DR_OK;
}

static dr_status renew(renewals *r)
{
    for (int64_t i = 0; i < r->n; i++) {
        renewal *each = &r->v[i];
        dr_scope_open();
        if (each->instance) {
            each->fresh_instance = dr_instance_renewed(each->instance);
        } else {
            each->fresh_module = dr_module_renewed(each->module);
        }
        dr_scope_close();
        if (!each->fresh_instance && !each->fresh_module) return dr_failed();
    }
    return dr_failed();
}

static void exchange(renewals *r)
{
    dr_dataset_lock(); /* a loader's thread may be reading */
    for (int64_t i = 0; i < r->n; i++) {
        if (r->v[i].instance) {
            dr_instance_exchange(r->v[i].instance, r->v[i].fresh_instance);
        } else {
            dr_module_exchange(r->v[i].module, r->v[i].fresh_module);
        }
    }
    dr_dataset_unlock();
}

/* After the exchange the second ones are the old ones. */
static void free_seconds(renewals *r)
{
    for (int64_t i = 0; i < r->n; i++) {
        if (r->v[i].fresh_instance) dr_instance_free(r->v[i].fresh_instance);
        if (r->v[i].fresh_module) dr_module_free_renewed(r->v[i].fresh_module);
    }
    free(r->v);
}

/* ---- the old library --------------------------------------------------------------------------------------------- */

static dr_library **retired; /* in whose ops an open graph may go back, or whose kernels a plan's graph on a device has */
static int64_t retired_count;

static void retire(dr_library *l)
{
    dr_library **grown = realloc(retired, (size_t)(retired_count + 1) * sizeof *grown);
    if (!grown) return; /* it leaks rather than dangles */
    retired = grown;
    retired[retired_count++] = l;
}

void dr_reload_close(void)
{
    while (retired_count > 0) dr_library_close(retired[--retired_count]);
    free(retired);
    retired = NULL;
}

static bool is_mapped(const char *file)
{
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    if (handle) dlclose(handle);
    return handle != NULL;
}

/* Of a library that was linked with -z nodelete the code stays. */
static bool let_go(dr_library *l)
{
    const dr_plugin *p = l->info.plugin;
    if (has_kind(p, "op") || p->kernels_begin < p->kernels_end) {
        retire(l);
        return false;
    }
    char *file = strdup(l->file ? l->file : l->path);
    dr_library_close(l);
    const bool gone = file && !is_mapped(file);
    free(file);
    return gone;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The new library stands in the old one's place and everything has its second one; or all is as it was. */
static dr_status prepare(int64_t i, dr_library *fresh, renewals *r)
{
    dr_registry_copy *before = dr_registry_copy_new();
    if (!before) return dr_failed();
    const bool recording = dr_grad_mode(false);
    dr_library *old = dr_library_exchange(i, fresh);
    dr_registry_remove_plugin(&old->info);
    dr_device_forget_kernels();
    const bool ready = dr_library_start(fresh) == DR_OK && collect(r, old->info.plugin) == DR_OK && renew(r) == DR_OK;
    dr_grad_mode(recording);
    if (!ready) {
        dr_registry_copy_restore(before);
        dr_library_exchange(i, old);
    }
    dr_device_forget_kernels();
    dr_registry_copy_free(before);
    return ready ? DR_OK : dr_failed();
}

static dr_status fail_as(const char *id)
{
    const dr_status status = dr_failed();
    char why[2048];
    snprintf(why, sizeof why, "%s", dr_error_message());
    dr_error_clear();
    return dr_fail(status, "plugin %s is not reloaded, the earlier one goes on: %s", id, why);
}

static void describe(const dr_library *l, const renewals *r, dr_reloaded *out)
{
    out->id = l->info.id;
    out->version = l->info.version;
    for (int64_t i = 0; i < r->n; i++) {
        out->instances += r->v[i].instance != NULL;
        out->modules += r->v[i].module != NULL;
    }
}

dr_status dr_plugin_reload(int64_t i, dr_reloaded *out)
{
    *out = (dr_reloaded){ .sha256 = "" };
    if (dr_failed()) return dr_failed();
    const double start = now();
    dr_library *old = dr_library_at(i);
    char copy[PATH];
    renewals r = { 0 };
    if (check_reloadable(old) != DR_OK) return dr_failed();
    if (copy_file(old->path, copy, out->sha256) != DR_OK) return fail_as(old->info.id);
    dr_library *fresh = dr_library_open(copy, old->path);
    unlink(copy);
    const bool ready = fresh && !has_kind(fresh->info.plugin, "backend") && prepare(i, fresh, &r) == DR_OK;
    if (fresh && !ready && !dr_failed()) dr_fail(DR_EUNSUPPORTED, "its new version has a device in it");
    if (ready) exchange(&r);
    if (ready) describe(fresh, &r, out);
    free_seconds(&r);
    if (!ready) {
        const dr_status status = fail_as(old->info.id);
        dr_library_close(fresh);
        return status;
    }
    dr_error_clear(); /* of the old version's end: nobody can do anything about it */
    dr_plan_forget_all();
    out->unmapped = let_go(old);
    out->seconds = now() - start;
    return DR_OK;
}

/* ---- which plugin ------------------------------------------------------------------------------------------------ */

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool is_named(const dr_component *c, const char *name)
{
    const size_t kind = strcspn(c->kind, "/");
    if (strcmp(c->name, name) == 0) return true;
    return strncmp(c->kind, name, kind) == 0 && name[kind] == '.' && strcmp(c->name, name + kind + 1) == 0;
}

static int64_t number_of(const dr_plugin_info *info)
{
    for (int64_t i = 0; i < dr_plugin_count(); i++) {
        if (dr_plugin_at(i) == info) return i;
    }
    return -1;
}

static void fail_unknown(const char *name)
{
    enum { NAMES = 1024 };
    const char *known[NAMES];
    int64_t n = 0;
    for (int64_t i = 1; i < dr_plugin_count() && n < NAMES; i++) known[n++] = dr_plugin_at(i)->id;
    for (int64_t i = 0; i < dr_component_count() && n < NAMES; i++) known[n++] = dr_component_at(i)->name;
    const char *near = dr_nearest(name, known, n);
    dr_fail(DR_ENOTFOUND, "no plugin, and no component of one, is called '%s', and no file of that name was loaded%s%s%s", name,
            near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int64_t dr_plugin_find(const char *name)
{
    int64_t found = -1;
    for (int64_t i = 0; i < dr_plugin_count(); i++) {
        const dr_plugin_info *p = dr_plugin_at(i);
        if (strcmp(p->path, name) == 0 || strcmp(p->id, name) == 0) return i;
        if (strchr(name, '/') && p->path[0] && same_file(p->path, name)) return i;
    }
    for (int64_t i = 0; i < dr_component_count(); i++) {
        const dr_component *c = dr_component_at(i);
        const int64_t plugin = is_named(c, name) ? number_of(dr_component_plugin(c)) : -1;
        if (plugin < 0 || plugin == found) continue;
        if (found >= 0) {
            dr_fail(DR_EINVAL, "'%s' is a component of the plugins %s and %s; say which, by the plugin's name or as KIND.%s", name,
                    dr_plugin_at(found)->id, dr_plugin_at(plugin)->id, name);
            return -1;
        }
        found = plugin;
    }
    if (found < 0) fail_unknown(name);
    return found;
}
