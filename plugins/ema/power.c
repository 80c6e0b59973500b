/* power.c: an average whose memory grows with training.     Karras et al. 2024 (EDM2), section 3 and appendix C
 *   average(t) = (gamma+1)/t^(gamma+1)  integral from 0 to t of  s^gamma weight(s) ds
 *   d(t) = (1 - 1/t)^(gamma+1): 0 at the first step, so the initial weights leave no trace
 *   width relative to t:  sigma_rel = sqrt(gamma+1) / ((gamma+2) sqrt(gamma+3)),  solved for the larger gamma
 * Averages of two widths that are kept on the way give those of any other width later: lua/drift/post_hoc_ema.lua. */
#include <drift/plugin.h>
#include <math.h>

typedef struct { double sigma_rel, gamma; } power;

#define WIDEST 0.28867513459481287 /* of gamma = 0, the plain mean of all weights: 1/sqrt(12) */

static const dr_param params[] = {
    DR_REAL(power, sigma_rel, 0.1, 1e-4, WIDEST, "width of the profile, relative to training's length"),
    DR_REAL(power, gamma, -1, -1, 1e8, "exponent of the profile; -1: from sigma_rel"),
    DR_END
};

static double width(double gamma) { return sqrt((gamma + 1) / (gamma + 3)) / (gamma + 2); }

/* The width falls as gamma grows from 0 on, so bisecting finds the one that fits; to the last bit or so. */
static double gamma_of(double sigma_rel)
{
    double low = 0.0, high = 1.0 / sigma_rel; /* width(gamma) < 1/gamma */
    if (!(sigma_rel > 0.0)) return INFINITY;
    for (int i = 0; i < 200; i++) {
        const double middle = 0.5 * (low + high);
        if (width(middle) > sigma_rel) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return 0.5 * (low + high);
}

static double decay(void *self, int64_t step)
{
    const power *e = self;
    const double gamma = e->gamma == -1.0 ? gamma_of(e->sigma_rel) : e->gamma;
    return pow(1.0 - 1.0 / (double)step, gamma + 1.0);
}

static double ema_gamma(double sigma_rel)
{
    if (sigma_rel > 0.0 && sigma_rel <= WIDEST) return gamma_of(sigma_rel);
    dr_fail(DR_EINVAL, "sigma_rel = %g is outside (0, %.6g]", sigma_rel, WIDEST);
    return NAN;
}

static double ema_sigma_rel(double gamma)
{
    if (gamma > -1.0) return width(gamma);
    dr_fail(DR_EINVAL, "gamma = %g is not above -1", gamma);
    return NAN;
}

DR_EMA(power, "Power-function profile: memory that grows with training", params, .decay = decay)
DR_EXPORT(ema_gamma, "real(real)", "the exponent of a power-function average of this relative width")
DR_EXPORT(ema_sigma_rel, "real(real)", "the relative width of a power-function average of this exponent")
