/* plugin.c: the plugin of metrics: numbers that judge a model's outputs. One file each. */
#include <drift/plugin.h>

DR_PLUGIN("metrics", "1.0", "Metrics")
