/* heun.c: Heun's second-order step for the probability-flow ODE.
 *   d0 = f(x, t),  d1 = f(x + dt d0, t'),  x' = x + dt (d0 + d1)/2     Karras et al. 2022, Algorithm 1, no churn */
#include <drift/plugin.h>

typedef struct {
    int64_t steps, order;
    dr_instance *timesteps;
} heun;

static const dr_param params[] = {
    DR_INT(heun, steps, 25, 0, 1000000, "steps from noise to data, of two model calls each; 0: all of the process's"),
    DR_INT(heun, order, 2, 1, 2, "1 = Euler, 2 = Heun; the last step is Euler where t' is singular"),
    DR_COMPONENT_PARAM(heun, timesteps, "timesteps:even", "how the steps are laid between noise and data"),
    DR_END
};

static dr_tensor *step(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    const heun *p = self;
    const double dt = t_next - t;
    (void)rng;
    dr_tensor *d0 = dr_eval(f, x, t);                                  /* [B,C,H,W], dx/dt */
    dr_tensor *euler = dr_axpy(dt, d0, x);
    if (p->order == 1 || dr_singular(f, t_next)) return euler;
    dr_tensor *d1 = dr_eval(f, euler, t_next);
    return dr_axpy(dt / 2, dr_add(d0, d1), x);
}

DR_SAMPLER(heun, "Heun's second-order ODE step", params, .step = step, .order = 2)
