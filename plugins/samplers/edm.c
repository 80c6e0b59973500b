/* edm.c: the sampler of EDM: fresh noise ("churn"), then Heun's step in the noise level.     Karras et al. 2022, algorithm 2
 *   In sigma_hat = sigma/alpha and x_hat = x/alpha, where dx_hat/dsigma_hat = eps_hat = (x_hat - x0_hat)/sigma_hat:
 *   gamma = min(s_churn/N, sqrt(2)-1) if s_tmin <= sigma_hat <= s_tmax else 0
 *   up = sigma_hat (1 + gamma);  x_hat <- x_hat + sqrt(up^2 - sigma_hat^2) s_noise z
 *   d = eps_hat(x_hat, up),  y = x_hat + (sigma_hat' - up) d,  d' = eps_hat(y, sigma_hat'),  x_hat' = y + (sigma_hat' - up)(d' - d)/2
 * First order to sigma' = 0, and from pure noise (alpha = 0), where sigma_hat is infinite and x_hat - up d = x0_hat. */
#include <drift/plugin.h>
#include <math.h>

typedef struct {
    int64_t steps, order;
    double s_churn, s_tmin, s_tmax, s_noise;
    dr_instance *timesteps;
} edm;

static const dr_param params[] = {
    DR_INT(edm, steps, 18, 0, 1000000, "steps from noise to data, of two model calls each; 0: all of the process's"),
    DR_INT(edm, order, 2, 1, 2, "1 = Euler, 2 = Heun"),
    DR_REAL(edm, s_churn, 0, 0, 1e6, "fresh noise, over all steps together; 0: an ODE"),
    DR_REAL(edm, s_tmin, 0, 0, 1e9, "least sigma/alpha that gets fresh noise"),
    DR_REAL(edm, s_tmax, 1e9, 0, 1e9, "largest sigma/alpha that gets fresh noise"),
    DR_REAL(edm, s_noise, 1, 0, 10, "factor on the fresh noise"),
    DR_COMPONENT_PARAM(edm, timesteps, "timesteps:karras", "how the steps are laid between noise and data"),
    DR_END
};

static double level(const dr_coef *c) { return c->alpha > 0.0 ? c->sigma / c->alpha : INFINITY; }

static double gamma_at(const edm *p, dr_model *f, double sigma)
{
    double t_noise, t_data;
    int64_t chain;
    dr_model_range(f, &t_noise, &t_data, &chain);
    const double steps = (double)(p->steps > 0 ? p->steps : chain);
    if (!(p->s_churn > 0.0) || sigma < p->s_tmin || sigma > p->s_tmax || !isfinite(sigma) || steps <= 0) return 0.0;
    return fmin(p->s_churn / steps, sqrt(2.0) - 1.0);
}

/* x at t, taken up to the noise level (1 + gamma) sigma_hat: t and c become those there. A process that ends before goes to
 * its end. */
static dr_tensor *churn(const edm *p, dr_model *f, dr_tensor *x, double *t, dr_coef *c, double gamma, const dr_rng *rng)
{
    const dr_coef from = *c;
    *t = dr_process_time(dr_model_process(f), (1.0 + gamma) * level(c));
    dr_model_coef(f, *t, c);
    const double added = level(c) * level(c) - level(&from) * level(&from);
    if (!(c->alpha > 0.0)) {
        dr_fail(DR_EINVAL, "sampler edm: churn at sigma/alpha = %g reaches pure noise; lower s_tmax", level(&from));
        return NULL;
    }
    dr_tensor *same = c->alpha == from.alpha ? x : dr_scale(c->alpha / from.alpha, x); /* x_hat is what stays */
    return dr_axpy(c->alpha * sqrt(fmax(added, 0.0)) * p->s_noise, dr_noise_like(x, rng), same);
}

static dr_tensor *step(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    const edm *p = self;
    dr_coef now, next;
    dr_model_coef(f, t, &now);
    dr_model_coef(f, t_next, &next);
    const double gamma = gamma_at(p, f, level(&now)), end = level(&next);
    if (!(end < level(&now))) {
        dr_fail(DR_EINVAL, "sampler edm: t = %g to %g does not go towards the data", t, t_next);
        return NULL;
    }
    if (gamma > 0.0) x = churn(p, f, x, &t, &now, gamma, rng);

    dr_tensor *x0 = dr_eval_x0(f, x, t);                                   /* [B,C,H,W] */
    if (end == 0.0) return next.alpha == 1.0 ? x0 : dr_scale(next.alpha, x0);
    dr_tensor *d = dr_x0_to_eps(f, x, x0, t);
    dr_tensor *y = dr_axpy(next.sigma, d, dr_scale(next.alpha, x0));       /* Euler */
    if (p->order == 1 || now.alpha == 0.0) return y;
    dr_tensor *d1 = dr_eval_eps(f, y, t_next);
    return dr_axpy(next.alpha * (end - level(&now)) / 2, dr_sub(d1, d), y);
}

DR_SAMPLER(edm, "Stochastic churn and Heun's step in sigma/alpha", params, .step = step, .order = 2)
