/* min_snr.c: the signal-to-noise ratio as the weight of the data's error, but held below gamma.     Hang et al. 2023
 *   |x0_hat - x0|^2 min(SNR, gamma),  SNR = alpha^2/sigma^2
 *   w = min(SNR, gamma) sigma^2/D^2 = min(alpha^2, gamma sigma^2)/D^2,  D = alpha q - sigma p, for the output p x0 + q eps
 * which is min(SNR, gamma)/SNR for eps, min(SNR, gamma) for x0 and min(SNR, gamma)/(SNR + 1) for v. */
#include <drift/plugin.h>
#include <math.h>

typedef struct { double gamma; } min_snr;

static const dr_param params[] = {
    DR_REAL(min_snr, gamma, 5, 1e-6, 1e6, "largest weight of the data's error"),
    DR_END
};

static double weight(void *self, const dr_coef *c)
{
    const min_snr *m = self;
    const double D = c->alpha * c->q - c->sigma * c->p;
    return fmin(c->alpha * c->alpha, m->gamma * c->sigma * c->sigma) / (D * D);
}

DR_WEIGHTING(min_snr, "Min-SNR-gamma: the signal-to-noise ratio, held below gamma", params, .weight = weight)
