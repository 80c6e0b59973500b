/* scaled_linear.c: the root of beta rises evenly.     Rombach et al. 2022 (latent diffusion, Stable Diffusion)
 *   beta_i = (sqrt(beta_start) + (sqrt(beta_end) - sqrt(beta_start)) i/(T-1))^2,  i = 0..T-1 */
#include <drift/plugin.h>
#include <math.h>

typedef struct { double beta_start, beta_end; } scaled_linear;

static const dr_param params[] = {
    DR_REAL(scaled_linear, beta_start, 0.00085, 1e-12, 0.999, "beta of the first step, next to the data"),
    DR_REAL(scaled_linear, beta_end, 0.012, 1e-12, 0.999, "beta of the last step, next to pure noise"),
    DR_END
};

static double beta(void *self, int64_t i, int64_t T)
{
    const scaled_linear *s = self;
    const double first = sqrt(s->beta_start), last = sqrt(s->beta_end);
    const double root = T < 2 ? first : first + (last - first) * (double)i / (double)(T - 1);
    return root * root;
}

DR_SCHEDULE(scaled_linear, "The root of beta rises evenly, as in Stable Diffusion", params, .beta = beta)
