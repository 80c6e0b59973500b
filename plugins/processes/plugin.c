/* plugin.c: the plugin of processes: how data becomes noise, and what the network is asked for. One file each. */
#include <drift/plugin.h>

DR_PLUGIN("processes", "1.0", "Noising processes: flow matching, DDPM, EDM, VP and VE SDEs, one fixed noise level")
