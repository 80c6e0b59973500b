/* both_devices.c: ref and another device side by side, and how far that may be from ref. */
#include "both_devices.h"
#include "../host.h"

#include <math.h>

dr_device *ref, *cpu, *cuda;

static int open_ref_and(const char *name, dr_device **other)
{
    if (open_on("ref") != 0) return -1;
    ref = dr_device_current();
    *other = dr_device_open(name, DR_NO_ARGS);
    if (!*other) print_error("%s\n", dr_error_message());
    return *other ? 0 : -1;
}

int open_both(void **state)
{
    (void)state;
    return open_ref_and("cpu", &cpu);
}

int open_ref_and_cuda(void **state)
{
    (void)state;
    return open_ref_and("cuda", &cuda);
}

bool there_is_cuda(void)
{
    const bool found = open_on("ref") == 0 && dr_device_open("cuda", DR_NO_ARGS);
    if (!found) print_message("skipped: %s\n", dr_error_message());
    dr_error_clear();
    close_all(NULL);
    return found;
}

double f32_allowance(const op_case *c, const double *want, int64_t n)
{
    const int64_t longest = largest_count(c) > n ? largest_count(c) : n;
    return (8.0 + 2.0 * sqrt((double)longest)) / 8388608.0 * fmax(1.0, largest(want, n));
}
