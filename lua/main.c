/* main.c: the program.
 *   drift run SCRIPT [key=value ...] | sample --model FOLDER ... | bench [WHAT] | doctor | devices |
 *   diff-devices SCRIPT | list [KIND] | help [NAME]
 * It opens the registry, loads the plugins, opens the device and runs the script; what went wrong is one message on
 * stderr and exit status 1. */
#include "bind.h"
#include "command_line.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Ctrl-C: the first asks the script to come to an end, the second ends it ------------------------------------- */
volatile int bind_interrupted;

static void interrupt(int signal_number)
{
    static const char text[] = "\ndrift: finishing the step; Ctrl-C again quits at once\n";
    if (bind_interrupted) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
        return;
    }
    bind_interrupted = 1;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) return; /* nobody reads it */
}

static void catch_interrupts(void)
{
    struct sigaction action = { .sa_handler = interrupt, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

/* ---- registry, plugins, device ----------------------------------------------------------------------------------- */
static const char *environment(const char *name, const char *def)
{
    const char *value = getenv(name);
    return value && *value ? value : def;
}

static dr_status load_plugins(void)
{
    if (dr_registry_open() != DR_OK || dr_plugins_load(environment("DRIFT_PLUGIN_DIR", DRIFT_PLUGIN_DIR)) != DR_OK)
        return dr_failed();
    char *folders = strdup(environment("DRIFT_PLUGINS", ""));
    if (!folders) return dr_fail(DR_ENOMEM, "out of memory");
    char *rest = folders;
    for (char *folder = strsep(&rest, ":"); folder && dr_failed() == DR_OK; folder = strsep(&rest, ":")) {
        if (*folder) dr_plugins_load(folder);
    }
    free(folders);
    return dr_failed();
}

static dr_status open_device(const settings *s)
{
    const bool tf32 = s->precision && strcmp(s->precision, "tf32") == 0;
    dr_device *d = bind_open_named_device(s->device, s->threads, tf32);
    if (d) dr_device_use(d);
    return dr_failed();
}

/* ---- Lua --------------------------------------------------------------------------------------------------------- */
static void set_string(lua_State *L, const char *key, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

/* drift.options, drift.set and drift.set_order, for init.lua to find in the registry's "drift.settings" */
static void push_settings(lua_State *L, const settings *s)
{
    lua_newtable(L);
    lua_newtable(L);
    set_string(L, "device", s->device);
    set_string(L, "precision", s->precision);
    set_string(L, "out", s->out);
    set_string(L, "resume", s->resume);
    set_string(L, "script", s->script);
    if (s->seeded) {
        lua_pushinteger(L, s->seed);
        lua_setfield(L, -2, "seed");
    }
    if (s->threads > 0) {
        lua_pushinteger(L, s->threads);
        lua_setfield(L, -2, "threads");
    }
    lua_pushboolean(L, s->debug);
    lua_setfield(L, -2, "debug");
    lua_pushboolean(L, s->json);
    lua_setfield(L, -2, "json");
    lua_pushboolean(L, s->strict);
    lua_setfield(L, -2, "strict");
    lua_newtable(L);
    for (int i = 0; i < s->n_sample; i++) set_string(L, s->sample[i].name, s->sample[i].value);
    if (s->steps > 0) {
        lua_pushinteger(L, s->steps);
        lua_setfield(L, -2, "steps");
    }
    lua_setfield(L, -2, "sample");
    lua_setfield(L, -2, "options");
    lua_newtable(L);
    lua_newtable(L);
    for (int i = 0; i < s->n_set; i++) {
        const size_t n = strcspn(s->set[i], "=");
        lua_pushlstring(L, s->set[i], n);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, i + 1);
        lua_pushstring(L, s->set[i] + n + 1);
        lua_rawset(L, -4);
    }
    lua_setfield(L, -3, "set_order");
    lua_setfield(L, -2, "set");
}

/* start.lua: packages, text-only loading, strict globals; it returns the function that does what the command says. */
static int run_protected(lua_State *L) /* light userdata: settings; the command and its argument */
{
    const settings *s = lua_touserdata(L, 1);
    luaL_openlibs(L);
    bind_module(L);
    lua_pushboolean(L, s->debug);
    lua_setfield(L, LUA_REGISTRYINDEX, "drift.debug");
    push_settings(L, s);
    lua_setfield(L, LUA_REGISTRYINDEX, "drift.settings");
    lua_pushfstring(L, "%s/lua/drift/start.lua", dr_home_dir());
    if (luaL_loadfilex(L, lua_tostring(L, -1), "t") != LUA_OK) return lua_error(L);
    lua_pushstring(L, dr_home_dir());
    lua_getfield(L, LUA_REGISTRYINDEX, "drift.settings");
    lua_call(L, 2, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_call(L, 2, 0);
    return 0;
}

static void print_error(lua_State *L)
{
    const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : luaL_tolstring(L, -1, NULL);
    fflush(stdout);
    fprintf(stderr, "drift: %s\n", message);
}

static int run_lua(const settings *s, const char *command, const char *argument)
{
    lua_State *L = luaL_newstate();
    if (!L) return complain("out of memory", NULL);
    lua_pushboolean(L, s->debug); /* bind_call looks for it: the traceback is that of the place of the error */
    lua_setfield(L, LUA_REGISTRYINDEX, "drift.debug");
    lua_pushcfunction(L, run_protected);
    lua_pushlightuserdata(L, (void *)(uintptr_t)s);
    lua_pushstring(L, command);
    lua_pushstring(L, argument);
    const int status = bind_call(L, 3);
    if (status != LUA_OK && !dr_diff_ended()) print_error(L);
    dr_set_note_sink(NULL, NULL);
    lua_close(L);
    if (status == LUA_OK || dr_diff_ended()) return 0;
    return bind_interrupted ? 130 : 1; /* as a shell has it for what Ctrl-C ended */
}

/* ---- the process ------------------------------------------------------------------------------------------------- */
/* Where one of the standard three is closed, the next file would take its number, and be written to by print(). */
static void hold_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) return;
    }
}

