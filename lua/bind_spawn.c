/* bind_spawn.c: other processes: drift.spawn { argv =, env =, out =, err = }, which does not wait for them.
 *
 * A child leads a process group of its own, so that Ctrl-C at the terminal reaches it only through us, and kill() its
 * own children too. It reads /dev/null, and has none of our files but the standard ones. One that would outlive us is
 * killed: at exit by us, and where we are killed ourselves by the system (PR_SET_PDEATHSIG). No handler of SIGCHLD:
 * poll() asks, and what nobody asks for is reaped at the end. */
#define _GNU_SOURCE /* execvpe, pipe2 */
#include "bind.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char class[] = "drift.child";

typedef struct child { /* on the heap: it outlives its handle, until it has ended */
    pid_t pid;
    bool ended, forgotten; /* reaped; no handle refers to it */
    int status;
    struct rusage usage;
    struct child *next;
} child;

static child *children; /* [main] all that were not freed */
static pid_t owner;     /* a fork of ours has the list, but not the children */

static void reap(child *c, int flags)
{
    pid_t pid;
    do {
        pid = wait4(c->pid, &c->status, flags, &c->usage);
    } while (pid < 0 && errno == EINTR);
    if (pid == 0) return;
    c->ended = true;
    if (pid < 0) c->status = 0; /* somebody else has waited for it: how it ended is lost */
}

static void kill_all(void)
{
    if (getpid() != owner) return;
    for (child *c = children; c; c = c->next) {
        if (!c->ended) kill(-c->pid, SIGKILL);
    }
    for (child *c = children; c; c = c->next) {
        if (!c->ended) reap(c, 0);
    }
}

/* We are a fork: what our parent started is its own to wait for and to end. */
static void disown_all(void)
{
    while (children) {
        child *c = children;
        children = c->next;
        c->ended = true; /* a handle may still refer to it: it is left */
    }
}

static void free_forgotten(void)
{
    for (child **at = &children; *at;) {
        child *c = *at;
        if (c->forgotten && !c->ended) reap(c, WNOHANG);
        if (!c->forgotten || !c->ended) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        free(c);
    }
}

/* ---- the child's side of fork: only what a process of several threads may do there ------------------------------ */
typedef struct order {
    char **argv, **env;
    const char *out, *err; /* NULL: ours */
    pid_t parent;
    int report; /* errno of what failed is written here; closed by exec */
} order;

static bool write_to(const char *path, int fd)
{
    if (!path) return true;
    const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    return file >= 0 && dup2(file, fd) >= 0;
}

static void become(const order *o)
{
    enum { CLOSE_ON_EXEC = 4, FIRST_OF_OURS = 3 };
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigset_t none;
    sigemptyset(&none);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGPIPE, &action, NULL); /* a server of ours ignores it, and exec would keep that */
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != o->parent) _exit(127); /* it has died meanwhile */
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    bool ok = null >= 0 && dup2(null, STDIN_FILENO) >= 0 && write_to(o->out, STDOUT_FILENO) &&
              write_to(o->err, STDERR_FILENO);
#ifdef SYS_close_range
    syscall(SYS_close_range, FIRST_OF_OURS, ~0U, CLOSE_ON_EXEC); /* where there is none, the child sees more files */
#endif
    if (ok) execvpe(o->argv[0], o->argv, o->env);
    const int error = errno;
    if (write(o->report, &error, sizeof error) < 0) _exit(126);
    _exit(127);
}

/* 0 or errno */
static int start(const order *what, child *c)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    order o = *what;
    o.report = ends[1];
    o.parent = getpid();
    c->pid = fork();
    if (c->pid == 0) become(&o);
    int error = c->pid < 0 ? errno : 0;
    close(ends[1]);
    if (c->pid > 0) {
        setpgid(c->pid, c->pid); /* both do: whoever comes first */
        ssize_t n;
        do {
            n = read(ends[0], &error, sizeof error);
        } while (n < 0 && errno == EINTR);
        if (n <= 0) error = 0;
        if (error) reap(c, 0);
    }
    close(ends[0]);
    return error;
}

