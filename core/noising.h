/* noising.h: what noising.c, model.c and sample.c share beside drift.h. Private to the core. */
#ifndef DRIFT_NOISING_H
#define DRIFT_NOISING_H

#include "drift.h"

/* True where dr_prediction_to() has an answer for wx0 x0 + weps eps. */
bool dr_prediction_determines(const dr_coef *c, double wx0, double weps);
/* Lets go of what dr_remember kept: at both ends of a run (model.c). */
void dr_model_forget(dr_model *f);

#endif
