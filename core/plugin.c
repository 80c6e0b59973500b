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

static const char *const KINDS[] = { "op/1", "backend/1", "block/1", "conditioning/1", "schedule/1", "process/1", "coupling/1",
                                     "time_sampling/1", "weighting/1", "sampler/1", "timesteps/1", "guidance/1", "optim/1",
                                     "decay/1", "ema/1", "dataset/1", "metric/2",
                                     "clip/1", "view/1", "filter/1", "tokenizer/1" };

static dr_status check_abi(const dr_plugin *p, const char *path)
{
    if (p->abi_major != DR_ABI_MAJOR || p->abi_minor_needed > DR_ABI_MINOR || p->abi_minor < DR_ABI_MINOR_OLDEST) {
        return dr_fail(DR_EABI, "plugin %s: built for ABI %u.%u (needs at least %u.%u), this is %d.%d, which takes those of %d.%d and later: rebuild "
                       "it against these headers", path, p->abi_major, p->abi_minor, p->abi_major, p->abi_minor_needed,
                       DR_ABI_MAJOR, DR_ABI_MINOR, DR_ABI_MAJOR, DR_ABI_MINOR_OLDEST);
    }
    const size_t least = offsetof(dr_plugin, kernels_begin); /* the table as it was up to minor 5 */
    if (p->size < least) return dr_fail(DR_EABI, "plugin %s: its table has %u bytes, expected %zu", path, p->size, least);
    if (!p->id || !p->version || !p->load) return dr_fail(DR_EABI, "plugin %s: its table lacks an id, a version or load", path);
    return DR_OK;
}

static dr_status check_component(const dr_component *c, const char *plugin)
{
    if (c->size < sizeof(dr_component) || !c->kind || !c->name || !c->iface) {
        return dr_fail(DR_EABI, "plugin %s: component '%s' is incomplete", plugin, c->size && c->name ? c->name : "?");
    }
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (strcmp(KINDS[i], c->kind) == 0) return DR_OK;
    }
    return dr_fail(DR_EABI, "plugin %s: %s has kind '%s', which this Drift does not know", plugin, c->name, c->kind);
}

static dr_status add_components(const dr_plugin_info *info)
{
    for (const dr_component *const *c = info->plugin->components_begin; c < info->plugin->components_end; c++) {
        if (check_component(*c, info->id) != DR_OK || dr_registry_add(*c, info) != DR_OK) return dr_failed();
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

dr_status dr_library_start(dr_library *l)
{
    const dr_plugin *p = l->info.plugin;
    if (p->load(&dr_host_functions) != DR_OK || dr_failed()) {
        return dr_failed() ? dr_failed() : dr_fail(DR_EABI, "plugin %s refused to load", l->path);
    }
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

dr_library *dr_library_open(const char *file, const char *path)
{
    dr_library *l = dr_failed() ? NULL : library_new(path);
    if (!l) return NULL;
    l->file = strdup(file);
    l->handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    const dr_plugin *p = l->handle ? dlsym(l->handle, DR_PLUGIN_SYMBOL) : NULL;
    if (!l->handle) {
        const char *why = dlerror();
        dr_fail(DR_EIO, "plugin %s: %s", path, why ? why : "cannot be opened");
    } else if (!p) {
        dr_fail(DR_EABI, "plugin %s: no symbol %s; is it a Drift plugin, with DR_PLUGIN(...) in one file?", path, DR_PLUGIN_SYMBOL);
    } else if (check_abi(p, path) == DR_OK) {
        set_info(l, p);
        return l;
    }
    dr_library_close(l);
    return NULL;
}

dr_status dr_plugin_load(const char *path)
{
    dr_library *l = dr_library_open(path, path);
    if (l && dr_library_start(l) == DR_OK && remember(l) == DR_OK) return DR_OK;
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
        if (p->size < sizeof(dr_plugin)) continue;
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
