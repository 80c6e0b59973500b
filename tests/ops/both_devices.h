/* both_devices.h: ref and cpu side by side, and how far cpu may be from ref. */
#ifndef DRIFT_TESTS_BOTH_DEVICES_H
#define DRIFT_TESTS_BOTH_DEVICES_H

#include "op_cases.h"

extern dr_device *ref, *cpu;

int open_both(void **state); /* a group's setup; ref is the current device */

/* Values of the cases are near 1, and no sum is longer than the case's largest input or result. A sum of n terms in f32
 * errs by about 2^-23 sqrt(n)/6 of its size, a composition by a few times that: allowed is
 * 2^-23 (8 + 2 sqrt(n)) max(1, largest value). want: the n values of one result */
double f32_allowance(const op_case *c, const double *want, int64_t n);

#endif
