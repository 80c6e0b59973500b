/* cast_copy.c: cast (to another dtype), copy (to another memory order), fill and assign (in place).
 * Plain copies move bits; conversions go through double, element by element (i64 to i32, and f32 to and from bf16,
 * directly):
 * floats round to nearest even; integers cut off the fraction and stop at the ends of their
 * range (NaN becomes 0); bool is x != 0. */
#include "bf16.h"
#include "walk.h"
#include <math.h>
#include <string.h>

static const size_t size_of[DR_DTYPE_COUNT] = {
    [DR_F32] = 4, [DR_F64] = 8, [DR_BF16] = 2, [DR_F16] = 2, [DR_I32] = 4, [DR_I64] = 8, [DR_U8] = 1, [DR_BOOL] = 1
};

/* ---- one element ------------------------------------------------------------------------------------------------- */

static uint16_t to_16(double x, int fraction) /* fraction bits: 10 for f16, 7 for bf16 */
{
    const int exponent_ones = (1 << (15 - fraction)) - 1, bias = exponent_ones / 2,
              infinity = exponent_ones << fraction;
    const int sign = signbit(x) ? 0x8000 : 0;
    if (isnan(x)) return (uint16_t)(sign | infinity | 1 << (fraction - 1));
    if (isinf(x)) return (uint16_t)(sign | infinity);
    if (x == 0.0) return (uint16_t)sign;
    int exponent = ilogb(x);
    if (exponent < 1 - bias) exponent = 1 - bias; /* subnormals share the smallest exponent */
    if (exponent > bias) return (uint16_t)(sign | infinity);
    const double steps =
        nearbyint(ldexp(fabs(x), fraction - exponent)); /* a carry runs into the exponent, as it should */
    return (uint16_t)(sign | (((exponent + bias - 1) << fraction) + (int)steps));
}

static double from_f16(uint16_t bits)
{
    const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    const double sign = bits & 0x8000 ? -1.0 : 1.0;
    if (exponent == 31) return mantissa ? NAN : sign * INFINITY;
    return exponent == 0 ? sign * ldexp(mantissa, -24) : sign * ldexp(1024 + mantissa, exponent - 25);
}

static double load(int32_t dtype, const void *from)
{
    switch (dtype) {
    case DR_F32: return (double)*(const float *)from;
    case DR_F64: return *(const double *)from;
    case DR_BF16: return (double)dr_bf16_value(*(const uint16_t *)from);
    case DR_F16: return from_f16(*(const uint16_t *)from);
    case DR_I32: return *(const int32_t *)from;
    case DR_I64: return (double)*(const int64_t *)from;
    case DR_U8: return *(const uint8_t *)from;
    default: return *(const uint8_t *)from != 0; /* DR_BOOL */
    }
}

static int64_t whole(double x, int64_t low, int64_t high)
{
    if (isnan(x)) return 0;
    if (x <= (double)low) return low;
    if (x >= (double)high) return high;
    return (int64_t)x;
}

static void store(int32_t dtype, void *to, double x)
{
    switch (dtype) {
    case DR_F32: *(float *)to = (float)x; break;
    case DR_F64: *(double *)to = x; break;
    case DR_BF16: *(uint16_t *)to = to_16(x, 7); break;
    case DR_F16: *(uint16_t *)to = to_16(x, 10); break;
    case DR_I32: *(int32_t *)to = (int32_t)whole(x, INT32_MIN, INT32_MAX); break;
    case DR_I64: *(int64_t *)to = whole(x, INT64_MIN, INT64_MAX); break;
    case DR_U8: *(uint8_t *)to = (uint8_t)whole(x, 0, UINT8_MAX); break;
    default: *(uint8_t *)to = x != 0.0; break; /* DR_BOOL */
    }
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

typedef struct move { /* from -> to, a walk's tensors 1 and 0 */
    void *to;
    const void *from;
    int32_t to_type, from_type;
} move;

/* Same dtype: bits are moved, not numbers, so nothing can be lost. Elements of two and four bytes have loops of
 * their own. */
static void same_run(const void *ctx, int64_t n, const int64_t *offset, const int64_t *stride)
{
    const move *m = ctx;
    const size_t size = size_of[m->to_type];
    char *to = (char *)m->to + offset[0] * (int64_t)size;
    const char *from = (const char *)m->from + offset[1] * (int64_t)size;
    if (stride[0] == 1 && stride[1] == 1) {
        memcpy(to, from, (size_t)n * size);
    } else if (size == 2) {
        uint16_t *restrict t = (uint16_t *)to;
        const uint16_t *restrict f = (const uint16_t *)from;
        for (int64_t i = 0; i < n; i++) t[i * stride[0]] = f[i * stride[1]];
    } else if (size == 4) {
        uint32_t *restrict t = (uint32_t *)to;
        const uint32_t *restrict f = (const uint32_t *)from;
        for (int64_t i = 0; i < n; i++) t[i * stride[0]] = f[i * stride[1]];
    } else {
        for (int64_t i = 0; i < n; i++)
            memcpy(to + i * stride[0] * (int64_t)size, from + i * stride[1] * (int64_t)size, size);
    }
}

static void narrow_run(const float *restrict from, uint16_t *restrict to, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] = dr_bf16_nearest(from[i]);
}

