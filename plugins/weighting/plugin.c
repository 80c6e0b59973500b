/* plugin.c: the plugin of loss weights: how much an error counts at each noise level. One file each. */
#include <drift/plugin.h>

DR_PLUGIN("weighting", "1.0", "Weights of the loss by noise level")
