/* plugin.c: what the plugin is called, and its version, and in a few words what it is for. Components are found by themselves: this file lists nothing. */
#include <drift/plugin.h>

DR_PLUGIN("my_plugin", "0.1", "The my_kind my_plugin")
