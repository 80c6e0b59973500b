/* bind_terminal.c: what the terminal's user did that those who draw in it have to know: put the program into the
 * background, where what it draws would stand in the middle of another's lines, and continued it after Ctrl-Z, when the
 * lines of the shell stand below its own. */
#include "bind.h"

#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t continued; /* so often */

static void count(int signal_number)
{
    (void)signal_number;
    continued = continued + 1;
}

/* terminal_state() -> is stderr's terminal ours to draw in, how often were we continued (SIGCONT) since we first asked */
static int core_terminal_state(lua_State *L)
{
    static bool counting;
    if (!counting) {
        struct sigaction action = { .sa_handler = count, .sa_flags = SA_RESTART };
        sigemptyset(&action.sa_mask);
        sigaction(SIGCONT, &action, NULL);
        counting = true;
    }
    const pid_t foreground = tcgetpgrp(STDERR_FILENO); /* -1: it does not control us, so there is no background */
    lua_pushboolean(L, foreground < 0 || foreground == getpgrp());
    lua_pushinteger(L, continued);
    return 2;
}

void bind_open_terminal(lua_State *L)
{
    static const luaL_Reg functions[] = { { "terminal_state", core_terminal_state }, { NULL, NULL } };
    luaL_setfuncs(L, functions, 0);
}
