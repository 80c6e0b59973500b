/* output_error.h: an error of the network's output, as an error of what the weight is meant for. The output is
 * y = p x0 + q eps where x = alpha x0 + sigma eps is known, so with D = alpha q - sigma p
 *   dx0 = -sigma/D dy,   deps = alpha/D dy,   d(a x0 + b eps) = (alpha b - sigma a)/D dy */
#ifndef DRIFT_OUTPUT_ERROR_H
#define DRIFT_OUTPUT_ERROR_H

#include <drift/plugin.h>

/* (d(a x0 + b eps)/dy)^2 */
static inline double squared_error_factor(const dr_coef *c, double a, double b)
{
    const double f = (c->alpha * b - c->sigma * a) / (c->alpha * c->q - c->sigma * c->p);
    return f * f;
}

#endif