/* ---- Lua --------------------------------------------------------------------------------------------------------- */
/* A string of the system's: it ends at its first zero. */
static bool is_text(lua_State *L, int index)
{
    size_t n;
    return lua_type(L, index) == LUA_TSTRING && strlen(lua_tolstring(L, index, &n)) == n;
}

/* The list of strings `argv`, NULL-ended, in a userdata that is pushed, with its strings kept by the table: it is read
 * as it is, without metamethods, whose strings nobody would keep. */
static char **read_argv(lua_State *L, int table)
{
    if (lua_getfield(L, table, "argv") != LUA_TTABLE || lua_rawlen(L, -1) < 1)
        bind_error(L, "spawn: argv is a list: the program and its arguments");
    const lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    char **argv = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *argv, 0);
    for (lua_Integer i = 0; i < n; i++) {
        if (lua_rawgeti(L, -2, i + 1) != LUA_TSTRING) bind_error(L, "spawn: argv[%d] is not a string", (int)i + 1);
        if (!is_text(L, -1)) bind_error(L, "spawn: argv[%d] has a zero byte in it", (int)i + 1);
        argv[i] = (char *)(uintptr_t)lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    argv[n] = NULL;
    return argv;
}

static bool is_of_table(lua_State *L, int table, const char *entry) /* NAME=... of a NAME that is in the table */
{
    lua_pushlstring(L, entry, strcspn(entry, "="));
    const bool there = lua_rawget(L, table) != LUA_TNIL;
    lua_pop(L, 1);
    return there;
}

/* Our environment with the changes of the table `env`; false takes a name out. Pushes what owns it. */
static char **read_env(lua_State *L, int table)
{
    const int type = lua_getfield(L, table, "env");
    if (type == LUA_TNIL) {
        lua_newtable(L);
        lua_replace(L, -2);
    } else if (type != LUA_TTABLE) {
        bind_error(L, "spawn: env is a table of names and strings");
    }
    const int changes = lua_gettop(L);
    size_t n = 0, count = 0;
    while (environ[n]) n++;
    for (lua_pushnil(L); lua_next(L, changes); lua_pop(L, 1)) count++;
    char **env = lua_newuserdatauv(L, (n + count + 1) * sizeof *env, 1);
    lua_newtable(L); /* owns the new strings */
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_of_table(L, changes, environ[i])) env[at++] = environ[i];
    }
    lua_Integer owned = 0;
    for (lua_pushnil(L); lua_next(L, changes);) {
        const bool out = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
        if (lua_type(L, -2) != LUA_TSTRING || (!out && lua_type(L, -1) != LUA_TSTRING))
            bind_error(L, "spawn: env is a table of names and strings (or false: not in the child's)");
        if (!is_text(L, -2) || !*lua_tostring(L, -2) || strchr(lua_tostring(L, -2), '=') || (!out && !is_text(L, -1)))
            bind_error(L, "spawn: env: a name is not empty and has no '=', and neither it nor its string a zero byte");
        if (!out) {
            lua_pushfstring(L, "%s=%s", lua_tostring(L, -2), lua_tostring(L, -1));
            env[at++] = (char *)(uintptr_t)lua_tostring(L, -1);
            lua_rawseti(L, changes + 2, ++owned);
        }
        lua_pop(L, 1);
    }
    env[at] = NULL;
    lua_setiuservalue(L, changes + 1, 1);
    return env;
}

/* spawn { argv = list, env = table, out = path, err = path } -> child. out and err are appended to, and ours where they
 * are nil. Raises where the program cannot be started. */
static int core_spawn(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    order o = { .out = bind_option_string(L, 1, "out", NULL), .err = bind_option_string(L, 1, "err", NULL) };
    o.argv = read_argv(L, 1);
    o.env = read_env(L, 1);
    if (owner && owner != getpid()) disown_all();
    free_forgotten();
    if (!owner && atexit(kill_all) != 0) return bind_error(L, "out of memory");
    owner = getpid();
    child **handle = lua_newuserdatauv(L, sizeof *handle, 0);
    *handle = NULL;
    luaL_setmetatable(L, class);
    child *c = calloc(1, sizeof *c);
    if (!c) return bind_error(L, "out of memory");
    const int error = start(&o, c);
    if (error) {
        free(c);
        return bind_error(L, "spawn: %s%s%s%s%s: %s", o.argv[0], o.out ? " > " : "", o.out ? o.out : "",
                          o.err ? " 2> " : "", o.err ? o.err : "", strerror(error));
    }
    c->next = children;
    *handle = children = c;
    return 1;
}

