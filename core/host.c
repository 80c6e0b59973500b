/* host.c: the table of functions that plugins receive, filled in from api.def, and the core's own ops as a plugin. */
#include "registry.h"

const dr_host dr_host_functions = {
    .size = sizeof(dr_host),
    .abi_minor = DR_ABI_MINOR,
#define DR_API(result, name, parameters, arguments) .name = dr_##name,
#define DR_API_VOID(name, parameters, arguments) .name = dr_##name,
#include <drift/api.def>
#undef DR_API
#undef DR_API_VOID
};

static dr_status load(const dr_host *host)
{
    (void)host; /* the core calls its functions directly */
    return DR_OK;
}

const dr_plugin dr_core_plugin = {
    .size = sizeof(dr_plugin),
    .abi_major = DR_ABI_MAJOR,
    .abi_minor = DR_ABI_MINOR,
    .id = "core",
    .version = DR_VERSION,
    .doc = "tensor ops",
    .components_begin = __start_dr_components,
    .components_end = __stop_dr_components,
    .load = load,
};
