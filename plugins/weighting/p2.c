/* p2.c: perception prioritised: the noise's error counts less where little noise is left.     Choi et al. 2022
 *   |eps_hat - eps|^2/(k + SNR)^gamma,  SNR = alpha^2/sigma^2
 *   w = alpha^2/D^2/(k + SNR)^gamma,  D = alpha q - sigma p, for the output p x0 + q eps */
#include "output_error.h"

#include <math.h>

typedef struct { double k, gamma; } p2;

static const dr_param params[] = {
    DR_REAL(p2, k, 1, 1e-6, 1e6, "limits the weight of pure noise"),
    DR_REAL(p2, gamma, 1, 0, 10, "how much; 0: not at all"),
    DR_END
};

static double weight(void *self, const dr_coef *c)
{
    const p2 *w = self;
    const double snr = c->alpha * c->alpha / (c->sigma * c->sigma);
    return squared_error_factor(c, 0.0, 1.0) * pow(w->k + snr, -w->gamma);
}

DR_WEIGHTING(p2, "P2: the noise's error counts less where little noise is left", params, .weight = weight)
