/* samplers.h: samplers on data that is known. */
#ifndef DRIFT_CHECK_SAMPLERS_H
#define DRIFT_CHECK_SAMPLERS_H

#include "known_data.h"

/* fixed: of that many steps exactly; any_variance: for processes whose alpha^2 + sigma^2 is not 1. */
dr_instance *sampler_with(const dr_component *c, int64_t steps, bool fixed, bool any_variance);
void expect_moments(dr_instance *sampler, const world *w); /* samples have the data's mean and deviation */

#endif
