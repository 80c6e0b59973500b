/* launch_step.h: one launch of an optimizer's op over all weights. */
#ifndef OPTIM_LAUNCH_STEP_H
#define OPTIM_LAUNCH_STEP_H

#include <drift/plugin.h>

/* Applies `op` to in[0] = f64 [2] (lr, step), then param, grad and the first `slots` states of each weight. In place. */
dr_status launch_step(const char *op, const void *attr, const dr_optim_state *s, int slots);

#endif
