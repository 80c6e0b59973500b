/* plugin.c: the plugin of blocks, the parts that networks are made of: one file each, with its equation on top. */
#include <drift/plugin.h>

DR_PLUGIN("blocks", "1.0", "Convolutions, linear layers, normalisation, and the UNet's blocks made of them")
