/* activation.c: the activations that follow a normalisation, as functions of one number, with their derivatives.
 *   relu(z) = max(z, 0)            silu(z) = z sigmoid(z)
 *   gelu(z) = z Phi(z), Phi the normal distribution function; gelu_tanh approximates it     Hendrycks & Gimpel 2016 */
#include "element.h"

static const double sqrt_half = 0.70710678118654752440;           /* sqrt(1/2) */
static const double inverse_sqrt_two_pi = 0.39894228040143267794; /* 1/sqrt(2 pi) */
static const double sqrt_two_over_pi = 0.79788456080286535588;    /* sqrt(2/pi) */
static const double cubic = 0.044715;

double dr_ref_activate(int64_t act, double z)
{
    switch (act) {
    case DR_ACT_RELU: return z < 0 ? 0 : z;
    case DR_ACT_GELU: return z * 0.5 * erfc(-z * sqrt_half); /* erfc keeps the digits of the negative tail */
    case DR_ACT_GELU_TANH: return 0.5 * z * (1 + tanh(sqrt_two_over_pi * (z + cubic * z * z * z)));
    case DR_ACT_SILU: return z / (1 + exp(-z));
    default: return z; /* DR_ACT_NONE */
    }
}

double dr_ref_activate_slope(int64_t act, double z)
{
    switch (act) {
    case DR_ACT_RELU: return z > 0;
    case DR_ACT_GELU: return 0.5 * erfc(-z * sqrt_half) + z * inverse_sqrt_two_pi * exp(-0.5 * z * z);
    case DR_ACT_GELU_TANH: {
        double t = tanh(sqrt_two_over_pi * (z + cubic * z * z * z));
        return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * sqrt_two_over_pi * (1 + 3 * cubic * z * z);
    }
    case DR_ACT_SILU: {
        double s = 1 / (1 + exp(-z));
        return s * (1 + z * (1 - s));
    }
    default: return 1; /* DR_ACT_NONE */
    }
}
