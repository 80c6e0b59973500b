/* A plugin whose load() refuses, as one does that needs a library or a processor that is not there. */
#include <drift/plugin.h>

static dr_status refuse(void) { return dr_fail(DR_EUNSUPPORTED, "needs a quantum processor"); }

DR_PLUGIN_WITH("refuses", "1.0", "always refuses", refuse, NULL)
