/* elementwise_unary.c: y = f(x) for functions without parameters, and dx = f'(x) dy next to each. The derivative is
 * written in x, or in y where y is what the op keeps: exp, sqrt, rsqrt, tanh, sigmoid, relu. Operands are dense and lie
 * alike, so each is one loop over their memory, of f32 or of bf16. */
#include "bf16.h"
#include "walk.h"

typedef enum function { EXP, LOG, SQRT, RSQRT, TANH, SIGMOID, RELU, SILU, ABS, SQUARE } function;

VM_INLINE float value(int type, function f, float x)
{
    switch (f) {
    case EXP: return vm_exp(x);
    case LOG: return vm_log(x);
    case SQRT: return sqrtf(x);
    case RSQRT: return 1.0f / sqrtf(x);
    case TANH: return vm_tanh(x);
    case SIGMOID: return vm_sigmoid(x);
    case RELU: return x < 0.0f ? 0.0f : x;
    case SILU: return vm_silu(type, x);
    case ABS: return fabsf(x);
    default: return x * x; /* SQUARE */
    }
}

VM_INLINE float slope(int type, function f, float x) /* x is y for those that keep y */
{
    switch (f) {
    case EXP: return x;
    case LOG: return 1.0f / x;
    case SQRT: return 0.5f / x;
    case RSQRT: return -0.5f * (x * x) * x;
    case TANH: return 1.0f - x * x;
    case SIGMOID: return x * (1.0f - x);
    case RELU: return x > 0.0f ? 1.0f : 0.0f;
    case SILU: return vm_silu_slope(type, x);
    case ABS: return (x > 0.0f ? 1.0f : 0.0f) - (x < 0.0f ? 1.0f : 0.0f);
    default: return 2.0f * x; /* SQUARE */
    }
}

VM_INLINE void forward(int type, function f, const dr_kargs *a, int64_t first, int64_t n) /* x -> y */
{
    const void *restrict x = dr_from(type, dr_in(a, 0), first);
    void *restrict y = dr_into(type, dr_out(a, 0), first);
    for (int64_t i = 0; i < n; i++) dr_store(type, y, i, value(type, f, dr_load(type, x, i)));
}

VM_INLINE void backward(int type, function f, const dr_kargs *a, int64_t first, int64_t n) /* x (or y), dy -> dx */
{
    const void *restrict x = dr_from(type, dr_in(a, 0), first), *restrict dy = dr_from(type, dr_in(a, 1), first);
    void *restrict dx = dr_into(type, dr_out(a, 0), first);
    for (int64_t i = 0; i < n; i++) dr_store(type, dx, i, slope(type, f, dr_load(type, x, i)) * dr_load(type, dy, i));
}

/* The two kernels of a function for a dtype: the loop over a piece, and the sharing out. */
#define UNARY_OF(op, f, suffix, type) \
    static void op##_piece_##suffix(const void *a, int64_t first, int64_t n) { forward(type, f, a, first, n); } \
    static void op##_backward_piece_##suffix(const void *a, int64_t first, int64_t n) \
    { \
        backward(type, f, a, first, n); \
    } \
    static void op##_##suffix(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), op##_piece_##suffix, a); } \
    static void op##_backward_##suffix(const dr_kargs *a) \
    { \
        dr_pieces(dr_numel(&a->out[0]), op##_backward_piece_##suffix, a); \
    } \
    DR_KERNEL(op, type, op##_##suffix) \
    DR_KERNEL(op##_backward, type, op##_backward_##suffix)
#define UNARY(op, f) UNARY_OF(op, f, f32, DR_F32) UNARY_OF(op, f, bf16, DR_BF16)

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

VM_INLINE bool angles_fit(int type, const void *x, int64_t n) /* false for NaN and infinity too */
{
    int outside = 0;
    for (int64_t i = 0; i < n; i++) outside |= !(fabsf(dr_load(type, x, i)) <= largest_angle);
    return !outside;
}

VM_INLINE void sine(int type, int quarter, float sign, const dr_kargs *a, bool is_backward, int64_t first, int64_t n)
{
    const void *restrict x = dr_from(type, dr_in(a, 0), first);
    const void *restrict dy = is_backward ? dr_from(type, dr_in(a, 1), first) : NULL;
    void *restrict y = dr_into(type, dr_out(a, 0), first);
    if (angles_fit(type, x, n)) {
        for (int64_t i = 0; i < n; i++) {
            const float s = sign * turned((double)dr_load(type, x, i), quarter);
            dr_store(type, y, i, is_backward ? s * dr_load(type, dy, i) : s);
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            const float angle = dr_load(type, x, i), s = sign * (quarter ? cosf(angle) : sinf(angle));
            dr_store(type, y, i, is_backward ? s * dr_load(type, dy, i) : s);
        }
    }
}

/* The kernel of a function that is sign sin(x + quarter pi/2), or that times dy. */
#define SINE_OF(op, quarter, sign, is_backward, suffix, type) \
    static void op##_piece_##suffix(const void *a, int64_t first, int64_t n) \
    { \
        sine(type, quarter, sign, a, is_backward, first, n); \
    } \
    static void op##_##suffix(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), op##_piece_##suffix, a); } \
    DR_KERNEL(op, type, op##_##suffix)
#define SINE(op, quarter, sign, is_backward) \
    SINE_OF(op, quarter, sign, is_backward, f32, DR_F32) SINE_OF(op, quarter, sign, is_backward, bf16, DR_BF16)

SINE(sin, 0, 1.0f, false)
SINE(sin_backward, 1, 1.0f, true)
SINE(cos, 1, 1.0f, false)
SINE(cos_backward, 0, -1.0f, true)
