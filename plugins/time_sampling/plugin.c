/* plugin.c: the plugin of training times: which noise levels a network is trained on. One file each. */
#include <drift/plugin.h>

DR_PLUGIN("time_sampling", "1.0", "Distributions of training times")
