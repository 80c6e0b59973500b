/* plugin.c: the plugin of couplings: which noise of a batch goes with which image. One file each. */
#include <drift/plugin.h>

DR_PLUGIN("couplings", "1.0", "Couplings of noise and data")
