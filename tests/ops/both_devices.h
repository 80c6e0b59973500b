/* both_devices.h: ref and another device, cpu or cuda, side by side, and how far that may be from ref. */
#ifndef DRIFT_TESTS_BOTH_DEVICES_H
#define DRIFT_TESTS_BOTH_DEVICES_H

#include "op_cases.h"

extern dr_device *ref, *cpu, *cuda;

int open_both(void **state);         /* a group's setup: ref, the current device, and cpu */
int open_ref_and_cuda(void **state);
bool there_is_cuda(void);            /* a test of it that finds none is skipped: exit status 77 */

/* Values of the cases are near 1, and no sum is longer than the case's largest input or result. A sum of n terms in f32
 * errs by about 2^-23 sqrt(n)/6 of its size, a composition by a few times that: allowed is
 * 2^-23 (8 + 2 sqrt(n)) max(1, largest value). want: the n values of one result */
double f32_allowance(const op_case *c, const double *want, int64_t n);

#endif
