/* convert.c: numbers from one dtype to another, in host memory.
 *   to 16 bits:     rounded once, to nearest, ties to even; too large becomes infinity; subnormals are kept
 *   to an integer:  truncated toward zero, clamped to the type's range; NaN gives 0
 *   to bool:        0 or 1, whether the number differs from 0
 * Neither side needs to be aligned: data in a file may lie at any byte. */
#include <drift.h>
#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
    bool real;
} dtype[DR_DTYPE_COUNT] = {
    [DR_F32] = { "f32", 4, true }, [DR_F64] = { "f64", 8, true },    [DR_BF16] = { "bf16", 2, true },
    [DR_F16] = { "f16", 2, true }, [DR_I32] = { "i32", 4, false },   [DR_I64] = { "i64", 8, false },
    [DR_U8] = { "u8", 1, false },  [DR_BOOL] = { "bool", 1, false },
};

static bool is_dtype(int d) { return d >= 0 && d < DR_DTYPE_COUNT; }

/* Bytes of one element; 0 for what is no dtype. [any] */
size_t dr_dtype_size(dr_dtype d) { return is_dtype((int)d) ? dtype[d].size : 0; }

const char *dr_dtype_name(dr_dtype d) { return is_dtype((int)d) ? dtype[d].name : "unknown dtype"; }

/* ---- one number -------------------------------------------------------------------------------------------------- */

static float f32_of_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static uint32_t bits_of_f32(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float f32_of_bf16(uint16_t h) { return f32_of_bits((uint32_t)h << 16); }

static float f32_of_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = (uint32_t)(h & 0x7fff) << 13;
    if ((h & 0x7c00) == 0x7c00) return f32_of_bits(sign | 0x7f800000u | magnitude); /* infinity, NaN */
    return f32_of_bits(sign | bits_of_f32(f32_of_bits(magnitude) * 0x1p112f)); /* moves the exponent's bias; exact */
}

static uint16_t bf16_of_f32(float f)
{
    uint32_t u = bits_of_f32(f);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40); /* NaN: stays one when its low half goes */
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* x to a sign, `exponent` and `mantissa` bits (5 and 10: f16; 8 and 7: bf16), rounding once. */
static uint16_t narrow(double x, int exponent, int mantissa)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    const uint16_t sign = (uint16_t)(u >> 48 & 0x8000);
    const uint16_t infinity = (uint16_t)(((1 << exponent) - 1) << mantissa);
    const int bias = (1 << (exponent - 1)) - 1;
    int e = (int)(u >> 52 & 0x7ff) - 1023; /* x = 1.m 2^e */
    uint64_t m = u & 0xfffffffffffffu;
    if (e == 1024) return (uint16_t)(sign | infinity | (m ? 1u << (mantissa - 1) : 0));
    if (e > bias) return sign | infinity;
    int drop = 52 - mantissa; /* bits that must go */
    uint64_t whole = m;       /* exponent and mantissa as one integer: a carry is right */
    if (e >= 1 - bias) {
        whole |= (uint64_t)(e + bias) << 52;
    } else { /* subnormal: a fixed exponent, the leading 1 is written out */
        whole |= (uint64_t)1 << 52;
        drop += 1 - bias - e;
        if (drop > 63) return sign;
    }
    const uint64_t half = (uint64_t)1 << (drop - 1), rest = whole & ((half << 1) - 1);
    whole >>= drop;
    if (rest > half || (rest == half && (whole & 1))) whole++;
    return (uint16_t)(sign | whole); /* rounding up past the largest gives infinity */
}

static int64_t clamp_real(double x, double low, double high, int64_t int_low, int64_t int_high)
{
    if (isnan(x)) return 0;
    if (x <= low) return int_low;
    if (x >= high) return int_high;
    return (int64_t)x;
}

