/* truncated_snr.c: the signal-to-noise ratio as the weight of the data's error, but held above 1, so that noisy times
 * count as well.     Salimans & Ho 2022 (progressive distillation), section 4
 *   |x0_hat - x0|^2 max(SNR, 1) = max(|x0_hat - x0|^2, |eps_hat - eps|^2),  SNR = alpha^2/sigma^2
 *   w = max(alpha^2, sigma^2)/D^2,  D = alpha q - sigma p, for the output p x0 + q eps */
#include <drift/plugin.h>
#include <math.h>

typedef struct { int64_t unused; } truncated_snr;

static double weight(void *self, const dr_coef *c)
{
    const double D = c->alpha * c->q - c->sigma * c->p;
    (void)self;
    return fmax(c->alpha * c->alpha, c->sigma * c->sigma) / (D * D);
}

DR_WEIGHTING(truncated_snr, "The larger of the data's and the noise's error", NULL, .weight = weight)
