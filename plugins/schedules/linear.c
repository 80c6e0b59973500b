/* linear.c: beta rises evenly over the chain.     Ho, Jain & Abbeel 2020
 *   beta_i = beta_start + (beta_end - beta_start) i/(T-1),  i = 0..T-1 */
#include <drift/plugin.h>

typedef struct { double beta_start, beta_end; } linear;

static const dr_param params[] = {
    DR_REAL(linear, beta_start, 1e-4, 1e-12, 0.999, "beta of the first step, next to the data"),
    DR_REAL(linear, beta_end, 0.02, 1e-12, 0.999, "beta of the last step, next to pure noise"),
    DR_END
};

static double beta(void *self, int64_t i, int64_t T)
{
    const linear *s = self;
    if (T < 2) return s->beta_start;
    return s->beta_start + (s->beta_end - s->beta_start) * (double)i / (double)(T - 1);
}

DR_SCHEDULE(linear, "beta rises evenly", params, .beta = beta)
