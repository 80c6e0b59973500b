/* normal_quantile.c: the z with Phi(z) = u, the inverse of the normal distribution's function.
 *   start:  z = s - (c0 + c1 s + c2 s^2)/(1 + d1 s + d2 s^2 + d3 s^3),  s = sqrt(-2 ln u)     Abramowitz & Stegun 26.2.23
 *   then    z <- z - e/(1 + z e/2),  e = (Phi(z) - u)/phi(z)                                       Halley's method
 * The start is good to 4.5e-4, each step cubes the error, so two reach double precision. u is taken from the lower tail,
 * where erfc keeps its relative precision; the upper one is its mirror. */
#include "drift.h"

#include <math.h>

static double start(double u) /* 0 < u <= 1/2 */
{
    const double s = sqrt(-2.0 * log(u));
    return (2.515517 + s * (0.802853 + s * 0.010328)) / (1.0 + s * (1.432788 + s * (0.189269 + s * 0.001308))) - s;
}

static double lower_tail(double u) /* 0 < u <= 1/2 */
{
    const double root_half = 0.70710678118654752440, root_two_pi = 2.50662827463100050242;
    double z = start(u);
    for (int i = 0; i < 2; i++) {
        const double u_over_phi = root_two_pi * exp(z * z / 2.0 + log(u)); /* 1/phi alone would overflow */
        const double e = (erfc(-z * root_half) / 2.0 / u - 1.0) * u_over_phi;
        z -= e / (1.0 + z * e / 2.0);
    }
    return z;
}

double dr_normal_quantile(double u)
{
    if (!(u >= 0.0 && u <= 1.0)) return NAN;
    if (u == 0.0) return -INFINITY;
    if (u == 1.0) return INFINITY;
    return u <= 0.5 ? lower_tail(u) : -lower_tail(1.0 - u);
}
