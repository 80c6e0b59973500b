/* main.c: the program: drift COMMAND ..., each a row of the table below. What a command does is Lua's affair:
 * lua/drift/COMMAND_command.lua, or start.lua. Here the registry, the plugins and the device are opened; what went wrong
 * is one message on stderr and exit status 1. */
#include "bind.h"
#include "command_line.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Ctrl-C: the first asks the script to come to an end, the second ends it ------------------------------------- */
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
    lua_pushboolean(L, !s->no_plan);
    lua_setfield(L, -2, "plan");
    lua_newtable(L);
    for (int i = 0; i < s->n_own; i++) set_string(L, s->own[i].name, s->own[i].value);
    if (s->steps > 0) {
        lua_pushinteger(L, s->steps);
        lua_setfield(L, -2, "steps");
    }
    lua_setfield(L, -2, s->command);
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
static int run_protected(lua_State *L) /* light userdata: settings; the command */
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
    luaL_checkstack(L, s->n_rest + 1, "arguments");
    lua_pushvalue(L, 2);
    for (int i = 0; i < s->n_rest; i++) lua_pushstring(L, s->rest[i]);
    lua_call(L, 1 + s->n_rest, 0);
    return 0;
}

static void print_error(lua_State *L)
{
    const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : luaL_tolstring(L, -1, NULL);
    fflush(stdout);
    fprintf(stderr, "drift: %s\n", message);
}

static int run_lua(const settings *s, const char *command)
{
    lua_State *L = luaL_newstate();
    if (!L) return complain("out of memory", NULL);
    lua_pushboolean(L, s->debug); /* bind_call looks for it: the traceback is that of the place of the error */
    lua_setfield(L, LUA_REGISTRYINDEX, "drift.debug");
    lua_pushcfunction(L, run_protected);
    lua_pushlightuserdata(L, (void *)(uintptr_t)s);
    lua_pushstring(L, command);
    const int status = bind_call(L, 2);
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

/* ---- the commands ------------------------------------------------------------------------------------------------ */
enum { PLUGINS = 1, /* all plugins are loaded first */
       DEVICE = 2,  /* and the device is opened */
       SCRIPT = 4,  /* the first argument is the script of the run */
       STOPS = 8    /* comes to an end by itself at Ctrl-C, as do those with a device */ };
static const struct command {
    const char *name;
    int least, most; /* arguments */
    int flags;
    const char *missing; /* what is said where there are fewer */
} commands[] = {
    { "run", 1, 1, PLUGINS | DEVICE | SCRIPT, "run which script?  drift run SCRIPT [key=value ...]" },
    { "sample", 0, 0, PLUGINS | DEVICE, NULL },
    { "compare", 0, 256, PLUGINS | STOPS, NULL },
    { "sweep", 0, 1, PLUGINS | STOPS, NULL },
    { "watch", 1, 1, PLUGINS, "watch which run?  drift watch RUN" },
    { "new", 2, 2, PLUGINS, "what kind, and what is it called?  drift new sampler my_sampler" },
    { "check", 1, 256, 0, "check what?  drift check my_sampler.so" },
    { "headers", 0, 0, 0, NULL },
    { "repl", 0, 0, PLUGINS | DEVICE, NULL },
    { "bench", 0, 1, PLUGINS | DEVICE, NULL },
    { "doctor", 0, 0, 0, NULL }, /* its Lua code loads the plugins: those that are refused are what it is asked about */
    { "devices", 0, 0, PLUGINS, NULL },
    { "diff-devices", 1, 1, PLUGINS | DEVICE | SCRIPT, "run which script?  drift diff-devices SCRIPT" },
    { "list", 0, 1, PLUGINS, NULL },
    { "help", 0, 1, PLUGINS, NULL },
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    }
    return NULL;
}

static int unknown_command(const char *command)
{
    const char *known[COMMANDS + 2] = { "test", "version" };
    for (int i = 0; i < COMMANDS; i++) known[i + 2] = commands[i].name;
    const char *near = dr_nearest(command, known, COMMANDS + 2);
    fprintf(stderr, "drift: there is no command \"%s\"%s%s (see: drift help)\n", command,
            near ? "; did you mean drift " : "", near ? near : "");
    return 1;
}

