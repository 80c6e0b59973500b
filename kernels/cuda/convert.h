/* convert.h: one number from and to any dtype, through double, which holds every dtype's values (i64 up to 2^53).
 *   to 16 bits:     rounded once, to nearest, ties to even; too large becomes infinity; subnormals are kept
 *   to an integer:  truncated toward zero, clamped to the type's range; NaN gives 0
 *   to bool:        0 or 1, whether the number differs from 0 */
#ifndef DRIFT_CUDA_CONVERT_H
#define DRIFT_CUDA_CONVERT_H

#include "cuda_kernel.h"

#include <string.h>

/* x as a sign, `exponent` and `mantissa` bits: 5 and 10 are f16, 8 and 7 bf16. */
__host__ __device__ inline uint16_t narrow(double x, int exponent, int mantissa)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t sign = (uint32_t)(bits >> 48) & 0x8000, infinity = ((1u << exponent) - 1) << mantissa;
    const int bias = (1 << (exponent - 1)) - 1, e = (int)(bits >> 52 & 0x7ff) - 1023; /* x = 1.m 2^e */
    const uint64_t fraction = bits & 0xfffffffffffffu;
    if (e == 1024) return (uint16_t)(sign | infinity | (fraction ? 1u << (mantissa - 1) : 0));
    if (e > bias) return (uint16_t)(sign | infinity);
    const bool subnormal = e < 1 - bias; /* its exponent is fixed, and the leading 1 is written out */
    const int drop = 52 - mantissa + (subnormal ? 1 - bias - e : 0);
    if (drop > 53) return (uint16_t)sign; /* below half of the smallest */
    const uint64_t whole = fraction | (subnormal ? (uint64_t)1 << 52 : (uint64_t)(e + bias) << 52);
    const uint64_t rest = whole & (((uint64_t)1 << drop) - 1), half = (uint64_t)1 << (drop - 1);
    const uint64_t kept = whole >> drop;
    const bool up = rest > half || (rest == half && (kept & 1));
    return (uint16_t)(sign | (uint32_t)(kept + up)); /* a carry runs into the exponent, rightly */
}

__host__ __device__ inline double widen(uint16_t h, int exponent, int mantissa)
{
    const uint64_t sign = (uint64_t)(h & 0x8000) << 48, fraction = h & ((1u << mantissa) - 1);
    const int ones = (1 << exponent) - 1, bias = ones / 2, e = h >> mantissa & ones;
    uint64_t bits = sign | (uint64_t)(e - bias + 1023) << 52 | fraction << (52 - mantissa);
    if (e == ones) bits = sign | (uint64_t)0x7ff << 52 | fraction << (52 - mantissa);
    if (e == 0) { /* subnormal: fraction units of 2^(1 - bias - mantissa) */
        const uint64_t unit = (uint64_t)(1 - bias - mantissa + 1023) << 52;
        double value;
        memcpy(&value, &unit, sizeof value);
        value *= (double)fraction;
        return sign ? -value : value;
    }
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

__host__ __device__ inline int64_t whole_number(double x, int64_t low, int64_t high)
{
    if (x != x) return 0;
    if (x <= (double)low) return low;
    if (x >= (double)high) return high;
    return (int64_t)x;
}

__host__ __device__ inline double load_number(int32_t dtype, const void *p, int64_t i)
{
    switch (dtype) {
    case DR_F32: return (double)((const float *)p)[i];
    case DR_F64: return ((const double *)p)[i];
    case DR_BF16: return widen(((const uint16_t *)p)[i], 8, 7);
    case DR_F16: return widen(((const uint16_t *)p)[i], 5, 10);
    case DR_I32: return (double)((const int32_t *)p)[i];
    case DR_I64: return (double)((const int64_t *)p)[i];
    case DR_U8: return (double)((const uint8_t *)p)[i];
    default: return ((const uint8_t *)p)[i] != 0 ? 1.0 : 0.0; /* DR_BOOL */
    }
}

__host__ __device__ inline void store_number(int32_t dtype, void *p, int64_t i, double x)
{
    switch (dtype) {
    case DR_F32: ((float *)p)[i] = (float)x; break;
    case DR_F64: ((double *)p)[i] = x; break;
    case DR_BF16: ((uint16_t *)p)[i] = narrow(x, 8, 7); break;
    case DR_F16: ((uint16_t *)p)[i] = narrow(x, 5, 10); break;
    case DR_I32: ((int32_t *)p)[i] = (int32_t)whole_number(x, INT32_MIN, INT32_MAX); break;
    case DR_I64: ((int64_t *)p)[i] = whole_number(x, INT64_MIN, INT64_MAX); break;
    case DR_U8: ((uint8_t *)p)[i] = (uint8_t)whole_number(x, 0, UINT8_MAX); break;
    default: ((uint8_t *)p)[i] = x != 0.0; break; /* DR_BOOL */
    }
}

/* The bytes of one element, the first dr_element_size(dtype) of these. */
struct element_bytes {
    alignas(8) unsigned char v[8];
};
static inline element_bytes bytes_of_number(int32_t dtype, double x)
{
    element_bytes e = {};
    store_number(dtype, e.v, 0, x);
    return e;
}

#endif
