/* bind_line.c: the lines of the prompt (`drift` without a command), by libedit: editing, history, completion by Tab.
 * Without libedit, or where input is no terminal, lines are read as they come, without a prompt. */
#define _GNU_SOURCE /* ppoll */
#include "bind.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef DRIFT_HAS_LIBEDIT
#include <editline/readline.h>
#include <poll.h>
#include <wchar.h>

/* ---- keys, and Ctrl-C while a line is typed ------------------------------------------------------------------------------
 * libedit goes on reading after a signal, and a jump out of its handler would leave locks of malloc and stdio held. So
 * the signals whose handlers look at the line are let in only while a key is waited for; after Ctrl-C there is none, as
 * at the end of input, and libedit comes back by itself. */
static volatile sig_atomic_t ctrl_c;
static sigset_t waiting; /* the mask while a key is waited for */

static void note_ctrl_c(int signal_number)
{
    (void)signal_number;
    ctrl_c = 1;
}

static bool next_byte(unsigned char *byte) /* false: Ctrl-C, or there is none */
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    while (!ctrl_c) {
        if (ppoll(&input, 1, NULL, &waiting) < 0) {
            if (errno == EINTR) continue;
            return false;
        }
        const ssize_t n = read(STDIN_FILENO, byte, 1);
        if (n >= 0 || (errno != EINTR && errno != EAGAIN)) return n == 1;
    }
    return false;
}

/* A whole character as libedit's wide one, or -1. A byte that cannot be part of one is left out. */
static int next_key(FILE *input)
{
    (void)input;
    mbstate_t state = { 0 };
    unsigned char byte;
    wchar_t wide;
    while (next_byte(&byte)) {
        const char c = (char)byte;
        const size_t n = mbrtowc(&wide, &c, 1, &state);
        if (n == (size_t)-2) continue;
        if (n != (size_t)-1) return (int)wide;
        state = (mbstate_t){ 0 }; /* what came before was cut short; this byte may begin another */
        if (mbrtowc(&wide, &c, 1, &state) == 1) return (int)wide;
        if (!mbsinit(&state)) continue;
        state = (mbstate_t){ 0 };
    }
    return -1;
}

static struct sigaction usual; /* what SIGINT does while no line is typed */

static sigset_t begin_line(void) /* the mask before */
{
    struct sigaction note = { .sa_handler = note_ctrl_c }, before;
    sigset_t held, mask;
    sigemptyset(&note.sa_mask);
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGWINCH);
    sigaddset(&held, SIGCONT);
    sigaddset(&held, SIGTSTP);
    sigprocmask(SIG_BLOCK, &held, &mask);
    sigaction(SIGINT, &note, &before);
    if (before.sa_handler != note_ctrl_c) usual = before; /* an interrupted line leaves ours: Ctrl-C may be held down */
    waiting = mask;
    ctrl_c = 0;
    return mask;
}

/* true: the line was interrupted. A SIGINT that is pending comes now. */
static bool end_line(const sigset_t *mask)
{
    sigprocmask(SIG_SETMASK, mask, NULL);
    if (ctrl_c) return true;
    sigaction(SIGINT, &usual, NULL);
    return false;
}

/* ---- completion: complete(line, first, last) -> list of what may stand in place of line[first+1..last] -------------- */
static struct {
    lua_State *L;
    int function;
    char **found; /* each of malloc; libedit takes them over one by one */
    size_t n, given;
} completion;

static char *next_found(const char *text, int state)
{
    (void)text;
    if (state == 0) completion.given = 0;
    return completion.given < completion.n ? completion.found[completion.given++] : NULL;
}

