/* ve.c: the variance-exploding SDE: noise is added, the data stay as they are.     Song et al. 2021, eq. 9 and 30
 *   x_t = x0 + sigma(t) eps,  sigma(t) = sigma_min (sigma_max/sigma_min)^t,  t from 0 (data) to 1 (noise)
 * The network sees x_t/sqrt(sigma^2 + sigma_data^2) and t, which is linear in ln sigma. The paper sets sigma(0) = 0 and
 * uses t >= eps_t alone, as sigma jumps there; here sigma falls to 0 on a line between eps_t and 0, so that every noise
 * level has its t and a step from eps_t to 0 is the denoising step. */
#include "prediction.h"

#include <math.h>

typedef struct {
    double sigma_min, sigma_max, sigma_data, eps_t;
    int64_t predict;
} ve;

static const dr_param params[] = {
    DR_REAL(ve, sigma_min, 0.01, 1e-9, 1e6, "sigma next to the data"),
    DR_REAL(ve, sigma_max, 50, 1e-9, 1e9, "sigma at t = 1, where sampling starts"),
    DR_REAL(ve, sigma_data, 0.5, 0, 1e6, "standard deviation of the data, for the scale of the network's input"),
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
static double geometric(const ve *p, double t) { return p->sigma_min * exp(t * log_ratio(p)); }

static void coef(void *self, double t, dr_coef *c)
{
    const ve *p = self;
    const double slope = geometric(p, p->eps_t) / p->eps_t;
    const double sigma = t >= p->eps_t ? geometric(p, t) : fmax(t, 0.0) * slope;
    *c = (dr_coef){ .alpha = 1.0, .sigma = sigma, .dalpha = 0.0, .dsigma = t >= p->eps_t ? sigma * log_ratio(p) : slope,
                    .c_in = 1.0 / hypot(sigma, p->sigma_data), .time = t, .weight = 1.0 };
    if (t <= 0.0) c->dsigma = INFINITY; /* the paper's jump: no velocity there */
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
    const double least = geometric(p, p->eps_t);
    if (noise_to_signal < least) return p->eps_t * noise_to_signal / least;
    return isfinite(noise_to_signal) ? log(noise_to_signal / p->sigma_min) / log_ratio(p) : 1.0;
}

DR_PROCESS(ve, "The variance-exploding SDE: x0 + sigma(t) eps, sigma geometric in t", params, .create = create,
           .draw_t = draw_t, .coef = coef, .range = range, .time = time)