/* OpenMP's threads spin for milliseconds before they sleep, each in a core that others may want: beside another busy
 * program that slows training many times over. OpenMP reads this when the plugin that needs it is loaded; what the user
 * has set stays. */
static void shorten_spinning(void)
{
    if (!getenv("OMP_WAIT_POLICY")) setenv("GOMP_SPINCOUNT", "2000", 0);
}

/* What was printed has to arrive: a full disk is not a success. */
static int flush_output(int status)
{
    const bool earlier = ferror(stdout); /* why is no longer known */
    if (fflush(stdout) == 0 && !earlier) return status;
    complain("standard output cannot be written", NULL);
    return status ? status : 1;
}

/* ---- main -------------------------------------------------------------------------------------------------------- */
static int report(void)
{
    if (dr_failed() == DR_OK) return 0;
    complain(dr_error_message(), NULL);
    dr_error_clear();
    return 1;
}

static int unknown_command(const char *command)
{
    static const char *const known[] = { "run",          "sample", "bench", "doctor", "devices",
                                         "diff-devices", "list",   "help",  "test",   "version" };
    const char *near = dr_nearest(command, known, sizeof known / sizeof *known);
    fprintf(stderr, "drift: there is no command \"%s\"%s%s (see: drift help)\n", command,
            near ? "; did you mean drift " : "", near ? near : "");
    return 1;
}

/* ---- --profile --------------------------------------------------------------------------------------------------- */
/* At the end of the process, however it ends: a script may call os.exit, as training does where it was interrupted. */
static void end_profile(void)
{
    if (!dr_profile_is_open()) return;
    if (dr_profile_close() != DR_OK) report();
    dr_profile_summary(stderr);
}

static dr_status begin_profile(const settings *s)
{
    enum { EVENTS = 200000 }; /* about 60 MB, which the viewers still take */
    if (!s->profile) return DR_OK;
    atexit(end_profile);
    return dr_profile_open(s->profile, EVENTS);
}

static int compare_with_peers(void)
{
    char script[4096];
    snprintf(script, sizeof script, "%s/tests/bench/compare.py", dr_home_dir());
    execlp("python3", "python3", script, "--all", (char *)NULL);
    return complain("python3 cannot be run", NULL);
}

