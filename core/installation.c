/* installation.c: where Drift itself lies: from the program's own place, so that an installation may be moved.
 *   PREFIX/bin/drift  PREFIX/share/drift (the home: lua/, plugins/, docs/)  PREFIX/lib/drift/plugins  PREFIX/include/drift
 * A program in a build folder has none of these around it: then the source tree and the build folder, as they were
 * compiled in. DRIFT_HOME and DRIFT_PLUGIN_DIR come before both. */
#include "drift.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_MOST = 4096 };

static char program[PATH_MOST], plugin_dir[PATH_MOST + 64], include_dir[PATH_MOST];

static const char *given(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value ? value : NULL;
}

static bool there(const char *folder, const char *file)
{
    char path[PATH_MOST + 64];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return access(path, R_OK) == 0;
}

/* PREFIX of an installed program; false where it lies elsewhere. */
static bool find_prefix(char prefix[PATH_MOST])
{
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = '\0';
    strcpy(prefix, program);
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(prefix, '/');
        if (!slash) return false;
        *slash = '\0';
    }
    return there(prefix, "share/drift/lua/drift/start.lua");
}

void dr_find_installation(const char *built_home, const char *built_plugin_dir)
{
    char prefix[PATH_MOST], home[PATH_MOST + 64];
    const bool installed = find_prefix(prefix);
    snprintf(home, sizeof home, "%s/share/drift", prefix);
    dr_set_home(given("DRIFT_HOME") ? given("DRIFT_HOME") : installed ? home : built_home);

    char folder[PATH_MOST + 64];
    snprintf(folder, sizeof folder, "%s/lib/drift/plugins", prefix);
    const char *plugins = given("DRIFT_PLUGIN_DIR") ? given("DRIFT_PLUGIN_DIR") : installed ? folder : built_plugin_dir;
    snprintf(plugin_dir, sizeof plugin_dir, "%s", plugins);

    if (installed && !there(dr_home_dir(), "core/include/drift/plugin.h")) {
        snprintf(include_dir, sizeof include_dir, "%.*s/include", PATH_MOST - 16, prefix);
    } else {
        snprintf(include_dir, sizeof include_dir, "%.*s/core/include", PATH_MOST - 16, dr_home_dir());
    }
}

const char *dr_program_path(void) { return program; }
const char *dr_plugin_dir(void) { return plugin_dir; }
const char *dr_include_dir(void) { return include_dir; }