static child *check_child(lua_State *L) { return *(child **)luaL_checkudata(L, 1, class); }

/* { code = of exit | signal = that ended it, peak_bytes = of memory, seconds = of processor time } */
static int push_end(lua_State *L, const child *c)
{
    lua_newtable(L);
    lua_pushinteger(L, WIFSIGNALED(c->status) ? WTERMSIG(c->status) : WEXITSTATUS(c->status));
    lua_setfield(L, -2, WIFSIGNALED(c->status) ? "signal" : "code");
    lua_pushinteger(L, (lua_Integer)c->usage.ru_maxrss * 1024);
    lua_setfield(L, -2, "peak_bytes");
    lua_pushnumber(L, (double)c->usage.ru_utime.tv_sec + (double)c->usage.ru_stime.tv_sec +
                          1e-6 * (double)(c->usage.ru_utime.tv_usec + c->usage.ru_stime.tv_usec));
    lua_setfield(L, -2, "seconds");
    return 1;
}

static int child_poll(lua_State *L) /* nil while it runs */
{
    child *c = check_child(L);
    if (!c->ended) reap(c, WNOHANG);
    return c->ended ? push_end(L, c) : 0;
}

static int child_wait(lua_State *L)
{
    child *c = check_child(L);
    if (!c->ended) reap(c, 0);
    return push_end(L, c);
}

/* kill([signal]): "TERM" (default), "INT", "KILL", "STOP" or "CONT", to it and its own children; of one that has ended:
 * nothing */
static int child_kill(lua_State *L)
{
    static const char *const name[] = { "TERM", "INT", "KILL", "STOP", "CONT", NULL };
    static const int number[] = { SIGTERM, SIGINT, SIGKILL, SIGSTOP, SIGCONT };
    child *c = check_child(L);
    const int which = luaL_checkoption(L, 2, "TERM", name);
    if (!c->ended) reap(c, WNOHANG);
    if (!c->ended) kill(-c->pid, number[which]);
    return 0;
}

static int child_index(lua_State *L) /* .pid, or a method, of the upvalue */
{
    const child *c = check_child(L);
    if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "pid") == 0) {
        lua_pushinteger(L, c->pid);
        return 1;
    }
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    return 1;
}

static int child_gc(lua_State *L) /* it runs on; free_forgotten() looks after it */
{
    child **handle = luaL_checkudata(L, 1, class);
    if (*handle) (*handle)->forgotten = true;
    *handle = NULL;
    return 0;
}

/* The path of this program, for a script that runs itself again. Where it was built anew meanwhile, the file of that
 * name is another, or none: then the one that runs, which the system keeps for as long as it does. */
static int core_program(lua_State *L)
{
    static const char gone[] = " (deleted)";
    char path[4096];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    if (n <= 0 || n == (ssize_t)sizeof path) return bind_error(L, "/proc/self/exe: %s", strerror(errno));
    const size_t end = sizeof gone - 1;
    if ((size_t)n > end && memcmp(path + n - end, gone, end) == 0) {
        lua_pushfstring(L, "/proc/%d/exe", (int)getpid());
    } else {
        lua_pushlstring(L, path, (size_t)n);
    }
    return 1;
}

void bind_open_spawn(lua_State *L)
{
    static const luaL_Reg functions[] = { { "spawn", core_spawn }, { "program", core_program }, { NULL, NULL } };
    static const luaL_Reg methods[] = {
        { "poll", child_poll }, { "wait", child_wait }, { "kill", child_kill }, { NULL, NULL }
    };
    bind_class(L, class, methods, child_gc);
    luaL_getmetatable(L, class);
    lua_getfield(L, -1, "__index");
    lua_pushcclosure(L, child_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
