/* plugin.c: the plugin of filters: linear maps of images. One file each. */
#include <drift/plugin.h>

DR_PLUGIN("filters", "1.0", "Linear filters of an image: blurs, gray")
