/* linspace.c: steps of a chain at even distances, its first and last one among them.     Lin et al. 2024, table 2 ("linspace")
 *   t_i = 1 + round((T-1) (1 - i/n)),      i = 0..n-1;  t_n = 0      the last of n+1 points left out (DPM-Solver)
 *   t_i = 1 + round((T-1) (1 - i/(n-1)))                            first_step: down to t = 1 (DDPM)
 * Halves are rounded to the even number, in diffusers' count of steps, which begins at 0. */
#include "whole_steps.h"
#include <math.h>

typedef struct { _Bool first_step; } linspace;

static const dr_param params[] = {
    DR_BOOL(linspace, first_step, 0, "stop at t = 1 on the way to 0, as diffusers' DDPM, DDIM, Heun and Euler do; its "
                                     "DPM-Solver leaves that point out"),
    DR_END
};

static dr_status lay(void *self, dr_model *f, int64_t n, double *t)
{
    const linspace *p = self;
    const int64_t T = whole_steps("linspace", f, n);
    if (T == 0) return dr_failed();
    const int64_t intervals = p->first_step || n == T ? n - 1 : n; /* n = T: all of them, and none is left over */
    const double stride = intervals > 0 ? (double)(T - 1) / (double)intervals : 0.0;
    for (int64_t i = 0; i < n; i++) t[i] = 1.0 + rint((double)(intervals - i) * stride);
    t[0] = (double)T;
    t[n] = 0.0;
    return DR_OK;
}

DR_TIMESTEPS(linspace, "Steps of a chain at even distances, from its last", params, .lay = lay)
