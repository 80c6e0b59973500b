/* child.c: see child.h. The child tells its outcome through a pipe in one record. A handler of fatal signals, and one
 * of exit(), send the stack's addresses instead; the parent has the same plugin at the same place and names the
 * function. */
#define _GNU_SOURCE
#include "child.h"

#include "symbols.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BY_THE_CLOCK = 10 }; /* times the seconds of the processor: others may want it */
enum { FRAMES = 64, ENDED = 1000 /* as a signal: exit() was called */ };
typedef struct record {
    int32_t signal; /* 0: an outcome */
    int32_t outcome, frames;
    void *frame[FRAMES];
    char text[CHECK_TEXT];
} record;

static int pipe_to_parent = -1;
static pid_t this_child;
static const char *own_file; /* which only this child has loaded: it looks its functions up itself */

/* The innermost function of that file on the stack. A handler should not do this; but the process ends here anyway, and one
 * that hangs in it is killed. */
static void name_own(record *r)
{
    Dl_info info;
    for (int i = 0; i < r->frames && own_file && !r->text[0]; i++) {
        const char *at = (const char *)r->frame[i] - (i > 0);
        if (dladdr(at, &info) && info.dli_fname && strcmp(info.dli_fname, own_file) == 0)
            symbol_at(at, r->text, sizeof r->text);
    }
}

static void send_stack(int number)
{
    static record r; /* the stack may be all used up */
    r.signal = number;
    r.frames = backtrace(r.frame, FRAMES);
    name_own(&r);
    if (write(pipe_to_parent, &r, sizeof r) < 0) return;
}

static void die(int number)
{
    send_stack(number);
    signal(number, SIG_DFL);
    raise(number);
}

static void tell_exit(void)
{
    if (getpid() == this_child) send_stack(ENDED);
}

static void catch_signals(void)
{
    static char stack[1 << 16];
    static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGUSR2, SIGXCPU, SIGSYS, SIGTRAP };
    void *warm[4];
    backtrace(warm, 4); /* loads what it needs, which a handler may not */
    sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = sizeof stack }, NULL);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
        struct sigaction action = { .sa_handler = die, .sa_flags = SA_ONSTACK | SA_NODEFER };
        sigemptyset(&action.sa_mask);
        sigaction(fatal[i], &action, NULL);
    }
}

static _Noreturn void be_child(child_work work, void *ctx, int to_parent, double seconds, const char *file)
{
    const rlim_t whole = (rlim_t)ceil(seconds);
    static record r;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0); /* what it starts ends with it */
    pipe_to_parent = to_parent;
    own_file = file;
    this_child = getpid();
    const int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
    if (!getenv("DRIFT_CHECK_STDERR")) dup2(nothing, STDERR_FILENO);
    close(nothing);
    catch_signals();
    setrlimit(RLIMIT_CPU, &(struct rlimit){ whole, whole + 5 });
    atexit(tell_exit);
    r.outcome = work(ctx, r.text);
    const ssize_t sent = write(to_parent, &r, sizeof r);
    _exit(sent == (ssize_t)sizeof r ? 0 : 1);
}

/* ---- the parent -------------------------------------------------------------------------------------------------- */

/* The innermost function of the plugin on the stack; of other code where there is none. */
static void where(const record *r, const void *code, char *text, size_t bytes)
{
    const void *from = NULL, *to = NULL;
    char name[128];
    text[0] = '\0';
    if (r->text[0]) snprintf(text, bytes, " in %.120s", r->text);
    if (r->text[0] || !code || !code_around(code, &from, &to)) return;
    for (int i = 0; i < r->frames && i < FRAMES; i++) {
        const char *at = r->frame[i];
        if (at < (const char *)from || at >= (const char *)to) continue;
        symbol_at(at - (i > 0), name, sizeof name); /* a return address may be the next function's first */
        snprintf(text, bytes, " in %s", name);
        return;
    }
}

static void say_end(const record *r, bool late, double seconds, int status, const void *code, char *text)
{
    char at[160] = "";
    if (r->signal) where(r, code, at, sizeof at);
    if (late) {
        snprintf(text, CHECK_TEXT, "took longer than %g seconds by the clock%s", BY_THE_CLOCK * seconds, at);
    } else if (r->signal == SIGXCPU) {
        snprintf(text, CHECK_TEXT, "took longer than %g seconds of the processor%s", seconds, at);
    } else if (r->signal == ENDED) {
        snprintf(text, CHECK_TEXT, "ended the process: exit(%d)%s", WIFEXITED(status) ? WEXITSTATUS(status) : -1, at);
    } else if (r->signal || WIFSIGNALED(status)) {
        const int number = r->signal ? r->signal : WTERMSIG(status);
        snprintf(text, CHECK_TEXT, "crashed: signal %d (%s)%s", number, strsignal(number), at);
    } else {
        snprintf(text, CHECK_TEXT, "ended the process without a word: exit status %d", WEXITSTATUS(status));
    }
}

/* false: nothing came within that time. */
static bool read_record(int from, record *r, double seconds)
{
    struct pollfd p = { .fd = from, .events = POLLIN };
    int ready;
    do ready = poll(&p, 1, (int)(seconds * 1000));
    while (ready < 0 && errno == EINTR);
    if (ready <= 0) return false;
    if (read(from, r, sizeof *r) != (ssize_t)sizeof *r) *r = (record){ .outcome = -1 };
    return true;
}

check_outcome child_run(child_work work, void *ctx, double seconds, const void *code, const char *file,
                        char text[CHECK_TEXT])
{
    static record r;
    int ends[2], status = 0;
    memset(&r, 0, sizeof r);
    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) != 0) return snprintf(text, CHECK_TEXT, "no pipe: %s", strerror(errno)), CHECK_FAILED;
    const pid_t child = fork();
    if (child < 0) return snprintf(text, CHECK_TEXT, "no process: %s", strerror(errno)), CHECK_FAILED;
    if (child == 0) be_child(work, ctx, ends[1], seconds, file);
    close(ends[1]);
    const bool late = !read_record(ends[0], &r, BY_THE_CLOCK * seconds);
    if (late) { /* where is it? */
        kill(child, SIGUSR2);
        if (!read_record(ends[0], &r, 2.0)) r = (record){ .outcome = -1 };
    }
    if (late || r.signal || r.outcome < 0) { /* it ends by itself, or not at all */
        struct pollfd gone = { .fd = ends[0], .events = 0 };
        poll(&gone, 1, 2000);
    }
    close(ends[0]);
    kill(-child, SIGKILL); /* and what it may have started; how it ended itself is known to the system already */
    kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (!late && r.signal == 0 && r.outcome >= 0) {
        memcpy(text, r.text, CHECK_TEXT);
        return (check_outcome)r.outcome;
    }
    say_end(&r, late, seconds, status, code, text);
    return CHECK_FAILED;
}
