/* views.h: what is promised of a view at images of one shape. */
#ifndef DRIFT_CHECK_VIEWS_H
#define DRIFT_CHECK_VIEWS_H

#include "check.h"

void view_expect_at(const dr_instance *v, const int64_t shape[4]);

#endif
