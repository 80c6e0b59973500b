/* log_snr.c: noise levels evenly spaced in the logarithm of the signal-to-noise ratio.     Lu et al. 2022 (DPM-Solver)
 *   lambda = log(alpha/sigma);  lambda_i = lambda_min + i/(n-1) (lambda_max - lambda_min),  i = 0..n-1;  sigma_n = 0 */
#include "noise_levels.h"
#include <math.h>

typedef struct { double sigma_min, sigma_max; } log_snr;

static const dr_param params[] = {
    DR_REAL(log_snr, sigma_min, 0, 0, 1e6, "least noise/signal before the last step; 0: the process's own end, or its first "
                                           "step's, or 0.002"),
    DR_REAL(log_snr, sigma_max, 0, 0, 1e6, "noise/signal at the first step; 0: the process's own end, or 80 where that has "
                                           "no signal"),
    DR_END
};

static double level(const noise_levels *l, double u, double unused)
{
    (void)unused;
    return l->most * pow(l->least / l->most, u);
}

static dr_status lay(void *self, dr_model *f, int64_t n, double *t)
{
    const log_snr *p = self;
    noise_levels l;
    if (noise_levels_for("log_snr", f, p->sigma_min, p->sigma_max, n, &l) != DR_OK) return dr_failed();
    noise_levels_lay(&l, f, level, 0.0, n, t);
    return DR_OK;
}

DR_TIMESTEPS(log_snr, "Noise levels even in log(alpha/sigma)", params, .lay = lay)
