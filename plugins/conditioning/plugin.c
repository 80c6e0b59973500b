/* plugin.c: the plugin of conditioning schemes: how time and class enter a network. One file each.
 * Site i of the network (its width is channels[i]) uses the children t_i and c_i, counted from 1. */
#include <drift/plugin.h>

DR_PLUGIN("conditioning", "1.0", "How time and class enter a network")