/* `drift COMMAND --help`: the opening comment of the command's file, where it has one of its own. */
static int print_help(const char *command)
{
    char path[4096], line[512];
    if (strcmp(command, "sample") == 0) return fputs(command_line_sample_usage, stdout) < 0;
    snprintf(path, sizeof path, "%s/lua/drift/%s_command.lua", dr_home_dir(), command);
    FILE *file = fopen(path, "r");
    if (!file) return fputs(command_line_usage, stdout) < 0;
    while (fgets(line, sizeof line, file) && strncmp(line, "--", 2) == 0) fputs(line + 2 + (line[2] == ' '), stdout);
    fclose(file);
    return 0;
}

static bool is_component(const char *name)
{
    for (int64_t i = 0; i < dr_component_count(); i++) {
        if (strcmp(dr_component_at(i)->name, name) == 0) return true;
    }
    return false;
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

static int check_arguments(const struct command *c, const settings *s)
{
    if (s->n_rest < c->least) return complain(c->missing, NULL);
    if (s->n_rest > c->most) return complain("one argument too many: ", s->rest[c->most]);
    if (s->precision && !is_precision(s->precision))
        return complain("--precision is f32, bf16 or tf32, not ", s->precision);
    return 0;
}

static int run_command(const struct command *c, settings *s)
{
    const bool diff = strcmp(c->name, "diff-devices") == 0;
    bool reference = false;
    if (!s->device) s->device = diff ? "cuda" : "cpu";
    if (s->peers && strcmp(c->name, "bench") == 0) return compare_with_peers();
    if (check_arguments(c, s) != 0) return 1;
    const char *script = c->flags & SCRIPT ? s->rest[0] : NULL;
    if ((c->flags & PLUGINS ? dr_plugins_find(dr_plugin_dir(), script) : dr_registry_open()) != DR_OK) return report();
    if (strcmp(c->name, "help") == 0 && find_command(s->rest[0]) && !is_component(s->rest[0])) return print_help(s->rest[0]);
    if (strcmp(c->name, "doctor") == 0 && !bind_doctor_has_home()) return 1;
    if (strcmp(c->name, "devices") == 0) return bind_list_devices();
    if (diff && !(s->out = bind_diff_begin(&reference, s->steps > 0 ? s->steps : 2))) return report();
    const char *device = s->device;
    if (reference) {
        s->device = s->against;
        if (s->precision && strcmp(s->precision, "tf32") == 0) s->precision = "f32"; /* what it is to be compared with */
    }
    if (c->flags & DEVICE && open_device(s) != DR_OK)
        return diff ? bind_diff_end(report(), device, s->against) : report();
    s->script = script;
    bind_seed = (uint64_t)s->seed;
    dr_plan_enable(!s->no_plan && !diff);
    if (c->flags & (DEVICE | STOPS)) catch_interrupts();
    if (begin_profile(s) != DR_OK) return report();
    const int status = run_lua(s, diff ? "run" : c->name);
    end_profile();
    return diff ? bind_diff_end(status, device, s->against) : status;
}

int main(int argc, char **argv)
{
    settings s = { .device = environment("DRIFT_DEVICE", NULL), .against = "cpu", .strict = true };
    hold_standard_files();
    shorten_spinning();
    const bool prompt = argc < 2 || argv[1][0] == '-'; /* `drift --device ref` */
    const char *name = argc < 2 ? "repl" : argv[1];
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) return puts("drift " DR_VERSION) < 0;
    const bool asks = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    if (prompt) name = asks ? "help" : "repl";
    const struct command *command = find_command(name);
    if (!command) return unknown_command(name);
    dr_find_installation(DRIFT_HOME_DIR, DRIFT_PLUGIN_DIR);
    s.command = name;
    const int before = prompt && !asks ? 0 : 1; /* options follow the command, or the program itself */
    const int options = command_line_read(argc - before, argv + before, &s);
    if (options != 0) return options < 0 ? flush_output(print_help(name)) : 1;
    if (strcmp(name, "help") == 0 && s.n_rest == 0) return flush_output(fputs(command_line_usage, stdout) < 0);
    const int status = run_command(command, &s);
    dr_scope_close(); /* tensors give their memory back to devices that are still open */
    dr_device_close_all();
    dr_registry_close();
    return flush_output(status);
}
