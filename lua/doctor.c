/* doctor.c: what `drift doctor` (lua/drift/doctor_command.lua) can learn in C alone: whether there is Lua code to run,
 * what the program was compiled with, and whether a file that claims to be a plugin can be loaded without ending the
 * process. */
#include "bind.h"

#include <errno.h>
#include <gif_lib.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_OF_NUMBER(n) #n
#define VERSION_TEXT(a, b, c) TEXT_OF_NUMBER(a) "." TEXT_OF_NUMBER(b) "." TEXT_OF_NUMBER(c)

bool bind_doctor_has_home(void)
{
    static const char *const needed[] = { "start.lua", "init.lua", "doctor_command.lua" };
    char path[4200];
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        snprintf(path, sizeof path, "%s/lua/drift/%s", dr_home_dir(), needed[i]);
        if (access(path, R_OK) == 0) continue;
        printf("ok       version       drift %s, plugin ABI %d.%d\n", DR_VERSION, DR_ABI_MAJOR, DR_ABI_MINOR);
        printf("missing  home          %s cannot be read: %s\n", path, strerror(errno));
        printf("                       -> set DRIFT_HOME to the folder of Drift, in which lua/ and plugins/ lie%s\n",
               getenv("DRIFT_HOME") ? ", or unset it" : "");
        return false;
    }
    return true;
}

static void set_text(lua_State *L, const char *key, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

static int core_installation(lua_State *L) /* { abi, abi_oldest, plugins, user_plugins, headers, program, lua, jansson, giflib } */
{
    lua_newtable(L);
    lua_pushfstring(L, "%d.%d", DR_ABI_MAJOR, DR_ABI_MINOR);
    lua_setfield(L, -2, "abi");
    lua_pushfstring(L, "%d.%d", DR_ABI_MAJOR, DR_ABI_MINOR_OLDEST);
    lua_setfield(L, -2, "abi_oldest");
    set_text(L, "plugins", dr_plugin_dir());
    set_text(L, "user_plugins", dr_user_plugin_dir());
    set_text(L, "headers", dr_include_dir());
    set_text(L, "program", dr_program_path());
    set_text(L, "lua", LUA_RELEASE);
    set_text(L, "jansson", jansson_version_str());
    set_text(L, "giflib", VERSION_TEXT(GIFLIB_MAJOR, GIFLIB_MINOR, GIFLIB_RELEASE));
    return 1;
}

static void say_nothing(void *ctx, const char *line) { (void)ctx, (void)line; }

/* probe_plugin(path): nil, or what becomes of a process that loads it; without a path: that does find_plugins(). Half a library, as a stopped copy leaves it, may
 * end the process in dlopen: a child tries first. */
static int core_probe_plugin(lua_State *L)
{
    const char *path = luaL_optstring(L, 1, NULL);
    int state = 0;
    fflush(stdout);
    const pid_t child = fork();
    if (child < 0) return 0; /* then without a trial */
    if (child == 0) {
        dr_set_note_sink(say_nothing, NULL);
        path ? dr_plugin_load(path) : dr_plugins_load_around(NULL); /* what it says is heard when the parent loads it */
        _exit(0);
    }
    while (waitpid(child, &state, 0) < 0) {
        if (errno != EINTR) return 0;
    }
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0) return 0;
    lua_pushfstring(L, "loading it ends the program: %s",
                    WIFSIGNALED(state) ? strsignal(WTERMSIG(state)) : "it exits of itself");
    return 1;
}

static int core_plugins_left_out(lua_State *L) /* list of { path, why }: found, and not loaded */
{
    const char *why;
    lua_newtable(L);
    for (int64_t i = 0; i < dr_plugins_left_out(); i++) {
        lua_newtable(L);
        set_text(L, "path", dr_plugin_left_out(i, &why));
        set_text(L, "why", why);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int core_find_plugins(lua_State *L) /* find_plugins(): those in the current folder, and the user's */
{
    dr_plugins_load_around(NULL);
    bind_check(L);
    return 0;
}

void bind_open_doctor(lua_State *L)
{
    static const luaL_Reg functions[] = { { "installation", core_installation },
                                          { "plugins_left_out", core_plugins_left_out },
                                          { "find_plugins", core_find_plugins },
                                          { "probe_plugin", core_probe_plugin },
                                          { NULL, NULL } };
    luaL_setfuncs(L, functions, 0);
}
