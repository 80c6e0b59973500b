/* plugin.c: the plugin of learning-rate decay: a factor on the optimizer's lr for each epoch. One file each. */
#include <drift/plugin.h>

DR_PLUGIN("decay", "1.0", "Learning-rate decay")
