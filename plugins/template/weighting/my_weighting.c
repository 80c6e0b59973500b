/* my_weighting.c: the signal-to-noise ratio as the weight of the data's error, bent smoothly to stay below gamma.
 *   |x0_hat - x0|^2 SNR gamma/(SNR + gamma),  SNR = alpha^2/sigma^2                 Crowson et al. 2024, soft min-SNR
 *   as the weight of the network's error:  w = gamma alpha^2 sigma^2/(alpha^2 + gamma sigma^2)/D^2,  D = alpha q - sigma p */
#include <drift/plugin.h>

/* Parameters: each is a field here and a row below, with its default, smallest and largest value. */
typedef struct { double gamma; } my_weighting;

static const dr_param params[] = {
    DR_REAL(my_weighting, gamma, 4, 1e-6, 1e6, "what the weight of the data's error tends to near the data"),
    DR_END
};

/* The weight of the squared error of the network's output p x0 + q eps at a time, given the process's numbers there:
 * finite and not negative. An error dy of the output is an error -sigma/D dy of the data. */
static double weight(void *self, const dr_coef *c)
{
    const double gamma = ((const my_weighting *)self)->gamma;
    const double signal = c->alpha * c->alpha, noise = c->sigma * c->sigma, D = c->alpha * c->q - c->sigma * c->p;
    return gamma * signal * noise / ((signal + gamma * noise) * D * D);
}

DR_WEIGHTING(my_weighting, "The signal-to-noise ratio, bent to stay below gamma", params, .weight = weight)
