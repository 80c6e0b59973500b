/* elementwise_unary.cu: y = f(x) for functions without parameters, and dx = f'(x) dy next to each. The derivative is
 * written in x, or in y where y is what the op keeps: exp, sqrt, rsqrt, tanh, sigmoid, relu. */
#include "activation.h"
#include "map.h"

enum unary_op { EXP, LOG, SQRT, RSQRT, SIN, COS, TANH, SIGMOID, RELU, SILU, ABS, SQUARE };

template <int OP> struct unary_value {
    __device__ float of(float x) const
    {
        switch (OP) {
        case EXP: return expf(x);
        case LOG: return logf(x);
        case SQRT: return sqrtf(x);
        case RSQRT: return 1.0f / sqrtf(x);
        case SIN: return sinf(x);
        case COS: return cosf(x);
        case TANH: return tanhf(x);
        case SIGMOID: return sigmoid_of(x);
        case RELU: return x < 0.0f ? 0.0f : x; /* NaN stays */
        case SILU: return x * sigmoid_of(x);
        case ABS: return fabsf(x);
        default: return x * x; /* SQUARE */
        }
    }
};

template <int OP> struct unary_slope_times {
    __device__ static float slope(float x) /* x is y for those that keep y */
    {
        switch (OP) {
        case EXP: return x;
        case LOG: return 1.0f / x;
        case SQRT: return 0.5f / x;
        case RSQRT: return -0.5f * (x * x) * x;
        case SIN: return cosf(x);
        case COS: return -sinf(x);
        case TANH: return 1.0f - x * x;
        case SIGMOID: return x * (1.0f - x);
        case RELU: return x > 0.0f ? 1.0f : 0.0f;
        case SILU: return activate_slope<DR_ACT_SILU>(x);
        case ABS: return (x > 0.0f ? 1.0f : 0.0f) - (x < 0.0f ? 1.0f : 0.0f); /* 0 at 0 */
        default: return 2.0f * x;                                             /* SQUARE */
        }
    }
    __device__ float of(float x, float dy) const { return slope(x) * dy; }
};

template <int OP, typename T> static void forward(const dr_kargs *a) { map<T, 1>(a, unary_value<OP>{}); } /* x -> y */
template <int OP, typename T> static void backward(const dr_kargs *a)
{
    map<T, 2>(a, unary_slope_times<OP>{});
} /* x or y, dy -> dx */

#define UNARY(op, OP) \
    DR_KERNEL(op, DR_F32, (forward<OP, float>)) \
    DR_KERNEL(op, DR_BF16, (forward<OP, bf16>)) \
    DR_KERNEL(op##_backward, DR_F32, (backward<OP, float>)) \
    DR_KERNEL(op##_backward, DR_BF16, (backward<OP, bf16>))

UNARY(exp, EXP)
UNARY(log, LOG)
UNARY(sqrt, SQRT)
UNARY(rsqrt, RSQRT)
UNARY(sin, SIN)
UNARY(cos, COS)
UNARY(tanh, TANH)
UNARY(sigmoid, SIGMOID)
UNARY(relu, RELU)
UNARY(silu, SILU)
UNARY(abs, ABS)
UNARY(square, SQUARE)
