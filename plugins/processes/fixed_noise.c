/* fixed_noise.c: a denoiser's one noise level.
 *   x_t = (1 - (1 - signal) t/sigma) x0 + t eps, trained at t = sigma only: signal x0 + sigma eps
 * With signal 1 that is x0 + t eps; with signal 0 the network is shown noise alone, and the best that it can answer is
 * the mean of the data. Sampling runs from t = sigma to 0, so one Euler step gives the denoised image. */
#include <drift/plugin.h>

enum { PREDICT_X0 = 0, PREDICT_EPS };

typedef struct {
    double sigma;
    int64_t predict;
    double signal;
} fixed_noise;

static const dr_param params[] = {
    DR_REAL(fixed_noise, sigma, 0.5, 1e-6, 1e6, "standard deviation of the noise"),
    DR_ENUM(fixed_noise, predict, PREDICT_X0, "x0|eps", "what the network returns"),
    DR_REAL(fixed_noise, signal, 1.0, 0.0, 1.0, "how much of the image is in what the network sees (0: pure noise)"),
    DR_END
};

static dr_status create(void *self)
{
    const fixed_noise *f = self;
    if (f->signal > 0.0 || f->predict == PREDICT_X0) return DR_OK;
    return dr_fail(DR_EINVAL, "process fixed_noise: signal = 0 shows the network nothing but eps, so predict = eps would "
                              "learn nothing; predict = x0 learns the mean of the data");
}

static double draw_t(void *self, double u)
{
    const fixed_noise *f = self;
    (void)u;
    return f->sigma;
}

static void coef(void *self, double t, dr_coef *c)
{
    const fixed_noise *f = self;
    const double eps = f->predict == PREDICT_EPS ? 1.0 : 0.0, lost = 1.0 - f->signal;
    *c = (dr_coef){ .alpha = 1.0 - lost * (t / f->sigma), .sigma = t, .dalpha = -lost / f->sigma, .dsigma = 1.0,
                    .p = 1.0 - eps, .q = eps, .c_in = 1.0, .time = t, .weight = 1.0 };
}

static void range(void *self, double *t_noise, double *t_data, int64_t *steps)
{
    const fixed_noise *f = self;
    *t_noise = f->sigma, *t_data = 0.0, *steps = 0;
}

/* sigma/alpha = t/(1 - (1 - signal) t/sigma), whatever the one time that is trained on. */
static double time_of(void *self, double noise_to_signal)
{
    const fixed_noise *f = self;
    return 1.0 / (1.0 / noise_to_signal + (1.0 - f->signal) / f->sigma);
}

DR_PROCESS(fixed_noise, "x0 + sigma eps at one sigma: a single-step denoiser", params, .create = create,
           .draw_t = draw_t, .coef = coef, .range = range, .time = time_of)
