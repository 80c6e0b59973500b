/* main.c: drift-check, which `drift check` runs: everything that is promised of the components that plugins and Lua
 * files add, each check in a process of its own, as a report.
 *
 *   drift-check [--json] [--seconds N] FILE.so|FILE.lua ... [NAME.PARAM=VALUE ...]
 *
 * A check may take N seconds of the processor, ten times that by the clock (default 30). NAME.PARAM=VALUE are
 * parameters for components of that name, which are made with their defaults otherwise. Exit status 0: nothing failed;
 * 1: something did; 2: there was nothing to check. */
#include "bind.h"
#include "child.h"
#include "kinds.h"
#include "memory.h"
#include "report.h"
#include "symbols.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

enum { FILES = 64 };
typedef struct arguments {
    bool json;
    double seconds;
    int files;
    char path[FILES][PATH_MAX]; /* whole and real */
    const char *given[FILES];   /* as it was named */
} arguments;

static int stop(const char *text, const char *detail)
{
    fprintf(stderr, "drift check: %s%s\n", text, detail ? detail : "");
    return 2;
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */

static int read_file(arguments *a, const char *text)
{
    if (a->files == FILES) return stop("too many files", NULL);
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
            if (!(a->seconds > 0.0 && *end == '\0')) return stop("--seconds needs a number above 0", NULL);
        } else if (argv[i][0] == '-') {
            return stop("there is no option ", argv[i]);
        } else if (strchr(argv[i], '=')) {
            if (!check_given(argv[i])) return stop("a component's parameter is NAME.PARAM=VALUE, not ", argv[i]);
        } else if (read_file(a, argv[i]) != 0) {
            return 2;
        }
    }
    return a->files > 0 ? 0 : stop("which file?  drift check my_sampler.so", NULL);
}

/* ---- the plugins around them ------------------------------------------------------------------------------------- */

static bool ends_in(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static bool is_lua(const char *path) { return ends_in(path, ".lua"); }

static bool is_checked(const arguments *a, const char *path)
{
    char real[PATH_MAX];
    for (int i = 0; i < a->files; i++) {
        if (realpath(path, real) && strcmp(real, a->path[i]) == 0) return true;
    }
    return false;
}

/* All of a folder but those that are to be checked: these are loaded one by one. Within it, *.so and NAME/NAME.so. */
static void load_folder(const arguments *a, const char *folder)
{
    struct dirent **entries;
    const int n = scandir(folder, &entries, NULL, alphasort);
    if (n < 0) {
        dr_fail(DR_EIO, "plugin folder %s cannot be read: %s", folder, strerror(errno));
        return;
    }
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        const char *name = entries[i]->d_name;
        const int length = ends_in(name, ".so") ? snprintf(path, sizeof path, "%s/%s", folder, name)
                                                : snprintf(path, sizeof path, "%s/%s/%s.so", folder, name, name);
        const bool plugin = name[0] != '.' && length < (int)sizeof path && access(path, F_OK) == 0;
        if (plugin && !is_checked(a, path)) dr_plugin_load(path);
        free(entries[i]);
    }
    free(entries);
}

/* Drift's own, and those of DRIFT_PLUGINS, which the checked ones may need. Not those that are found beside a script
 * or in the user's folder: an installed version of what is checked would be in its way. */
static void load_others(const arguments *a)
{
    const char *list = getenv("DRIFT_PLUGINS");
    char *copy = strdup(list ? list : ""), *rest = copy;
    dr_registry_open();
    load_folder(a, dr_plugin_dir());
    for (char *each = strsep(&rest, ":"); each && !dr_failed(); each = strsep(&rest, ":")) {
        if (!*each || is_checked(a, each)) continue;
        if (is_lua(each)) bind_run_definitions(each);
        else if (ends_in(each, ".so")) dr_plugin_load(each);
        else load_folder(a, each);
    }
    free(copy);
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

static void quiet(void *ctx, const char *line) { (void)ctx, (void)line; }

static dr_status load(const char *path) { return is_lua(path) ? bind_run_definitions(path) : dr_plugin_load(path); }

/* Once more, in a child, and unloaded again: its code runs at both ends. */
static check_outcome try_loading(void *path, char text[CHECK_TEXT])
{
    dr_set_note_sink(quiet, NULL);
    const int64_t before = dr_component_count();
    if (load(path) != DR_OK) {
        snprintf(text, CHECK_TEXT, "%s", dr_error_message());
        return CHECK_FAILED;
    }
    const dr_plugin *p = dr_plugin_at(dr_plugin_count() - 1)->plugin;
    if (dr_component_count() == before && p->exports_begin == p->exports_end) {
        snprintf(text, CHECK_TEXT,
                 "it has no components: does a file of it end with DR_SAMPLER(...) or another kind's line?");
        return CHECK_FAILED;
    }
    bind_close_definitions();
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

/* Names that it exports may hide those of other libraries, or be hidden by them. */
static void check_exports(report *r, const char *given, const char *path)
{
    char names[512], text[CHECK_TEXT] = "";
    const int n = exported_beside(path, DR_PLUGIN_SYMBOL, names, sizeof names);
    if (n > 0) {
        snprintf(text, sizeof text,
                 "it exports %d other name%s: %s. Compile with -fvisibility=hidden, or make them static", n,
                 n == 1 ? "" : "s", names);
    }
    report_line(r, CHECK_OK, given, "exports " DR_PLUGIN_SYMBOL " alone", text);
}

/* ---- checking ---------------------------------------------------------------------------------------------------- */

typedef struct job {
    const check *what;
    const dr_component *c;
} job;

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
            const check_outcome outcome = child_run(run_job, &j, a->seconds, code, NULL, text);
            report_line(r, outcome, what, k->promise, text);
        }
    }
}

