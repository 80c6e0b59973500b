/* euler.c: Euler's step for the probability-flow ODE, in the process's own time.
 *   x' = x + (t' - t) f(x, t),  f = dx/dt */
#include <drift/plugin.h>

typedef struct {
    int64_t steps;
    dr_instance *timesteps;
} euler;

static const dr_param params[] = {
    DR_INT(euler, steps, 50, 0, 1000000, "steps from noise to data; 0: all of the process's"),
    DR_COMPONENT_PARAM(euler, timesteps, "timesteps:even", "how the steps are laid between noise and data"),
    DR_END
};

static dr_tensor *step(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    (void)self, (void)rng;
    return dr_axpy(t_next - t, dr_eval(f, x, t), x); /* [B,C,H,W] */
}

DR_SAMPLER(euler, "Euler's ODE step", params, .step = step, .order = 1)