/* The list on top of the stack as C strings; what there is no memory for is left out. */
static void take_list(lua_State *L)
{
    const lua_Integer n = lua_istable(L, -1) ? luaL_len(L, -1) : 0;
    completion.found = n > 0 ? calloc((size_t)n, sizeof *completion.found) : NULL;
    for (lua_Integer i = 1; completion.found && i <= n; i++) {
        lua_geti(L, -1, i);
        char *text = lua_isstring(L, -1) ? strdup(lua_tostring(L, -1)) : NULL;
        if (text) completion.found[completion.n++] = text;
        lua_pop(L, 1);
    }
}

static char **complete(const char *text, int first, int last)
{
    lua_State *L = completion.L;
    const int top = lua_gettop(L);
    char **matches = NULL;
    rl_attempted_completion_over = 1; /* names of files are no answer here */
    rl_completion_append_character = '\0';
    completion.n = 0;
    if (lua_checkstack(L, 8)) {
        lua_pushvalue(L, completion.function);
        lua_pushstring(L, rl_line_buffer);
        lua_pushinteger(L, first);
        lua_pushinteger(L, last);
        if (lua_pcall(L, 3, 1, 0) == LUA_OK) take_list(L);
        matches = completion.n > 0 ? rl_completion_matches(text, next_found) : NULL;
        free(completion.found);
        completion.found = NULL;
    }
    lua_settop(L, top);
    return matches;
}

static int edited_line(lua_State *L, const char *prompt)
{
    static char breaks[] = " \t\n\"'`@$><=;|&{(,+-*/%^#~[]})";
    rl_readline_name = "drift";
    rl_completer_word_break_characters = breaks;
    rl_attempted_completion_function = complete;
    rl_getc_function = next_key;
    completion.L = L;
    completion.function = 2;
    const sigset_t mask = begin_line();
    char *line = readline(prompt);
    if (end_line(&mask)) {
        free(line);
        fputc('\n', stdout);
        lua_pushnil(L);
        lua_pushliteral(L, "interrupted");
        return 2;
    }
    lua_pushstring(L, line); /* nil at the end */
    free(line);
    return 1;
}

static int core_line_history(lua_State *L) /* line_history(path): read once, at the start */
{
    rl_getc_function = next_key; /* libedit looks for it here */
    rl_initialize();
    using_history();
    stifle_history(2000);
    read_history(luaL_checkstring(L, 1)); /* none is no error */
    return 0;
}

static int core_line_remember(lua_State *L) /* line_remember(line, path): the file is written at once, for no end is sure */
{
    add_history(luaL_checkstring(L, 1));
    if (lua_isstring(L, 2)) write_history(lua_tostring(L, 2));
    return 0;
}
#else
static int edited_line(lua_State *L, const char *prompt)
{
    (void)prompt;
    return luaL_error(L, "built without libedit");
}

static int core_line_history(lua_State *L) { return (void)L, 0; }

static int core_line_remember(lua_State *L) { return (void)L, 0; }
#endif

/* A line of any length from standard input, without its end. */
static int plain_line(lua_State *L, const char *prompt)
{
    char *line = NULL;
    size_t room = 0;
    if (isatty(STDIN_FILENO)) fputs(prompt, stdout), fflush(stdout);
    ssize_t n = getline(&line, &room, stdin);
    if (n >= 0) {
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) n--;
        lua_pushlstring(L, line, (size_t)n);
    } else {
        lua_pushnil(L);
    }
    free(line);
    return 1;
}

/* read_line(prompt, complete) -> line; nil at the end of input; nil, "interrupted" after Ctrl-C */
static int core_read_line(lua_State *L)
{
    const char *prompt = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    bind_interrupted = 0; /* Ctrl-C stopped what ran, and is over */
#ifdef DRIFT_HAS_LIBEDIT
    const char *terminal = getenv("TERM");
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") != 0)
        return edited_line(L, prompt);
#endif
    return plain_line(L, prompt);
}

void bind_open_line(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "read_line", core_read_line },
        { "line_history", core_line_history },
        { "line_remember", core_line_remember },
        { NULL, NULL },
    };
    luaL_setfuncs(L, functions, 0);
}
