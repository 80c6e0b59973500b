/* A plugin that needs a newer host: it must be refused before any of its code runs, so load() would betray itself. */
#include <drift/plugin.h>

static dr_status load(const dr_host *host)
{
    (void)host;
    __builtin_trap();
}

const dr_host *dr_host_table;
__attribute__((visibility("default"))) extern const dr_plugin dr_plugin_entry;
const dr_plugin dr_plugin_entry = { .size = sizeof(dr_plugin), .abi_major = DR_ABI_MAJOR, .abi_minor_needed = DR_ABI_MINOR + 1, .id = "newer_minor", .version = "1.0", .load = load };
