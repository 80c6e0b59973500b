/* main.c: drift-check, which `drift check` runs: everything that is promised of the components that plugins add, each check in
 * a process of its own, as a report.
 *
 *   drift-check [--json] [--seconds N] FILE.so ... [NAME.PARAM=VALUE ...]
 *
 * A check may take N seconds (default 30). NAME.PARAM=VALUE are parameters for components of that name, which are made with
 * their defaults otherwise. Exit status 0: nothing failed; 1: something did; 2: there was nothing to check. */
#include "child.h"
#include "kinds.h"
#include "memory.h"
#include "report.h"
#include "symbols.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

enum { FILES = 256 };
typedef struct arguments {
    bool json;
    double seconds;
    int files;
    char path[FILES][PATH_MAX]; /* whole and real */
    const char *given[FILES];   /* as it was named */
} arguments;

static int complain(const char *text, const char *detail)
{
    fprintf(stderr, "drift check: %s%s\n", text, detail ? detail : "");
    return 2;
}

/* ---- arguments -------------------------------------------------------------------------------------------------------- */

static int read_file(arguments *a, const char *text)
{
    if (a->files == FILES) return complain("too many files", NULL);
    a->given[a->files] = text;
    if (!realpath(text, a->path[a->files])) {
        fprintf(stderr, "drift check: %s: %s\n", text, strerror(errno));
        return 2;
    }
    a->files++;
    return 0;
}

static int read_arguments(int argc, char **argv, arguments *a)
{
    for (int i = 1; i < argc; i++) {
        char *end = NULL;
        if (strcmp(argv[i], "--json") == 0) {
            a->json = true;
        } else if (strcmp(argv[i], "--seconds") == 0) {
            a->seconds = i + 1 < argc ? strtod(argv[++i], &end) : 0.0;
            if (!(a->seconds > 0.0 && *end == '\0')) return complain("--seconds needs a number above 0", NULL);
        } else if (argv[i][0] == '-') {
            return complain("there is no option ", argv[i]);
        } else if (strchr(argv[i], '=')) {
            if (!check_given(argv[i])) return complain("a component's parameter is NAME.PARAM=VALUE, not ", argv[i]);
        } else if (read_file(a, argv[i]) != 0) {
            return 2;
        }
    }
    return a->files > 0 ? 0 : complain("which file?  drift check my_sampler.so", NULL);
}

/* ---- the plugins around them --------------------------------------------------------------------------------------------- */

static int is_plugin(const struct dirent *e)
{
    const size_t n = strlen(e->d_name);
    return n > 3 && strcmp(e->d_name + n - 3, ".so") == 0;
}

static bool is_checked(const arguments *a, const char *path)
{
    char real[PATH_MAX];
    for (int i = 0; i < a->files; i++) {
        if (realpath(path, real) && strcmp(real, a->path[i]) == 0) return true;
    }
    return false;
}

/* All of a folder but those that are to be checked: these are loaded one by one. */
static void load_folder(const arguments *a, const char *folder)
{
    struct dirent **entries;
    const int n = scandir(folder, &entries, is_plugin, alphasort);
    if (n < 0) {
        dr_fail(DR_EIO, "plugin folder %s cannot be read: %s", folder, strerror(errno));
        return;
    }
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (!is_checked(a, path)) dr_plugin_load(path);
        free(entries[i]);
    }
    free(entries);
}

static const char *environment(const char *name, const char *def)
{
    const char *value = getenv(name);
    return value && *value ? value : def;
}

static void load_others(const arguments *a)
{
    dr_registry_open();
    load_folder(a, environment("DRIFT_PLUGIN_DIR", DRIFT_PLUGIN_DIR));
    char *folders = strdup(environment("DRIFT_PLUGINS", "")), *rest = folders;
    for (char *folder = strsep(&rest, ":"); folder && !dr_failed(); folder = strsep(&rest, ":")) {
        if (*folder) load_folder(a, folder);
    }
    free(folders);
}

/* ---- loading ----------------------------------------------------------------------------------------------------------------- */

static void quiet(void *ctx, const char *line) { (void)ctx, (void)line; }

/* Once more, in a child, and unloaded again: its code runs at both ends. */
static check_outcome try_loading(void *path, char text[CHECK_TEXT])
{
    dr_set_note_sink(quiet, NULL);
    const int64_t before = dr_component_count();
    if (dr_plugin_load(path) != DR_OK) {
        snprintf(text, CHECK_TEXT, "%s", dr_error_message());
        return CHECK_FAILED;
    }
    const dr_plugin *p = dr_plugin_at(dr_plugin_count() - 1)->plugin;
    if (dr_component_count() == before && p->exports_begin == p->exports_end) {
        snprintf(text, CHECK_TEXT, "it has no components: does a file of it end with DR_SAMPLER(...) or another kind's line?");
        return CHECK_FAILED;
    }
    dr_scope_close();
    dr_device_close_all();
    dr_registry_close();
    return CHECK_OK;
}

