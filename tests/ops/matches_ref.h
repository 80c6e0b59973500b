/* matches_ref.h: the cases of op_cases.h on a device, against ref in f64 on the same numbers. Environment:
 * DRIFT_CASES=film,conv2d picks the cases with one of these in their labels; 2/8 a part of eight, of those or of all. */
#ifndef DRIFT_TESTS_MATCHES_REF_H
#define DRIFT_TESTS_MATCHES_REF_H

#include "both_devices.h"

bool case_is_picked(const op_case *c);

/* In f32, within f32_allowance; whole numbers must be equal. How many results differ, with a line on each. want: of ref */
int f32_case_differs(const op_case *c, const case_run *run, const case_result *want);
case_run f32_on(dr_device *device, dr_layout layout, uint32_t need);

/* These fail the cmocka test that calls them. */
void cases_match_in_f32(case_run run);
void cases_with_holes_match_in_f32(dr_device *device, bool joined); /* every other input, those between, all */
void has_kernels_wherever_ref_has(dr_device *device);

/* bf16_matches_ref.c */
int bf16_case_differs(dr_device *device, const op_case *c, dr_layout layout, uint32_t holes, bool joined, uint32_t need);
int run_bf16_tests(dr_device *const *device, int (*open)(void **state)); /* the status of the program */

#endif
