/* plugin.c: the plugin of views: other ways to look at an image. One file each. */
#include <drift/plugin.h>

DR_PLUGIN("views", "1.0", "Views of an image: flips, rotations, permutations of its pixels")
