/* vp.c: the variance-preserving SDE, the limit of DDPM's chain for many steps.     Song et al. 2021, eq. 11 and 33
 *   dx = -beta/2 x dt + sqrt(beta) dw,  beta(t) = beta_min + t (beta_max - beta_min),  t from 0 (data) to 1 (noise)
 *   x_t = alpha x0 + sigma eps,  alpha = exp(-L/2),  sigma^2 = 1 - exp(-L),  L = t^2/2 (beta_max - beta_min) + t beta_min
 * The network sees t. Trained from eps_t on; sampling ends at t = 0, where sigma is 0. */
#include "prediction.h"

#include <math.h>

typedef struct {
    double beta_min, beta_max, eps_t;
    int64_t predict;
} vp;

static const dr_param params[] = {
    DR_REAL(vp, beta_min, 0.1, 1e-6, 1000, "beta at the data"),
    DR_REAL(vp, beta_max, 20, 1e-6, 1000, "beta at pure noise"),
    DR_REAL(vp, eps_t, 1e-5, 1e-9, 0.5, "smallest training time"),
    DR_ENUM(vp, predict, PREDICT_EPS, PREDICTIONS, PREDICTIONS_DOC),
    DR_END
};

static double draw_t(void *self, double u)
{
    const vp *p = self;
    return p->eps_t + (1.0 - p->eps_t) * u;
}

/* sigma sigma' = exp(-L) L'/2; at t = 0 sigma' is infinite. */
static void coef(void *self, double t, dr_coef *c)
{
    const vp *p = self;
    const double rise = p->beta_max - p->beta_min, from = fmax(t, 0.0);
    const double L = from * (from / 2.0 * rise + p->beta_min), beta = p->beta_min + from * rise;
    c->alpha = exp(-L / 2.0);
    c->sigma = sqrt(-expm1(-L));
    c->dalpha = -c->alpha * beta / 2.0;
    c->dsigma = from > 0.0 ? c->alpha * c->alpha * beta / (2.0 * c->sigma) : INFINITY;
    c->c_in = 1.0, c->weight = 1.0;
    c->time = t;
    set_target((prediction)p->predict, c);
}

static void range(void *self, double *t_noise, double *t_data, int64_t *steps)
{
    (void)self;
    *t_noise = 1.0, *t_data = 0.0, *steps = 0;
}

/* L = ln(1 + ratio^2), and t is the positive root of t^2/2 rise + t beta_min = L, in the form that does not cancel.
 * Where beta falls (beta_max < beta_min), L stops rising and larger ratios have no t. */
static double time(void *self, double noise_to_signal)
{
    const vp *p = self;
    const double L = log1p(noise_to_signal * noise_to_signal);
    const double discriminant = p->beta_min * p->beta_min + 2.0 * (p->beta_max - p->beta_min) * L;
    if (!isfinite(L) || discriminant < 0.0) return 1.0;
    return 2.0 * L / (p->beta_min + sqrt(discriminant));
}

DR_PROCESS(vp, "The variance-preserving SDE: DDPM in continuous time", params, .draw_t = draw_t, .coef = coef,
           .range = range, .time = time)
