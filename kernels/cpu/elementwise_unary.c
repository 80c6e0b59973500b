/* elementwise_unary.c: y = f(x) for functions without parameters, and dx = f'(x) dy next to each. The derivative is
 * written in x, or in y where y is what the op keeps: exp, sqrt, rsqrt, tanh, sigmoid, relu. Operands are dense and lie
 * alike, so each is one loop over their memory. */
#include "vector_math.h"
#include "walk.h"

typedef enum function { EXP, LOG, SQRT, RSQRT, TANH, SIGMOID, RELU, SILU, ABS, SQUARE } function;

VM_INLINE float value(function f, float x)
{
    switch (f) {
    case EXP: return vm_exp(x);
    case LOG: return vm_log(x);
    case SQRT: return sqrtf(x);
    case RSQRT: return 1.0f / sqrtf(x);
    case TANH: return vm_tanh(x);
    case SIGMOID: return vm_sigmoid(x);
    case RELU: return x < 0.0f ? 0.0f : x;
    case SILU: return vm_silu(x);
    case ABS: return fabsf(x);
    default: return x * x; /* SQUARE */
    }
}

VM_INLINE float slope(function f, float x) /* x is y for those that keep y */
{
    switch (f) {
    case EXP: return x;
    case LOG: return 1.0f / x;
    case SQRT: return 0.5f / x;
    case RSQRT: return -0.5f * (x * x) * x;
    case TANH: return 1.0f - x * x;
    case SIGMOID: return x * (1.0f - x);
    case RELU: return x > 0.0f ? 1.0f : 0.0f;
    case SILU: return vm_silu_slope(x);
    case ABS: return (x > 0.0f ? 1.0f : 0.0f) - (x < 0.0f ? 1.0f : 0.0f);
    default: return 2.0f * x; /* SQUARE */
    }
}

VM_INLINE void forward(function f, const dr_kargs *a, int64_t first, int64_t n) /* x -> y */
{
    const float *restrict x = (const float *)dr_in(a, 0) + first;
    float *restrict y = (float *)dr_out(a, 0) + first;
    for (int64_t i = 0; i < n; i++) y[i] = value(f, x[i]);
}

VM_INLINE void backward(function f, const dr_kargs *a, int64_t first, int64_t n) /* x (or y), dy -> dx */
{
    const float *restrict x = (const float *)dr_in(a, 0) + first, *restrict dy = (const float *)dr_in(a, 1) + first;
    float *restrict dx = (float *)dr_out(a, 0) + first;
    for (int64_t i = 0; i < n; i++) dx[i] = slope(f, x[i]) * dy[i];
}

/* The two kernels of a function: the loop over a piece, and the sharing out. */
#define UNARY(op, f) \
    static void op##_piece(const void *a, int64_t first, int64_t n) { forward(f, a, first, n); } \
    static void op##_backward_piece(const void *a, int64_t first, int64_t n) { backward(f, a, first, n); } \
    static void op##_f32(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), op##_piece, a); } \
    static void op##_backward_f32(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), op##_backward_piece, a); } \
    DR_KERNEL(op, DR_F32, op##_f32) \
    DR_KERNEL(op##_backward, DR_F32, op##_backward_f32)

UNARY(exp, EXP)
UNARY(log, LOG)
UNARY(sqrt, SQRT)
UNARY(rsqrt, RSQRT)
UNARY(tanh, TANH)
UNARY(sigmoid, SIGMOID)
UNARY(relu, RELU)
UNARY(silu, SILU)
UNARY(abs, ABS)
UNARY(square, SQUARE)

/* ---- sin and cos: the angle is brought into a quarter turn in double, which is exact enough up to 2^30 radians --- */

VM_INLINE float turned(double x, int quarter) /* sin(x + quarter pi/2) */
{
    const double round = 6755399441055744.0; /* 1.5 2^52 */
    const double q = (x * 0.63661977236758134308 + round) - round;
    const double r = (x - q * 1.5707963267948966) - q * 6.123233995736766e-17; /* pi/2 in two parts */
    return vm_sin_from((float)r, (int32_t)q + quarter);
}

static const float largest_angle = 1e9f;

static bool angles_fit(const float *x, int64_t n) /* false for NaN and infinity too */
{
    int outside = 0;
    for (int64_t i = 0; i < n; i++) outside |= !(fabsf(x[i]) <= largest_angle);
    return !outside;
}

VM_INLINE void sine(int quarter, float sign, const dr_kargs *a, bool is_backward, int64_t first, int64_t n)
{
    const float *restrict x = (const float *)dr_in(a, 0) + first;
    float *restrict y = (float *)dr_out(a, 0) + first;
    if (angles_fit(x, n)) {
        for (int64_t i = 0; i < n; i++) y[i] = sign * turned((double)x[i], quarter);
    } else {
        for (int64_t i = 0; i < n; i++) y[i] = sign * (quarter ? cosf(x[i]) : sinf(x[i]));
    }
    if (!is_backward) return;
    const float *restrict dy = (const float *)dr_in(a, 1) + first;
    for (int64_t i = 0; i < n; i++) y[i] *= dy[i];
}

static void sin_piece(const void *a, int64_t first, int64_t n) { sine(0, 1.0f, a, false, first, n); }
static void sin_backward_piece(const void *a, int64_t first, int64_t n) { sine(1, 1.0f, a, true, first, n); }
static void cos_piece(const void *a, int64_t first, int64_t n) { sine(1, 1.0f, a, false, first, n); }
static void cos_backward_piece(const void *a, int64_t first, int64_t n) { sine(0, -1.0f, a, true, first, n); }

static void sin_f32(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), sin_piece, a); }
static void sin_backward_f32(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), sin_backward_piece, a); }
static void cos_f32(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), cos_piece, a); }
static void cos_backward_f32(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), cos_backward_piece, a); }

DR_KERNEL(sin, DR_F32, sin_f32)
DR_KERNEL(sin_backward, DR_F32, sin_backward_f32)
DR_KERNEL(cos, DR_F32, cos_f32)
DR_KERNEL(cos_backward, DR_F32, cos_backward_f32)
