/* template.c: the midpoint rule for the probability-flow ODE: a sampler to change into your own.
 *   x' = x + dt f(x + dt/2 f(x, t), t + dt/2),  dt = t' - t,  f = dx/dt */
#include <drift/plugin.h>

/* Parameters: each is a field here and a row below. The struct may hold private state after them; it starts zeroed. */
typedef struct {
    int64_t steps;
    double middle;
} template;

/* Field, default, smallest, largest, one line for `drift help`. A script's values are checked against these. */
static const dr_param params[] = {
    DR_INT(template, steps, 25, 0, 1000000, "steps from noise to data, two model calls each; 0: the process's own"),
    DR_REAL(template, middle, 0.5, 0.01, 1, "where in the step the slope is taken; 0.5 makes it second-order"),
    DR_END
};

/* One step. The host owns the loop and the tensors. Once something fails, ops return NULL, and the host reports it. */
static dr_tensor *step(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    const template *p = self;
    const double dt = t_next - t;
    (void)rng; /* for samplers that draw noise: dr_noise_like(x, rng) */
    dr_tensor *half = dr_axpy(p->middle * dt, dr_eval(f, x, t), x);            /* [B,C,H,W] */
    return dr_axpy(dt, dr_eval(f, half, t + p->middle * dt), x);
}

/* .order is a promise that the registry's test holds the sampler to, with the default parameters. */
DR_SAMPLER(template, "The midpoint rule", params, .step = step, .order = 2)