static const dr_plugin_info *plugin_of(const char *path)
{
    for (int64_t i = 0; i < dr_plugin_count(); i++) {
        if (strcmp(dr_plugin_at(i)->path, path) == 0) return dr_plugin_at(i);
    }
    return NULL;
}

/* ---- checking ------------------------------------------------------------------------------------------------------------------ */

typedef struct job { const check *what; const dr_component *c; } job;

static check_outcome run_job(void *ctx, char text[CHECK_TEXT])
{
    const job *j = ctx;
    dr_set_note_sink(quiet, NULL);
    return check_run(j->what, j->c, text);
}

static void check_component(const arguments *a, report *r, const dr_component *c, const void *code)
{
    char what[160], text[CHECK_TEXT];
    snprintf(what, sizeof what, "%s %s", kind_of(c), c->name);
    for (const check_table *t = check_tables; t->v; t++) {
        if (t->kind && !is_kind(c, t->kind)) continue;
        if (t->v == common_checks && !component_has_use(c)) continue; /* a backend */
        for (const check *k = t->v; k->promise; k++) {
            job j = { k, c };
            const check_outcome outcome = child_run(run_job, &j, a->seconds, code, text);
            report_line(r, outcome, what, k->promise, text);
        }
    }
}

static void check_plugin(const arguments *a, report *r, int i)
{
    char text[CHECK_TEXT] = "";
    const void *from = NULL, *to = NULL;
    const bool is_there = plugin_of(a->path[i]) != NULL; /* backend_ref, on which checks compute */
    const check_outcome loads = is_there ? CHECK_OK : child_run(try_loading, (void *)(uintptr_t)a->path[i], a->seconds, NULL, text);
    report_line(r, loads, a->given[i], "loads", loads == CHECK_OK ? NULL : text);
    if (loads != CHECK_OK) return;
    char names[512];
    const int exported = exported_beside(a->path[i], DR_PLUGIN_SYMBOL, names, sizeof names);
    if (exported > 0) {
        snprintf(text, sizeof text, "it exports %d other name%s: %s. Compile with -fvisibility=hidden, or make them static", exported,
                 exported == 1 ? "" : "s", names);
        report_line(r, CHECK_OK, a->given[i], "exports " DR_PLUGIN_SYMBOL " alone", text);
    } else {
        report_line(r, CHECK_OK, a->given[i], "exports " DR_PLUGIN_SYMBOL " alone", NULL);
    }
    if (!is_there) dr_plugin_load(a->path[i]);
    const dr_plugin_info *p = plugin_of(a->path[i]);
    if (!p) {
        report_line(r, CHECK_FAILED, a->given[i], "loads a second time", dr_error_message());
        dr_error_clear();
        return;
    }
    if (code_around(p->plugin, &from, &to)) check_memory_code(from, to);
    for (int64_t k = 0; k < dr_component_count(); k++) {
        const dr_component *c = dr_component_at(k);
        if (dr_component_plugin(c) == p) check_component(a, r, c, p->plugin);
    }
}

/* Checks write files. */
static char folder[] = "/tmp/drift-check-XXXXXX";

static void remove_folder(void)
{
    static const char *const files[] = { "block.safetensors", "conditioning.safetensors", "optim.safetensors" };
    char path[128];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
}

int main(int argc, char **argv)
{
    static arguments a = { .seconds = 30 };
    report r;
    if (read_arguments(argc, argv, &a) != 0) return 2;
    dr_set_home(environment("DRIFT_HOME", DRIFT_HOME_DIR));
    load_others(&a);
    for (int i = 0; i < a.files; i++) { /* ref is what checks compute on, also where it is checked itself */
        if (strstr(a.path[i], "/backend_ref.so")) dr_plugin_load(a.path[i]);
    }
    dr_device *ref = dr_device_open("ref", DR_NO_ARGS);
    if (dr_failed()) return complain(dr_error_message(), NULL);
    dr_device_use(ref);
    if (!mkdtemp(folder)) return complain("no folder for files can be made in /tmp: ", strerror(errno));
    check_folder = folder;
    check_in_own_process = true;
    report_open(&r, a.json);
    for (int i = 0; i < a.files; i++) check_plugin(&a, &r, i);
    remove_folder();
    return report_close(&r);
}
