/* my_sampler.c: a second-order Runge-Kutta step for the probability-flow ODE.     Ralston 1962
 *   d0 = f(x, t),  d1 = f(x + a dt d0, t + a dt),  x' = x + dt ((1 - 1/(2a)) d0 + 1/(2a) d1),   dt = t' - t,  f = dx/dt
 * a = 1/2 is the midpoint rule; a = 2/3 has the least bound on its error. */
#include <drift/plugin.h>

/* Parameters: each is a field here and a row below. The struct may hold private state after them; it starts zeroed. */
typedef struct {
    int64_t steps;
    double a;
    dr_instance *timesteps;
} my_sampler;

/* Field, default, smallest, largest, a line for `drift help`. Values in scripts are checked against these. A sampler
 * with `steps` gets its grid laid by the host, by the component in `timesteps` where it has that. */
static const dr_param params[] = {
    DR_INT(my_sampler, steps, 25, 0, 1000000, "steps from noise to data, two model calls each; 0: all of the process's"),
    DR_REAL(my_sampler, a, 2.0 / 3.0, 0.1, 0.9, "where in the step the second slope is taken"),
    DR_COMPONENT_PARAM(my_sampler, timesteps, "timesteps:even", "how the steps are laid between noise and data"),
    DR_END
};

/* One step from t to t_next. The host owns the loop, the count of model calls and all tensors: what is made here goes
 * when the step is over. dr_eval is dx/dt, dr_eval_x0 and dr_eval_eps are the estimates of data and noise; guidance and
 * clips are in them already. Nothing is checked in between: once something fails, ops return NULL, and the host reports
 * the first error. A stochastic sampler draws with dr_noise_like(x, rng) and declares .order = 0. */
static dr_tensor *step(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    const my_sampler *p = self;
    const double dt = t_next - t, w = 1.0 / (2.0 * p->a);
    (void)rng;
    dr_tensor *d0 = dr_eval(f, x, t);                                           /* [B,C,H,W] */
    dr_tensor *d1 = dr_eval(f, dr_axpy(p->a * dt, d0, x), t + p->a * dt);
    return dr_axpy(w * dt, d1, dr_axpy((1.0 - w) * dt, d0, x));
}

/* .order is a promise: `make check` measures it on a Gaussian, whose solution is known. */
DR_SAMPLER(my_sampler, "A second-order Runge-Kutta step", params, .step = step, .order = 2)
