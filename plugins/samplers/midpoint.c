/* midpoint.c: the midpoint rule for the probability-flow ODE.     Runge 1895
 *   k1 = f(x, t),  x' = x + dt f(x + dt/2 k1, t + dt/2)
 * Second order at two model calls, and never asks at t', where the velocity may be singular. */
#include <drift/plugin.h>

typedef struct {
    int64_t steps;
    dr_instance *timesteps;
} midpoint;

static const dr_param params[] = {
    DR_INT(midpoint, steps, 25, 0, 1000000, "steps from noise to data, of two model calls each; 0: all of the process's"),
    DR_COMPONENT_PARAM(midpoint, timesteps, "timesteps:even", "how the steps are laid between noise and data"),
    DR_END
};

static dr_tensor *step(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    const double dt = t_next - t;
    (void)self, (void)rng;
    dr_tensor *k1 = dr_eval(f, x, t); /* [B,C,H,W], dx/dt */
    dr_tensor *k2 = dr_eval(f, dr_axpy(dt / 2, k1, x), t + dt / 2);
    return dr_axpy(dt, k2, x);
}

DR_SAMPLER(midpoint, "Midpoint rule: second-order ODE step", params, .step = step, .order = 2)
