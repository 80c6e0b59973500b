/* plugin.c: the plugin of guidance: models made of a model. One file each. */
#include <drift/plugin.h>

DR_PLUGIN("guidance", "1.0", "Guidance: models made of a model")
