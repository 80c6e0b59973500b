/* plugin.c: the plugin of optimizers: one step over all weights, in one launch. One file each. */
#include <drift/plugin.h>

DR_PLUGIN("optim", "1.0", "Optimizers")
