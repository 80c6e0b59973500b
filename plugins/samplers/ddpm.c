/* ddpm.c: ancestral sampling, one draw from q(x_t' | x_t, x0_hat) per step.     Ho, Jain & Abbeel 2020, eq. 6 and 7
 *   a = alpha_t/alpha_t',  beta = sigma_t^2 - a^2 sigma_t'^2
 *   x' = alpha_t' beta/sigma_t^2 x0_hat + a sigma_t'^2/sigma_t^2 x + s z,   s^2 = beta, or btilde = beta sigma_t'^2/sigma_t^2
 *   or between the two, as the network's variance output v says:     Nichol & Dhariwal 2021, eq. 15
 *   log s^2 = f log beta + (1-f) log btilde,   f = (v+1)/2
 * With alpha^2 = abar this is the paper's step for neighbouring t, and its strided form for any t' nearer to the data.
 * The last step (sigma_t' = 0) adds no noise; only that of a learned variance does, by the same equation (log btilde has a
 * floor), unless it is from the chain's first t, as DeepFloyd IF's scheduler has it. */
#include <drift/plugin.h>
#include <math.h>

enum { VARIANCE_BETA = 0, VARIANCE_POSTERIOR, VARIANCE_LEARNED_RANGE };

typedef struct {
    int64_t steps, variance;
    _Bool clip;
    double clip_min, clip_max;
    dr_instance *timesteps;
} ddpm;

static const dr_param params[] = {
    DR_INT(ddpm, steps, 0, 0, 1000000, "steps from noise to data; 0: all of the process's"),
    DR_ENUM(ddpm, variance, VARIANCE_BETA, "beta|posterior|learned_range",
            "of the noise: beta, beta sigma_t'^2/sigma_t^2, or between them by the network's second half of channels"),
    DR_BOOL(ddpm, clip, 0, "hold the estimate of the data within [clip_min, clip_max]"),
    DR_REAL(ddpm, clip_min, 0, -1e6, 1e6, "darkest value of the data"),
    DR_REAL(ddpm, clip_max, 1, -1e6, 1e6, "brightest value of the data"),
    DR_COMPONENT_PARAM(ddpm, timesteps, "timesteps:even", "how the steps are laid between noise and data"),
    DR_END
};

/* s z, with an s for each pixel. */
static dr_tensor *learned_noise(dr_model *f, double beta, double posterior, dr_tensor *z)
{
    const double most = log(beta), least = log(fmax(posterior, 1e-20));
    dr_tensor *v = dr_variance(f); /* [B,C,H,W] */
    if (!v) {
        dr_fail(DR_EINVAL, "sampler ddpm: variance = learned_range needs a network that returns twice the channels of x; "
                           "this one, or its guidance, has no variance output");
        return NULL;
    }
    return dr_mul(dr_exp(dr_affine((most - least) / 4.0, v, (most + least) / 4.0)), z); /* log s = (log s^2)/2 */
}

static dr_tensor *step(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    const ddpm *p = self;
    dr_coef now, next;
    dr_model_coef(f, t, &now);
    dr_model_coef(f, t_next, &next);
    const double a = now.alpha / next.alpha, var = now.sigma * now.sigma, var_next = next.sigma * next.sigma;
    const double beta = var - a * a * var_next;

    if (!isfinite(a) || !(beta > 0.0)) {
        dr_fail(DR_EINVAL, "sampler ddpm: t = %g to %g does not go towards the data", t, t_next);
        return NULL;
    }
    if (p->variance != VARIANCE_POSTERIOR && fabs(now.alpha * now.alpha + var - 1.0) > 1e-6) {
        dr_fail(DR_EINVAL, "sampler ddpm: variance = %s needs a process with alpha^2 + sigma^2 = 1; "
                           "this one needs variance = posterior",
                p->variance == VARIANCE_BETA ? "beta" : "learned_range");
        return NULL;
    }
    dr_tensor *x0 = dr_eval_x0(f, x, t); /* [B,C,H,W] */
    if (p->clip) x0 = dr_clamp(x0, p->clip_min, p->clip_max);
    dr_tensor *mean = dr_axpy(next.alpha * beta / var, x0, dr_scale(a * var_next / var, x));
    if (next.sigma == 0.0 && (p->variance != VARIANCE_LEARNED_RANGE || t <= 1.0)) return mean;
    dr_tensor *z = dr_noise_like(x, rng);
    const double posterior = beta * var_next / var;
    if (p->variance == VARIANCE_LEARNED_RANGE) return dr_add(mean, learned_noise(f, beta, posterior, z));
    return dr_axpy(sqrt(p->variance == VARIANCE_BETA ? beta : posterior), z, mean);
}

DR_SAMPLER(ddpm, "Ancestral sampling of DDPM, for any stride", params, .step = step, .order = 0)
