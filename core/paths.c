/* paths.c: folders that Drift knows, and running the scripts that fetch data. */
#include "drift.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

static char home[4096];

void dr_set_home(const char *folder) { snprintf(home, sizeof home, "%s", folder); }

const char *dr_home_dir(void)
{
    if (!home[0]) {
        const char *given = getenv("DRIFT_HOME");
        dr_set_home(given && *given ? given : ".");
    }
    return home;
}

static dr_status make_folders(char *path)
{
    for (char *p = path + 1;; p++) {
        if (*p && *p != '/') continue;
        const char kept = *p;
        *p = '\0';
        const int made = mkdir(path, 0777);
        if (made != 0 && errno != EEXIST) return dr_fail(DR_EIO, "folder %s cannot be made: %s", path, strerror(errno));
        *p = kept;
        if (!kept) return DR_OK;
    }
}

const char *dr_cache_dir(const char *name)
{
    static char path[4096];
    const char *xdg = getenv("XDG_CACHE_HOME"), *user = getenv("HOME");
    int n;
    if (xdg && *xdg) {
        n = snprintf(path, sizeof path, "%s/drift/%s", xdg, name);
    } else {
        n = snprintf(path, sizeof path, "%s/.cache/drift/%s", user && *user ? user : ".", name);
    }
    if (n < 0 || (size_t)n >= sizeof path) {
        dr_fail(DR_EINVAL, "cache folder's name is too long");
        return NULL;
    }
    return make_folders(path) == DR_OK ? path : NULL;
}

dr_status dr_run_script(const char *script, const char *argument)
{
    char path[4096];
    const int n = snprintf(path, sizeof path, "%s/%s", dr_home_dir(), script);
    if (n < 0 || (size_t)n >= sizeof path) return dr_fail(DR_EINVAL, "the path of %s is too long", script);
    char python[] = "python3", *arguments[] = { python, path, NULL, NULL };
    char *copy = strdup(argument ? argument : "");
    if (!copy) return dr_fail(DR_ENOMEM, "out of memory running %s", script);
    if (argument) arguments[2] = copy;
    pid_t child;
    const int failed = posix_spawnp(&child, python, NULL, NULL, arguments, environ);
    free(copy);
    if (failed) return dr_fail(DR_EIO, "python3 cannot be run for %s: %s", script, strerror(failed));
    int state = 0;
    while (waitpid(child, &state, 0) < 0) {
        if (errno != EINTR) return dr_fail(DR_EIO, "%s: %s", script, strerror(errno));
    }
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0) return DR_OK;
    return dr_fail(DR_EIO, "%s failed (see its output above)", script);
}