static bool is_precision(const char *name)
{
    return strcmp(name, "f32") == 0 || strcmp(name, "bf16") == 0 || strcmp(name, "tf32") == 0;
}

/* Its Lua code loads the plugins, one by one: those that are refused are what it is asked about. */
static int run_doctor(const settings *s, const char *rest[], int n_rest)
{
    if (n_rest > 0) return complain("one argument too many: ", rest[0]);
    if (dr_registry_open() != DR_OK) return report();
    return bind_doctor_has_home() ? run_lua(s, "doctor", NULL) : 1;
}

static int run_command(const char *command, settings *s, const char *rest[], int n_rest)
{
    const bool diff = strcmp(command, "diff-devices") == 0, script = diff || strcmp(command, "run") == 0;
    const bool run = script || s->bench || s->sampling;
    bool reference = false;
    if (!s->device) s->device = diff ? "cuda" : "cpu";
    if (s->peers && s->bench) return compare_with_peers();
    if (script && n_rest == 0) return complain("run which script?  drift run SCRIPT [key=value ...]", NULL);
    if (n_rest > (s->sampling ? 0 : 1)) return complain("one argument too many: ", rest[n_rest - 1]);
    if (s->precision && !is_precision(s->precision))
        return complain("--precision is f32, bf16 or tf32, not ", s->precision);
    if (strcmp(command, "doctor") == 0) return run_doctor(s, rest, n_rest);
    if (load_plugins() != DR_OK) return report();
    if (strcmp(command, "devices") == 0) {
        return n_rest > 0 ? complain("one argument too many: ", rest[0]) : bind_list_devices();
    }
    if (diff && !(s->out = bind_diff_begin(&reference, s->steps > 0 ? s->steps : 2))) return report();
    const char *device = s->device;
    if (reference) {
        s->device = s->against;
        if (s->precision && strcmp(s->precision, "tf32") == 0) s->precision = "f32"; /* what it is to be compared with */
    }
    if (run && open_device(s) != DR_OK) return diff ? bind_diff_end(report(), device, s->against) : report();
    s->script = script ? rest[0] : NULL;
    bind_seed = (uint64_t)s->seed;
    dr_plan_enable(!s->no_plan && !diff);
    if (run) catch_interrupts();
    if (begin_profile(s) != DR_OK) return report();
    const int status = run_lua(s, diff ? "run" : command, n_rest > 0 ? rest[0] : NULL);
    end_profile();
    return diff ? bind_diff_end(status, device, s->against) : status;
}

int main(int argc, char **argv)
{
    settings s = { .device = environment("DRIFT_DEVICE", NULL), .against = "cpu", .strict = true };
    const char *rest[2] = { NULL, NULL };
    int n_rest = 0;
    hold_standard_files();
    shorten_spinning();
    if (argc < 2) {
        fputs(command_line_usage, stderr);
        return 1;
    }
    const char *command = argv[1];
    if (strcmp(command, "--version") == 0 || strcmp(command, "version") == 0) return puts("drift " DR_VERSION) < 0;
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0) command = "help";
    static const char *const commands[] = { "run",     "sample",       "bench", "doctor",
                                            "devices", "diff-devices", "list",  "help" };
    bool known = false;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) known = known || strcmp(command, commands[i]) == 0;
    if (!known) return unknown_command(command);
    dr_set_home(environment("DRIFT_HOME", DRIFT_HOME_DIR));
    s.bench = strcmp(command, "bench") == 0;
    s.sampling = strcmp(command, "sample") == 0;
    const int options = command_line_read(argc - 1, argv + 1, &s, rest, &n_rest);
    if (options != 0) return options < 0 ? 0 : 1;
    if (strcmp(command, "help") == 0 && n_rest == 0) return flush_output(fputs(command_line_usage, stdout) < 0);
    if (strcmp(command, "help") == 0 && strcmp(rest[0], "sample") == 0)
        return flush_output(fputs(command_line_sample_usage, stdout) < 0);
    const int status = run_command(command, &s, rest, n_rest);
    dr_scope_close(); /* tensors give their memory back to devices that are still open */
    dr_device_close_all();
    dr_registry_close();
    return flush_output(status);
}
