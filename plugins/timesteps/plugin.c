/* plugin.c: the plugin of sampling grids: how n steps are laid between noise and data. One file each. */
#include <drift/plugin.h>

DR_PLUGIN("timesteps", "1.0", "Sampling grids: evenly in time, in noise levels, and on a chain's whole steps")
