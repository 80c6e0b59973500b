/* sigmoid_beta.c: beta follows a sigmoid; what diffusers calls "sigmoid".     Xu et al. 2022 (GeoDiff)
 *   beta_i = beta_start + (beta_end - beta_start)/(1 + e^-x_i),  x_i evenly from -steepness to steepness, i = 0..T-1 */
#include <drift/plugin.h>
#include <math.h>

typedef struct { double beta_start, beta_end, steepness; } sigmoid_beta;

static const dr_param params[] = {
    DR_REAL(sigmoid_beta, beta_start, 1e-4, 1e-12, 0.999, "beta long before the first step"),
    DR_REAL(sigmoid_beta, beta_end, 0.02, 1e-12, 0.999, "beta long after the last step"),
    DR_REAL(sigmoid_beta, steepness, 6, 0, 100, "how much of the sigmoid the chain sees"),
    DR_END
};

static double beta(void *self, int64_t i, int64_t T)
{
    const sigmoid_beta *s = self;
    const double x = s->steepness * (T < 2 ? -1.0 : 2.0 * (double)i / (double)(T - 1) - 1.0);
    return s->beta_start + (s->beta_end - s->beta_start) / (1.0 + exp(-x));
}

DR_SCHEDULE(sigmoid_beta, "beta follows a sigmoid", params, .beta = beta)
