/* A table that ends before that of ABI 1.0 does: it is refused, and what lies behind it is not read as a part of it. */
#include <drift/abi.h>

typedef struct dr_host dr_host;
static dr_status load(const dr_host *host)
{
    (void)host;
    return DR_OK;
}

__attribute__((visibility("default"))) extern const dr_plugin dr_plugin_entry;
const dr_plugin dr_plugin_entry = {
    .size = offsetof(dr_plugin, kernels_begin), .abi_major = DR_ABI_MAJOR, .abi_minor = 0, .id = "smaller_table", .version = "1.0",
    .load = load, .kernels_begin = (const dr_brought_kernel *const *)16, .kernels_end = (const dr_brought_kernel *const *)4096
};
