/* error.c: the loss as if the network had predicted something else: its output is turned into that, and the error is
 * taken there. So networks with different predictions can be trained on one loss.     Kingma & Gao 2023, table 1
 *   w = ((alpha b - sigma a)/D)^2 for the error of a x0 + b eps,  D = alpha q - sigma p, for the output p x0 + q eps */
#include "output_error.h"

enum { OF_EPS = 0, OF_X0, OF_V, OF_VELOCITY };

typedef struct { int64_t of; } error;

static const dr_param params[] = {
    DR_ENUM(error, of, OF_EPS, "eps|x0|v|velocity", "whose squared error is the loss"),
    DR_END
};

static double weight(void *self, const dr_coef *c)
{
    const error *e = self;
    switch (e->of) {
    case OF_X0: return squared_error_factor(c, 1.0, 0.0);
    case OF_V: return squared_error_factor(c, -c->sigma, c->alpha);
    case OF_VELOCITY: return squared_error_factor(c, c->dalpha, c->dsigma);
    default: return squared_error_factor(c, 0.0, 1.0);
    }
}

DR_WEIGHTING(error, "The error of eps, x0, v or the velocity, whatever is predicted", params, .weight = weight)
