/* bind_system.c: what scripts need of the machine: files and folders, clocks, the terminal, memory, hashes, and the
 * lines that the core and plugins have for the user. */
#include "bind.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- files and folders ------------------------------------------------------------------------------------------- */
static int core_write_file(lua_State *L) /* write_file(path, text): whole or not at all */
{
    size_t n;
    const char *path = luaL_checkstring(L, 1), *text = luaL_checklstring(L, 2, &n);
    dr_write_file(path, text, n);
    bind_check(L);
    return 0;
}

static int core_read_file(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    FILE *f = fopen(path, "rb");
    if (!f) return bind_error(L, "%s: %s", path, strerror(errno));
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    size_t n;
    do {
        n = fread(luaL_prepbuffer(&text), 1, LUAL_BUFFERSIZE, f);
        luaL_addsize(&text, n);
    } while (n > 0);
    const bool failed = ferror(f) != 0;
    const int error = errno;
    fclose(f);
    if (failed) return bind_error(L, "%s: %s", path, strerror(error));
    luaL_pushresult(&text);
    return 1;
}

static int core_mkdir(lua_State *L) /* with its parents; one that is there is fine */
{
    size_t n;
    const char *path = luaL_checklstring(L, 1, &n);
    char *at = lua_newuserdatauv(L, n + 1, 0);
    memcpy(at, path, n + 1);
    for (char *p = at + (at[0] == '/'); n > 0; p++) {
        if (*p && *p != '/') continue;
        const char kept = *p;
        *p = '\0';
        if (mkdir(at, 0777) != 0 && errno != EEXIST)
            return bind_error(L, "folder %s cannot be made: %s", at, strerror(errno));
        *p = kept;
        if (!kept) break;
    }
    struct stat s;
    if (stat(path, &s) != 0 || !S_ISDIR(s.st_mode)) return bind_error(L, "%s is not a folder", path);
    return 0;
}

static int core_exists(lua_State *L)
{
    struct stat s;
    lua_pushboolean(L, stat(luaL_checkstring(L, 1), &s) == 0);
    return 1;
}

static int core_is_folder(lua_State *L)
{
    struct stat s;
    lua_pushboolean(L, stat(luaL_checkstring(L, 1), &s) == 0 && S_ISDIR(s.st_mode));
    return 1;
}

static int list_names(lua_State *L, bool hidden) /* sorted; hidden: those that begin with a dot, else the others */
{
    const char *path = luaL_checkstring(L, 1);
    struct dirent **entry;
    const int n = scandir(path, &entry, NULL, alphasort);
    if (n < 0) return bind_error(L, "%s: %s", path, strerror(errno));
    lua_newtable(L);
    lua_Integer count = 0;
    for (int i = 0; i < n; i++) {
        if ((entry[i]->d_name[0] == '.') == hidden) {
            lua_pushstring(L, entry[i]->d_name);
            lua_rawseti(L, -2, ++count);
        }
        free(entry[i]);
    }
    free(entry);
    return 1;
}

static int core_files(lua_State *L) { return list_names(L, false); }

static int core_hidden_files(lua_State *L) { return list_names(L, true); }

/* file_stamp(path): a text that is another one when the file was written to or replaced; nil where there is none */
static int core_file_stamp(lua_State *L)
{
    struct stat s;
    char text[128];
    if (stat(luaL_checkstring(L, 1), &s) != 0) return 0;
    snprintf(text, sizeof text, "%lld %lld %lld.%09ld", (long long)s.st_ino, (long long)s.st_size,
             (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    lua_pushstring(L, text);
    return 1;
}

static int core_sha256(lua_State *L)
{
    size_t n;
    char hex[65];
    const char *text = luaL_checklstring(L, 1, &n);
    dr_sha256_hex(text, n, hex);
    lua_pushstring(L, hex);
    return 1;
}

static int core_sha256_file(lua_State *L)
{
    char hex[65];
    dr_sha256_file(luaL_checkstring(L, 1), hex);
    bind_check(L);
    lua_pushstring(L, hex);
    return 1;
}

/* ---- clocks, terminal, memory ------------------------------------------------------------------------------------ */
static int core_clock(lua_State *L)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    lua_pushnumber(L, (double)t.tv_sec + 1e-9 * (double)t.tv_nsec);
    return 1;
}

static int core_sleep(lua_State *L) /* ends early at a signal */
{
    const double seconds = luaL_checknumber(L, 1);
    if (!(seconds >= 0 && seconds < 1e9)) return bind_error(L, "sleep: %g seconds", seconds);
    const struct timespec t = { .tv_sec = (time_t)seconds,
                                .tv_nsec = (long)(1e9 * (seconds - (double)(time_t)seconds)) };
    nanosleep(&t, NULL);
    return 0;
}

static int core_isatty(lua_State *L)
{
    static const char *const name[] = { "stdin", "stdout", "stderr", NULL };
    lua_pushboolean(L, isatty(luaL_checkoption(L, 1, "stdout", name)));
    return 1;
}

static int core_terminal_size(lua_State *L) /* columns, rows; nothing where there is no terminal */
{
    struct winsize size;
    for (int fd = 1; fd <= 2; fd++) {
        if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) continue;
        lua_pushinteger(L, size.ws_col);
        lua_pushinteger(L, size.ws_row);
        return 2;
    }
    return 0;
}

