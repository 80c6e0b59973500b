/* diff_devices.c: drift diff-devices SCRIPT: the script on two devices at once, in two processes with the same seed;
 * which op of which layer gives other numbers? core/diff_devices.c compares. The process forks before any device is
 * open. */
#define _XOPEN_SOURCE 700 /* nftw */
#include "bind.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t other; /* 0: this is the one that tells */
static char folder[] = "/tmp/drift-diff-XXXXXX";
static char out[sizeof folder + 8];

static void be_quiet(void)
{
    const int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere < 0) return;
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    close(nowhere);
}

const char *bind_diff_begin(bool *reference, int64_t steps)
{
    int pipe_ends[2];
    if (!mkdtemp(folder) || pipe(pipe_ends) != 0) {
        dr_fail(DR_EIO, "diff-devices: %s", "no folder in /tmp, or no pipe");
        return NULL;
    }
    fflush(NULL);
    other = fork();
    if (other < 0) {
        dr_fail(DR_EIO, "diff-devices: no second process");
        return NULL;
    }
    *reference = other == 0;
    snprintf(out, sizeof out, "%s/%s", folder, *reference ? "other" : "this");
    close(pipe_ends[*reference ? 0 : 1]);
    if (*reference) {
        signal(SIGPIPE, SIG_IGN);
        be_quiet();
        dr_diff_tell(pipe_ends[1], steps);
    } else {
        dr_diff_compare(pipe_ends[0], steps);
    }
    return out;
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)s, (void)type, (void)at;
    return remove(path);
}

int bind_diff_end(int status, const char *device, const char *against)
{
    if (dr_diff_ended()) status = 0; /* the error was its end */
    fflush(stderr);
    if (other == 0) {
        if (status == 0) dr_diff_finish(stdout, device, against);
        return status;
    }
    const dr_diff_result result = status == 0 ? dr_diff_finish(stdout, device, against) : DR_DIFF_APART;
    int theirs = 0;
    if (status != 0) kill(other, SIGTERM);
    waitpid(other, &theirs, 0);
    if (result == DR_DIFF_ALONE && (!WIFEXITED(theirs) || WEXITSTATUS(theirs) != 0)) {
        fprintf(stderr, "drift: diff-devices: on %s the script failed; drift run --device %s says why\n", against,
                against);
    }
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return status != 0 || result != DR_DIFF_SAME;
}