static void widen_run(const uint16_t *restrict from, float *restrict to, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] = dr_bf16_value(from[i]);
}

static void convert_run(const void *ctx, int64_t n, const int64_t *offset, const int64_t *stride)
{
    const move *m = ctx;
    const int64_t to_size = (int64_t)size_of[m->to_type], from_size = (int64_t)size_of[m->from_type];
    char *to = (char *)m->to + offset[0] * to_size;
    const char *from = (const char *)m->from + offset[1] * from_size;
    const int64_t to_step = stride[0] * to_size, from_step = stride[1] * from_size;
    if (m->from_type == DR_I64 && m->to_type == DR_I32) { /* exact beyond 2^53 too */
        for (int64_t i = 0; i < n; i++) {
            const int64_t x = *(const int64_t *)(from + i * from_step);
            *(int32_t *)(to + i * to_step) = (int32_t)(x < INT32_MIN ? INT32_MIN : x > INT32_MAX ? INT32_MAX : x);
        }
        return;
    }
    if (stride[0] == 1 && stride[1] == 1 && m->from_type == DR_F32 && m->to_type == DR_BF16) {
        narrow_run((const float *)from, (uint16_t *)to, n);
        return;
    }
    if (stride[0] == 1 && stride[1] == 1 && m->from_type == DR_BF16 && m->to_type == DR_F32) {
        widen_run((const uint16_t *)from, (float *)to, n);
        return;
    }
    for (int64_t i = 0; i < n; i++) store(m->to_type, to + i * to_step, load(m->from_type, from + i * from_step));
}

static void walk(const dr_view *to, const dr_view *from) /* to = from, broadcast and converted */
{
    const move m = { to->data, from->data, to->dtype, from->dtype };
    const dr_walk w = dr_walk_of((const dr_view *const[]){ to, from }, 2);
    dr_walk_run(&w, to->dtype == from->dtype ? same_run : convert_run, &m);
}

typedef struct constant {
    void *to;
    int32_t type;
    uint64_t bits; /* the element, in its first bytes */
} constant;

static void fill_run(const void *ctx, int64_t n, const int64_t *offset, const int64_t *stride)
{
    const constant *c = ctx;
    const size_t size = size_of[c->type];
    char *to = (char *)c->to + offset[0] * (int64_t)size;
    if (size == 4) {
        uint32_t element;
        memcpy(&element, &c->bits, sizeof element);
        for (int64_t i = 0; i < n; i++) ((uint32_t *)to)[i * stride[0]] = element;
    } else if (size == 2) {
        uint16_t element;
        memcpy(&element, &c->bits, sizeof element);
        for (int64_t i = 0; i < n; i++) ((uint16_t *)to)[i * stride[0]] = element;
    } else {
        for (int64_t i = 0; i < n; i++) memcpy(to + i * stride[0] * (int64_t)size, &c->bits, size);
    }
}

/* ---- kernels ----------------------------------------------------------------------------------------------------- */

static void cast_any(const dr_kargs *a) { walk(&a->out[0], &a->in[0]); }  /* x -> y of another dtype */
static void copy_any(const dr_kargs *a) { walk(&a->out[0], &a->in[0]); }  /* x -> y of another layout */
static void assign_any(const dr_kargs *a) { walk(&a->in[0], &a->in[1]); } /* to, from: to = from */

static void fill_any(const dr_kargs *a) /* x, in place */
{
    constant c = { .to = a->in[0].data, .type = a->in[0].dtype };
    store(c.type, &c.bits, ((const dr_fill_attr *)a->attr)->value);
    const dr_walk w = dr_walk_of((const dr_view *const[]){ &a->in[0] }, 1);
    dr_walk_run(&w, fill_run, &c);
}

DR_KERNEL(cast, DR_ANY_DTYPE, cast_any)
DR_KERNEL(copy, DR_ANY_DTYPE, copy_any)
DR_KERNEL(fill, DR_ANY_DTYPE, fill_any)
DR_KERNEL(assign, DR_ANY_DTYPE, assign_any)
