/* edm.c: noise of standard deviation t = sigma, and a network preconditioned to unit variance.     Karras et al. 2022
 *   x_t = x0 + sigma eps,   D(x) = c_skip x + c_out F(c_in x, ln(sigma)/4) is the estimate of x0
 *   c_skip = s_d^2/(sigma^2 + s_d^2),  c_out = sigma s_d/sqrt(sigma^2 + s_d^2),  c_in = 1/sqrt(sigma^2 + s_d^2)
 *   training: ln sigma ~ N(P_mean, P_std^2), loss lambda |D - x0|^2 with lambda = (sigma^2 + s_d^2)/(sigma s_d)^2
 * The network's own output F is asked for (x0 - c_skip x)/c_out = p x0 + q eps, with p = (1 - c_skip)/c_out and
 * q = -c_skip sigma/c_out; the weight of its error is lambda c_out^2 = 1. The preconditioning is the prediction. */
#include <drift/plugin.h>
#include <math.h>

typedef struct { double sigma_data, sigma_min, sigma_max, P_mean, P_std; } edm;

static const dr_param params[] = {
    DR_REAL(edm, sigma_data, 0.5, 1e-6, 1e6, "standard deviation of the data"),
    DR_REAL(edm, sigma_min, 0.002, 1e-9, 1e6, "smallest sigma of training"),
    DR_REAL(edm, sigma_max, 80, 1e-9, 1e9, "largest sigma, where sampling starts"),
    DR_REAL(edm, P_mean, -1.2, -20, 20, "mean of ln sigma in training"),
    DR_REAL(edm, P_std, 1.2, 0, 20, "standard deviation of ln sigma in training"),
    DR_END
};

static dr_status create(void *self)
{
    const edm *e = self;
    if (e->sigma_min < e->sigma_max) return DR_OK;
    return dr_fail(DR_EINVAL, "process edm: sigma_min = %g should be below sigma_max = %g", e->sigma_min, e->sigma_max);
}

static double draw_t(void *self, double u)
{
    const edm *e = self;
    const double z = e->P_std > 0.0 ? e->P_std * dr_normal_quantile(u) : 0.0;
    return fmin(fmax(exp(e->P_mean + z), e->sigma_min), e->sigma_max);
}

/* Without quotients of small numbers: they hold at sigma = 0, where F is asked for -eps. There the network cannot be
 * asked at all, since its time ln(sigma)/4 is not finite. */
static void coef(void *self, double t, dr_coef *c)
{
    const edm *e = self;
    const double norm = hypot(t, e->sigma_data);
    *c = (dr_coef){ .alpha = 1.0, .sigma = t, .dalpha = 0.0, .dsigma = 1.0, .p = t / (e->sigma_data * norm),
                    .q = -e->sigma_data / norm, .c_in = 1.0 / norm, .time = log(t) / 4.0, .weight = 1.0 };
}

static void range(void *self, double *t_noise, double *t_data, int64_t *steps)
{
    const edm *e = self;
    *t_noise = e->sigma_max, *t_data = 0.0, *steps = 0;
}

static double time(void *self, double noise_to_signal)
{
    (void)self;
    return noise_to_signal;
}

DR_PROCESS(edm, "x_t = x0 + sigma eps, t = sigma, with EDM's preconditioned network", params, .create = create,
           .draw_t = draw_t, .coef = coef, .range = range, .time = time)
