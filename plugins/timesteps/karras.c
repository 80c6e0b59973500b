/* karras.c: noise levels evenly spaced in their rho-th root, which puts most steps near the data.     Karras et al. 2022, eq. 5
 *   sigma_i = (sigma_max^(1/rho) + i/(n-1) (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho,  i = 0..n-1;  sigma_n = 0
 * with sigma read as sigma/alpha, so that it serves every process. */
#include "noise_levels.h"
#include <math.h>

typedef struct { double sigma_min, sigma_max, rho; } karras;

static const dr_param params[] = {
    DR_REAL(karras, sigma_min, 0, 0, 1e6, "least noise/signal before the last step; 0: the process's own end, or its first "
                                          "step's, or 0.002"),
    DR_REAL(karras, sigma_max, 0, 0, 1e6, "noise/signal at the first step; 0: the process's own end, or 80 where that has "
                                          "no signal"),
    DR_REAL(karras, rho, 7, 0.01, 1000, "1 spaces the levels evenly; the larger, the more steps near the data"),
    DR_END
};

static double level(const noise_levels *l, double u, double rho)
{
    const double most = pow(l->most, 1.0 / rho), least = pow(l->least, 1.0 / rho);
    return pow(most + u * (least - most), rho);
}

static dr_status lay(void *self, dr_model *f, int64_t n, double *t)
{
    const karras *p = self;
    noise_levels l;
    if (noise_levels_for("karras", f, p->sigma_min, p->sigma_max, n, &l) != DR_OK) return dr_failed();
    noise_levels_lay(&l, f, level, p->rho, n, t);
    return DR_OK;
}

DR_TIMESTEPS(karras, "Noise levels even in their rho-th root", params, .lay = lay)
