/* plugin.c: the plugin of averages of weights over training: how fast each forgets. One file each. */
#include <drift/plugin.h>

DR_PLUGIN("ema", "1.0", "Averages of weights over training")
