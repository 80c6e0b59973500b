/* plugin.c: the plugin of samplers: one step from t to t_next each; the host owns the loop. One file each. */
#include <drift/plugin.h>

DR_PLUGIN("samplers", "1.0", "ODE samplers and ancestral sampling")
