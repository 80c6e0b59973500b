/* A plugin of an older minor version than the host takes: refused before any of its code runs. */
#include <drift/plugin.h>

static dr_status load(const dr_host *host)
{
    (void)host;
    __builtin_trap();
}

const dr_host *dr_host_table;
__attribute__((visibility("default"))) extern const dr_plugin dr_plugin_entry;
const dr_plugin dr_plugin_entry = { .size = sizeof(dr_plugin), .abi_major = DR_ABI_MAJOR, .abi_minor = DR_ABI_MINOR_OLDEST - 1, .id = "older_minor", .version = "1.0", .load = load };
