/* dpmpp_2m.c: DPM-Solver++(2M): exponential integrator in lambda = log(alpha/sigma), from the last two estimates of the data.
 *                                                                                    Lu et al. 2022 (DPM-Solver++), algorithm 2
 *   h = lambda' - lambda,  r = (lambda - lambda_previous)/h,  D = (1 + 1/(2r)) x0_hat - 1/(2r) x0_hat_previous
 *   x' = sigma'/sigma x - alpha' (e^-h - 1) D
 * D = x0_hat in the first step, from pure noise and to no noise, where h is infinite. One model call a step. */
#include "multistep.h"

typedef struct {
    int64_t steps;
    dr_instance *timesteps;
} dpmpp_2m;

static const dr_param params[] = {
    DR_INT(dpmpp_2m, steps, 20, 0, 1000000, "steps from noise to data; 0: all of the process's"),
    DR_COMPONENT_PARAM(dpmpp_2m, timesteps, "timesteps:even", "how the steps are laid between noise and data"),
    DR_END
};

static dr_tensor *step(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    dr_coef now, next;
    (void)self, (void)rng;
    dr_model_coef(f, t, &now);
    dr_model_coef(f, t_next, &next);
    dr_tensor *D = multistep_x0("dpmpp_2m", f, x, t, t_next);                                         /* [B,C,H,W] */
    const double decay = next.sigma * now.alpha / (next.alpha * now.sigma);               /* e^-h; 0 from pure noise */
    if (decay == 0.0 && next.sigma == 0.0) return next.alpha == 1.0 ? D : dr_scale(next.alpha, D);
    return dr_axpy(next.alpha * (1.0 - decay), D, dr_scale(next.sigma / now.sigma, x));
}

DR_SAMPLER(dpmpp_2m, "DPM-Solver++(2M): second-order multistep in log(alpha/sigma)", params, .step = step, .order = 2)
