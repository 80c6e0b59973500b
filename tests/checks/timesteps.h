/* timesteps.h: a grid laid on a process. */
#ifndef DRIFT_CHECK_TIMESTEPS_H
#define DRIFT_CHECK_TIMESTEPS_H

#include "check.h"

/* t[0..n] of a component with these parameters, through a sampler that has it; NULL: refused. The caller frees it. */
double *grid_of(dr_instance *process, const char *timesteps, dr_args args, int64_t n);

#endif
