/* A plugin for tests of drift check: it crashes while it is loaded. */
#include <drift/plugin.h>

static int *volatile nowhere;

__attribute__((noinline)) static dr_status start(void)
{
    *nowhere = 1;
    return DR_OK;
}

DR_PLUGIN_WITH("crashes_at_load", "1.0", "Crashes while it is loaded", start, NULL)
