/* euler_ancestral.c: Euler's step down to less noise than t' has, then fresh noise up to it.     Song et al. 2021 (score SDE), appendix F
 *   In sigma_hat = sigma/alpha and x_hat = x/alpha, where dx_hat/dsigma_hat = eps_hat:
 *   up^2 = eta^2 sigma_hat'^2 (1 - sigma_hat'^2/sigma_hat^2),  down^2 = sigma_hat'^2 - up^2
 *   x_hat' = x_hat + (down - sigma_hat) eps_hat + up z
 * Since x_hat - sigma_hat eps_hat = x0_hat, no infinity is met at pure noise. The same law as ddim's with this eta. */
#include <drift/plugin.h>
#include <math.h>

typedef struct {
    int64_t steps;
    double eta, s_noise;
    dr_instance *timesteps;
} euler_ancestral;

static const dr_param params[] = {
    DR_INT(euler_ancestral, steps, 50, 0, 1000000, "steps from noise to data; 0: all of the process's"),
    DR_REAL(euler_ancestral, eta, 1, 0, 1, "share of fresh noise: 0 is Euler's step in sigma/alpha"),
    DR_REAL(euler_ancestral, s_noise, 1, 0, 10, "factor on the fresh noise"),
    DR_COMPONENT_PARAM(euler_ancestral, timesteps, "timesteps:even", "how the steps are laid between noise and data"),
    DR_END
};

static dr_tensor *step(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    const euler_ancestral *p = self;
    dr_coef now, next;
    dr_model_coef(f, t, &now);
    dr_model_coef(f, t_next, &next);
    const double sigma = next.sigma / next.alpha;                                         /* sigma_hat' */
    const double ratio = next.sigma * now.alpha / (next.alpha * now.sigma);               /* sigma_hat'/sigma_hat; 0 at pure noise */
    if (!(ratio < 1.0) || !isfinite(sigma)) {
        dr_fail(DR_EINVAL, "sampler euler_ancestral: t = %g to %g does not go towards the data", t, t_next);
        return NULL;
    }
    const double up = p->eta * sigma * sqrt(1.0 - ratio * ratio), down = sqrt(fmax(sigma * sigma - up * up, 0.0));
    dr_tensor *x0 = dr_eval_x0(f, x, t);                                                  /* [B,C,H,W] */
    dr_tensor *x_hat = down > 0.0 ? dr_axpy(down, dr_x0_to_eps(f, x, x0, t), x0) : x0;
    if (up > 0.0) x_hat = dr_axpy(up * p->s_noise, dr_noise_like(x, rng), x_hat);
    return next.alpha == 1.0 ? x_hat : dr_scale(next.alpha, x_hat);
}

DR_SAMPLER(euler_ancestral, "Euler's step in sigma/alpha with fresh noise", params, .step = step, .order = 0)
