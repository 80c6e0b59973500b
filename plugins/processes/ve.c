/* ve.c: the variance-exploding SDE: noise is added, the data stay as they are.     Song et al. 2021, eq. 9 and 29
 *   dx = s(t) sqrt(2 ln(sigma_max/sigma_min)) dw,  s(t) = sigma_min (sigma_max/sigma_min)^t,  t from 0 (data) to 1 (noise)
 *   x_t = x0 + sigma eps,  sigma^2 = s(t)^2 - s(0)^2
 * The network sees x_t/sqrt(sigma^2 + sigma_data^2) and t, which is all but linear in ln sigma. The paper's experiments
 * leave out s(0)^2, so that there sigma jumps from sigma_min to 0 at the data; well above sigma_min it makes no difference. */
#include "prediction.h"

#include <math.h>

typedef struct {
    double sigma_min, sigma_max, sigma_data, eps_t;
    int64_t predict;
} ve;

static const dr_param params[] = {
    DR_REAL(ve, sigma_min, 0.01, 1e-9, 1e6, "sigma is geometric in t above it"),
    DR_REAL(ve, sigma_max, 50, 1e-9, 1e9, "sigma at t = 1, where sampling starts"),
    DR_REAL(ve, sigma_data, 0.5, 1e-6, 1e6, "standard deviation of the data, for the scale of the network's input"),
    DR_REAL(ve, eps_t, 1e-5, 1e-9, 0.5, "smallest training time"),
    DR_ENUM(ve, predict, PREDICT_EPS, PREDICTIONS, PREDICTIONS_DOC),
    DR_END
};

static dr_status create(void *self)
{
    const ve *p = self;
    if (p->sigma_min < p->sigma_max) return DR_OK;
    return dr_fail(DR_EINVAL, "process ve: sigma_min = %g should be below sigma_max = %g", p->sigma_min, p->sigma_max);
}

static double draw_t(void *self, double u)
{
    const ve *p = self;
    return p->eps_t + (1.0 - p->eps_t) * u;
}

static double log_ratio(const ve *p) { return log(p->sigma_max / p->sigma_min); }

/* sigma sigma' = s(t)^2 ln(sigma_max/sigma_min); at t = 0 sigma' is infinite. */
static void coef(void *self, double t, dr_coef *c)
{
    const ve *p = self;
    const double rate = log_ratio(p), sigma = p->sigma_min * sqrt(expm1(2.0 * fmax(t, 0.0) * rate));
    const double s2 = sigma * sigma + p->sigma_min * p->sigma_min;
    *c = (dr_coef){ .alpha = 1.0, .sigma = sigma, .dalpha = 0.0, .dsigma = sigma > 0.0 ? s2 * rate / sigma : INFINITY,
                    .c_in = 1.0 / hypot(sigma, p->sigma_data), .time = t, .weight = 1.0 };
    set_target((prediction)p->predict, c);
}

static void range(void *self, double *t_noise, double *t_data, int64_t *steps)
{
    (void)self;
    *t_noise = 1.0, *t_data = 0.0, *steps = 0;
}

static double time(void *self, double noise_to_signal)
{
    const ve *p = self;
    const double ratio = noise_to_signal / p->sigma_min;
    return isfinite(ratio) ? log1p(ratio * ratio) / (2.0 * log_ratio(p)) : 1.0;
}

DR_PROCESS(ve, "The variance-exploding SDE: x0 + sigma(t) eps, sigma geometric in t", params, .create = create,
           .draw_t = draw_t, .coef = coef, .range = range, .time = time)
