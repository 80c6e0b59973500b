/* conditionings.h: a conditioning scheme built for checks, with two sites of widths 4 and 3 and a batch of 3. */
#ifndef DRIFT_CHECK_CONDITIONINGS_H
#define DRIFT_CHECK_CONDITIONINGS_H

#include "check.h"

dr_module *conditioning_build(const dr_component *c, int64_t n, const dr_arg *more); /* with n more parameters */
dr_module *conditioning_shaken(const dr_component *c); /* its weights moved from where they start */
/* What all sites make of fixed images, or tokens, as one row of numbers: modulated, and as a branch, gated. */
dr_tensor *conditioning_outputs(dr_module *root, const dr_batch_cond *cond, bool tokens);
void conditioning_expect_live(dr_module *root, dr_tensor *y); /* backward from y reaches every weight */

#endif
