/* launch_step.h: launches of an optimizer's op over all weights. */
#ifndef OPTIM_LAUNCH_STEP_H
#define OPTIM_LAUNCH_STEP_H

#include <drift/plugin.h>

/* Applies `op` to in[0] = f64 [2 + averages] (lr, step, decays), then param, grad, the first `slots` states and the first
 * `averages` averages of each weight. In place. */
dr_status launch_step(const char *op, const void *attr, dr_optim_state *s, int slots, int averages);

#endif
