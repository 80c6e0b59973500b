/* plugin.c: the plugin of clips: where an estimate of the data may lie. One file each. */
#include <drift/plugin.h>

DR_PLUGIN("clips", "1.0", "Clips: where an estimate of the data may lie")