static int64_t clamp_int(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

/* ---- blocks of numbers: everything goes through double or int64_t, which hold each type's values exactly --------- */

enum { BLOCK = 512 };

#define GET(type, p, i) ((const struct { type v; } __attribute__((packed)) *)(p))[i].v
#define PUT(type, p, i, x) ((struct { type v; } __attribute__((packed)) *)(p))[i].v = (x)

static void load_reals(dr_dtype from_type, const char *from, int n, double *x)
{
    switch ((int)from_type) {
    case DR_F32:
        for (int i = 0; i < n; i++) x[i] = (double)GET(float, from, i);
        break;
    case DR_F64:
        for (int i = 0; i < n; i++) x[i] = GET(double, from, i);
        break;
    case DR_BF16:
        for (int i = 0; i < n; i++) x[i] = (double)f32_of_bf16(GET(uint16_t, from, i));
        break;
    case DR_F16:
        for (int i = 0; i < n; i++) x[i] = (double)f32_of_f16(GET(uint16_t, from, i));
        break;
    }
}

static void load_ints(dr_dtype from_type, const char *from, int n, int64_t *x)
{
    switch ((int)from_type) {
    case DR_I32:
        for (int i = 0; i < n; i++) x[i] = GET(int32_t, from, i);
        break;
    case DR_I64:
        for (int i = 0; i < n; i++) x[i] = GET(int64_t, from, i);
        break;
    case DR_U8:
        for (int i = 0; i < n; i++) x[i] = GET(uint8_t, from, i);
        break;
    case DR_BOOL:
        for (int i = 0; i < n; i++) x[i] = GET(uint8_t, from, i) != 0;
        break;
    }
}

static void store_reals(dr_dtype to_type, char *to, int n, const double *x)
{
    switch ((int)to_type) {
    case DR_F32:
        for (int i = 0; i < n; i++) PUT(float, to, i, (float)x[i]);
        break;
    case DR_F64:
        for (int i = 0; i < n; i++) PUT(double, to, i, x[i]);
        break;
    case DR_BF16:
        for (int i = 0; i < n; i++) PUT(uint16_t, to, i, narrow(x[i], 8, 7));
        break;
    case DR_F16:
        for (int i = 0; i < n; i++) PUT(uint16_t, to, i, narrow(x[i], 5, 10));
        break;
    case DR_I32:
        for (int i = 0; i < n; i++)
            PUT(int32_t, to, i, (int32_t)clamp_real(x[i], INT32_MIN, INT32_MAX, INT32_MIN, INT32_MAX));
        break;
    case DR_I64:
        for (int i = 0; i < n; i++) PUT(int64_t, to, i, clamp_real(x[i], -0x1p63, 0x1p63, INT64_MIN, INT64_MAX));
        break;
    case DR_U8:
        for (int i = 0; i < n; i++) PUT(uint8_t, to, i, (uint8_t)clamp_real(x[i], 0, 255, 0, 255));
        break;
    case DR_BOOL:
        for (int i = 0; i < n; i++) PUT(uint8_t, to, i, x[i] != 0);
        break;
    }
}

static void store_ints(dr_dtype to_type, char *to, int n, const int64_t *x)
{
    switch ((int)to_type) {
    case DR_F32:
        for (int i = 0; i < n; i++) PUT(float, to, i, (float)x[i]);
        break;
    case DR_F64:
        for (int i = 0; i < n; i++) PUT(double, to, i, (double)x[i]);
        break;
    case DR_BF16:
        for (int i = 0; i < n; i++) PUT(uint16_t, to, i, narrow((double)x[i], 8, 7));
        break;
    case DR_F16:
        for (int i = 0; i < n; i++) PUT(uint16_t, to, i, narrow((double)x[i], 5, 10));
        break;
    case DR_I32:
        for (int i = 0; i < n; i++) PUT(int32_t, to, i, (int32_t)clamp_int(x[i], INT32_MIN, INT32_MAX));
        break;
    case DR_I64:
        for (int i = 0; i < n; i++) PUT(int64_t, to, i, x[i]);
        break;
    case DR_U8:
        for (int i = 0; i < n; i++) PUT(uint8_t, to, i, (uint8_t)clamp_int(x[i], 0, 255));
        break;
    case DR_BOOL:
        for (int i = 0; i < n; i++) PUT(uint8_t, to, i, x[i] != 0);
        break;
    }
}

/* n elements; the two must not overlap unless the types are the same. What is no dtype converts nothing. [any] */
void dr_convert(dr_dtype to_type, void *to, dr_dtype from_type, const void *from, int64_t n)
{
    if (n <= 0 || !is_dtype((int)to_type) || !is_dtype((int)from_type)) return;
    const size_t from_size = dtype[from_type].size, to_size = dtype[to_type].size;
    if (to_type == from_type && to_type != DR_BOOL) {
        memmove(to, from, (size_t)n * to_size);
        return;
    }
    if (to_type == DR_BF16 && from_type == DR_F32) { /* weights for mixed precision: worth its own loop */
        for (int64_t i = 0; i < n; i++) PUT(uint16_t, to, i, bf16_of_f32(GET(float, from, i)));
        return;
    }
    const char *source = from;
    char *target = to;
    while (n > 0) {
        const int k = n < BLOCK ? (int)n : BLOCK;
        if (dtype[from_type].real) {
            double x[BLOCK];
            load_reals(from_type, source, k, x);
            store_reals(to_type, target, k, x);
        } else {
            int64_t x[BLOCK];
            load_ints(from_type, source, k, x);
            store_ints(to_type, target, k, x);
        }
        source += (size_t)k * from_size;
        target += (size_t)k * to_size;
        n -= k;
    }
}
