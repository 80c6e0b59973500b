/* noising.h: what noising.c, model.c and sample.c share beside drift.h. Private to the core. */
#ifndef DRIFT_NOISING_H
#define DRIFT_NOISING_H

#include "drift.h"

/* True where dr_prediction_to() has an answer for wx0 x0 + weps eps. */
bool dr_prediction_determines(const dr_coef *c, double wx0, double weps);
/* Lets go of what dr_remember kept: at both ends of a run (model.c). */
void dr_model_forget(dr_model *f);
/* Lets go of what guidance made for one step: conditions with other images (condition.c). */
void dr_model_step_done(dr_model *f);
/* What dr_step tells guidance: the loop's (sample.c). */
void dr_model_set_step(dr_model *f, int64_t step);
/* The model sees rows first..first+n-1 of its condition alone, as if they were all; of: how many images there are, which
 * the condition must have as many rows as. dr_model_all_rows sees all of them again (condition.c). */
dr_status dr_model_rows(dr_model *f, int64_t first, int64_t n, int64_t of);
void dr_model_all_rows(dr_model *f);

#endif
