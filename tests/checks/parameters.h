/* parameters.h: a component's struct filled from arguments. */
#ifndef DRIFT_CHECK_PARAMETERS_H
#define DRIFT_CHECK_PARAMETERS_H

#include "check.h"

dr_status parameters_fill(const dr_component *c, const walk_args *a); /* and let go of again */

#endif
