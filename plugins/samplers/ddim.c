/* ddim.c: denoising diffusion implicit models: from the estimates of data and noise to their mixture at t'.
 *                                                                                    Song, Meng & Ermon 2021, eq. 12 and 16
 *   a = alpha_t/alpha_t',  beta = sigma_t^2 - a^2 sigma_t'^2,  s = eta sqrt(beta) sigma_t'/sigma_t
 *   x' = alpha_t' x0_hat + sqrt(sigma_t'^2 - s^2) eps_hat + s z
 * eta = 0: an ODE's step, also from data to noise; eta = 1: ddpm's with its posterior variance. */
#include <drift/plugin.h>
#include <math.h>

typedef struct {
    int64_t steps;
    double eta;
    dr_instance *timesteps;
} ddim;

static const dr_param params[] = {
    DR_INT(ddim, steps, 50, 0, 1000000, "steps from noise to data; 0: all of the process's"),
    DR_REAL(ddim, eta, 0, 0, 1, "share of fresh noise: 0 none, 1 as much as ancestral sampling adds"),
    DR_COMPONENT_PARAM(ddim, timesteps, "timesteps:even", "how the steps are laid between noise and data"),
    DR_END
};

static dr_tensor *step(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    const ddim *p = self;
    dr_coef now, next;
    dr_model_coef(f, t, &now);
    dr_model_coef(f, t_next, &next);
    const double a = now.alpha / next.alpha, beta = now.sigma * now.sigma - a * a * next.sigma * next.sigma;

    if (p->eta > 0.0 && !(beta > 0.0)) {
        dr_fail(DR_EINVAL, "sampler ddim: t = %g to %g does not go towards the data, so it cannot add noise (eta = %g)", t,
                t_next, p->eta);
        return NULL;
    }
    const double s = p->eta > 0.0 ? p->eta * sqrt(beta) * next.sigma / now.sigma : 0.0;
    const double of_eps = sqrt(fmax(next.sigma * next.sigma - s * s, 0.0));
    dr_tensor *x0 = dr_eval_x0(f, x, t); /* [B,C,H,W] */
    dr_tensor *mean = dr_scale(next.alpha, x0);
    if (of_eps > 0.0) mean = dr_axpy(of_eps, dr_x0_to_eps(f, x, x0, t), mean);
    return s > 0.0 ? dr_axpy(s, dr_noise_like(x, rng), mean) : mean;
}

DR_SAMPLER(ddim, "Denoising diffusion implicit step, eta from ODE to ancestral", params, .step = step, .order = 1)
