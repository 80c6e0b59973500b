/* rk4.c: the classical fourth-order Runge-Kutta step for the probability-flow ODE.     Kutta 1901
 *   k1 = f(x, t),  k2 = f(x + dt/2 k1, t + dt/2),  k3 = f(x + dt/2 k2, t + dt/2),  k4 = f(x + dt k3, t')
 *   x' = x + dt/6 (k1 + 2 k2 + 2 k3 + k4)
 * Where t' is singular, Heun's third-order rule takes the step; it asks at t, t + dt/3 and t + 2dt/3 only:
 *   x' = x + dt/4 (k1 + 3 k3),  k2 = f(x + dt/3 k1, t + dt/3),  k3 = f(x + 2dt/3 k2, t + 2dt/3)     Heun 1900 */
#include <drift/plugin.h>

typedef struct {
    int64_t steps;
    dr_instance *timesteps;
} rk4;

static const dr_param params[] = {
    DR_INT(rk4, steps, 12, 0, 1000000, "steps from noise to data, of four model calls each; 0: all of the process's"),
    DR_COMPONENT_PARAM(rk4, timesteps, "timesteps:even", "how the steps are laid between noise and data"),
    DR_END
};

static dr_tensor *heun_3(dr_model *f, dr_tensor *x, dr_tensor *k1, double t, double dt)
{
    dr_tensor *k2 = dr_eval(f, dr_axpy(dt / 3, k1, x), t + dt / 3);
    dr_tensor *k3 = dr_eval(f, dr_axpy(2 * dt / 3, k2, x), t + 2 * dt / 3);
    return dr_axpy(dt / 4, dr_axpy(3.0, k3, k1), x);
}

static dr_tensor *step(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    const double dt = t_next - t;
    (void)self, (void)rng;
    dr_tensor *k1 = dr_eval(f, x, t); /* [B,C,H,W], dx/dt */
    if (dr_singular(f, t_next)) return heun_3(f, x, k1, t, dt);
    dr_tensor *k2 = dr_eval(f, dr_axpy(dt / 2, k1, x), t + dt / 2);
    dr_tensor *k3 = dr_eval(f, dr_axpy(dt / 2, k2, x), t + dt / 2);
    dr_tensor *k4 = dr_eval(f, dr_axpy(dt, k3, x), t_next);
    dr_tensor *sum = dr_add(dr_axpy(2.0, k2, k1), dr_axpy(2.0, k3, k4));
    return dr_axpy(dt / 6, sum, x);
}

DR_SAMPLER(rk4, "Classical fourth-order Runge-Kutta step", params, .step = step, .order = 4)