static bool is_from(const dr_component *c, const char *path) /* a Lua file may be several plugins, by their ids */
{
    const dr_plugin_info *p = dr_component_plugin(c);
    return p && strcmp(p->path, path) == 0;
}

/* false: it is not there to be checked. */
static bool load_file(const arguments *a, report *r, int i)
{
    char text[CHECK_TEXT] = "";
    const char *path = a->path[i];
    const bool is_there = plugin_of(path) != NULL; /* backend_ref, on which checks compute */
    const check_outcome loads =
        is_there ? CHECK_OK : child_run(try_loading, (void *)(uintptr_t)path, a->seconds, NULL, path, text);
    report_line(r, loads, a->given[i], "loads", loads == CHECK_OK ? NULL : text);
    if (loads != CHECK_OK) return false;
    if (!is_there && load(path) != DR_OK) {
        report_line(r, CHECK_FAILED, a->given[i], "loads a second time", dr_error_message());
        dr_error_clear();
        return false;
    }
    if (!is_lua(path)) check_exports(r, a->given[i], path);
    return true;
}

static void check_components(const arguments *a, report *r, const char *path)
{
    const void *from = NULL, *to = NULL;
    const void *code = is_lua(path) ? NULL : plugin_of(path)->plugin;
    if (code && !code_around(code, &from, &to)) from = to = NULL;
    check_memory_code(from, to);
    check_collected_bytes = is_lua(path) ? bind_definitions_bytes : NULL;
    for (int64_t k = 0; k < dr_component_count(); k++) {
        const dr_component *c = dr_component_at(k);
        if (is_from(c, path)) check_component(a, r, c, code);
    }
}

/* All are loaded first: they may need each other. */
static void check_files(const arguments *a, report *r)
{
    bool loaded[FILES];
    for (int i = 0; i < a->files; i++) loaded[i] = load_file(a, r, i);
    for (int i = 0; i < a->files; i++) {
        if (loaded[i]) check_components(a, r, a->path[i]);
    }
}

/* ---- the program ------------------------------------------------------------------------------------------------- */

static char folder[PATH_MAX]; /* checks write files */

static bool make_folder(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/drift-check-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    check_folder = folder;
    return mkdtemp(folder) != NULL;
}

static void remove_folder(void)
{
    static const char *const files[] = { "block.safetensors", "conditioning.safetensors", "optim.safetensors" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) unlink(check_file(files[i]));
    rmdir(folder);
}

static dr_status open_ref(const arguments *a)
{
    for (int i = 0; i < a->files; i++) { /* also where it is to be checked itself */
        if (ends_in(a->path[i], "/backend_ref.so")) dr_plugin_load(a->path[i]);
    }
    dr_device *ref = dr_device_open("ref", DR_NO_ARGS);
    if (ref) dr_device_use(ref);
    return dr_failed();
}

int main(int argc, char **argv)
{
    static arguments a = { .seconds = 30 };
    report r;
    if (read_arguments(argc, argv, &a) != 0) return 2;
    dr_find_installation(DRIFT_HOME_DIR, DRIFT_PLUGIN_DIR);
    load_others(&a);
    if (dr_failed() || open_ref(&a) != DR_OK) return stop(dr_error_message(), NULL);
    if (!make_folder()) return stop("no folder for files can be made in TMPDIR or /tmp: ", strerror(errno));
    check_in_own_process = true;
    report_open(&r, a.json);
    check_files(&a, &r);
    remove_folder();
    return report_close(&r);
}
