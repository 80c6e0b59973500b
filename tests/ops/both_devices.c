/* both_devices.c: ref and cpu side by side, and how far cpu may be from ref. */
#include "both_devices.h"
#include "../host.h"

#include <math.h>

dr_device *ref, *cpu;

int open_both(void **state)
{
    if (open_ref(state) != 0) return -1;
    ref = dr_device_current();
    cpu = dr_device_open("cpu", DR_NO_ARGS);
    if (!cpu) print_error("%s\n", dr_error_message());
    return cpu ? 0 : -1;
}

double f32_allowance(const op_case *c, const double *want, int64_t n)
{
    const int64_t longest = largest_count(c) > n ? largest_count(c) : n;
    return (8.0 + 2.0 * sqrt((double)longest)) / 8388608.0 * fmax(1.0, largest(want, n));
}