/* A line such as "VmHWM:    123456 kB" of /proc/self/status, in bytes; 0 where there is none. */
static lua_Integer status_bytes(const char *key)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long long kilobytes = 0;
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':') kilobytes = atoll(line + strlen(key) + 1);
    }
    if (f) fclose(f);
    return (lua_Integer)kilobytes * 1024;
}

static int core_peak_memory(lua_State *L)
{
    lua_pushinteger(L, status_bytes("VmHWM"));
    return 1;
}

static int core_memory(lua_State *L)
{
    lua_pushinteger(L, status_bytes("VmRSS"));
    return 1;
}

static int core_cpus(lua_State *L)
{
    lua_pushinteger(L, sysconf(_SC_NPROCESSORS_ONLN));
    return 1;
}

/* ---- notes ------------------------------------------------------------------------------------------------------- */
static int call_sink(lua_State *L) /* light userdata: the line */
{
    lua_getfield(L, LUA_REGISTRYINDEX, "drift.note_sink");
    lua_pushstring(L, lua_touserdata(L, 1));
    lua_call(L, 1, 0);
    return 0;
}

static void note_to_lua(void *ctx, const char *line)
{
    lua_State *L = ctx;
    if (!bind_is_script_thread() || !lua_checkstack(L, 4)) {
        fprintf(stderr, "%s\n", line);
        return;
    }
    lua_pushcfunction(L, call_sink);
    lua_pushlightuserdata(L, (void *)(uintptr_t)line);
    dr_reload_bar("a note"); /* which a plugin may have written */
    const int status = lua_pcall(L, 1, 0, 0);
    dr_reload_unbar();
    if (status != LUA_OK) {
        fprintf(stderr, "%s\n", line); /* the line matters more than the sink's error */
        lua_pop(L, 1);
    }
}

static int core_on_note(lua_State *L) /* on_note(function or nil) -> the one before */
{
    lua_settop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "drift.note_sink");
    lua_insert(L, 1);
    const bool on = !lua_isnil(L, 2);
    if (on) luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_setfield(L, LUA_REGISTRYINDEX, "drift.note_sink");
    lua_State *own = lua_newthread(L); /* a line may come while the script's thread is in the middle of anything */
    lua_setfield(L, LUA_REGISTRYINDEX, "drift.note_thread");
    dr_set_note_sink(on ? note_to_lua : NULL, own);
    return 1;
}

static int core_note(lua_State *L) /* note(format, ...) */
{
    lua_getglobal(L, "string");
    lua_getfield(L, -1, "format");
    lua_insert(L, 1);
    lua_pop(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    dr_note("%s", luaL_checkstring(L, 1));
    return 0;
}

void bind_open_system(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "write_file", core_write_file },
        { "read_file", core_read_file },
        { "mkdir", core_mkdir },
        { "exists", core_exists },
        { "is_folder", core_is_folder },
        { "files", core_files },
        { "hidden_files", core_hidden_files },
        { "file_stamp", core_file_stamp },
        { "sha256", core_sha256 },
        { "sha256_file", core_sha256_file },
        { "clock", core_clock },
        { "sleep", core_sleep },
        { "isatty", core_isatty },
        { "terminal_size", core_terminal_size },
        { "peak_memory", core_peak_memory },
        { "memory", core_memory },
        { "cpus", core_cpus },
        { "on_note", core_on_note },
        { "note", core_note },
        { NULL, NULL },
    };
    luaL_setfuncs(L, functions, 0);
}
