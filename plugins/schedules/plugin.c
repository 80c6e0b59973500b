/* plugin.c: the plugin of noise schedules: beta of each step of a discrete chain. One file each. */
#include <drift/plugin.h>

DR_PLUGIN("schedules", "1.0", "Noise schedules of discrete chains")
