/* plugin.c: what the plugin is called, and its version. Components are found by themselves: this file lists nothing. */
#include <drift/plugin.h>

DR_PLUGIN("my_plugin", "0.1", "What this plugin is for, in a few words")
