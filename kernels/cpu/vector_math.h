/* vector_math.h: elementary functions of one float, without branches, so that a loop over them becomes vector code.
 * Polynomials are minimax fits (relative error of each below 4e-8); results are within a few units of the last place,
 * overflow to infinity, underflow to 0, and keep NaN. */
#ifndef DRIFT_CPU_VECTOR_MATH_H
#define DRIFT_CPU_VECTOR_MATH_H

#include <drift/kernel.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define VM_INLINE static inline __attribute__((always_inline))

VM_INLINE float vm_from_bits(int32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

VM_INLINE int32_t vm_to_bits(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* e^x = 2^n e^r, n = round(x / ln 2), |r| <= ln(2)/2. 2^n is applied in two halves, so that subnormal results and those
 * that overflow come out right. */
VM_INLINE float vm_exp(float x)
{
    x = x > 128.0f ? 128.0f : x;
    x = x < -128.0f ? -128.0f : x;
    const float round = 12582912.0f; /* 1.5 2^23: its last bit is worth 1 */
    const float shifted = x * 1.442695041f + round;
    const float n = shifted - round;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f; /* ln 2 in two parts */
    float p = 1.381314476e-03f;
    p = p * r + 8.369418792e-03f;
    p = p * r + 4.166845605e-02f;
    p = p * r + 1.666651517e-01f;
    p = p * r + 4.999999404e-01f;
    p = (p * r) * r + r + 1.0f;
    const int32_t whole = vm_to_bits(shifted) - 0x4B400000; /* n */
    const int32_t half = whole >> 1;
    return p * vm_from_bits((int32_t)((uint32_t)(half + 127) << 23)) *
           vm_from_bits((int32_t)((uint32_t)(whole - half + 127) << 23));
}

/* ln x = e ln 2 + ln(1 + f), x = 2^e (1 + f), 1 + f in [sqrt 1/2, sqrt 2) */
VM_INLINE float vm_log(float x)
{
    const int small = x < 1.17549435e-38f;
    const float scaled = small ? x * 8388608.0f : x;      /* subnormal: times 2^23 */
    const int32_t bits = vm_to_bits(scaled) - 0x3F3504F3; /* relative to sqrt 1/2 */
    const float e = (float)(bits >> 23) - (small ? 23.0f : 0.0f);
    const float f = vm_from_bits((bits & 0x007FFFFF) + 0x3F3504F3) - 1.0f;
    float p = 6.746638566e-02f;
    p = p * f - 1.167565137e-01f;
    p = p * f + 1.188816279e-01f;
    p = p * f - 1.240558922e-01f;
    p = p * f + 1.421955228e-01f;
    p = p * f - 1.666799635e-01f;
    p = p * f + 2.000211924e-01f;
    p = p * f - 2.500000894e-01f;
    p = p * f + 3.333331347e-01f;
    const float square = f * f;
    float y = (p * f) * square - e * 2.12194440e-4f;
    y = y - 0.5f * square;
    y = (f + y) + e * 0.693359375f;
    y = x > 3.402823466e38f ? x : y; /* infinity */
    y = x == 0.0f ? -INFINITY : y;
    return x >= 0.0f ? y : NAN;
}

/* e^(-2|x|) serves away from 0, an odd polynomial near it. */
VM_INLINE float vm_tanh(float x)
{
    const float a = fabsf(x), square = x * x;
    float p = -5.704987328e-03f;
    p = p * square + 2.063908800e-02f;
    p = p * square - 5.373971537e-02f;
    p = p * square + 1.333144158e-01f;
    p = p * square - 3.333328068e-01f;
    const float near = (p * square) * x + x;
    const float e = vm_exp(-2.0f * a);
    const float far = copysignf((1.0f - e) / (1.0f + e), x);
    return a < 0.625f ? near : far;
}

VM_INLINE float vm_sigmoid(float x) { return 1.0f / (1.0f + vm_exp(-x)); }

/* sin and cos of a quarter turn at most: |r| <= pi/4 */
VM_INLINE float vm_sin_quarter(float r)
{
    const float square = r * r;
    float p = 2.717366669e-06f;
    p = p * square - 1.983923285e-04f;
    p = p * square + 8.333329111e-03f;
    p = p * square - 1.666666716e-01f;
    return (p * square) * r + r;
}

VM_INLINE float vm_cos_quarter(float r)
{
    const float square = r * r;
    float p = -2.719863232e-07f;
    p = p * square + 2.479937211e-05f;
    p = p * square - 1.388888340e-03f;
    p = p * square + 4.166666791e-02f;
    return (p * square) * square + (1.0f - 0.5f * square);
}

/* sin(q pi/2 + r): which function and sign the quarter q asks for */
VM_INLINE float vm_sin_from(float r, int32_t q)
{
    const float s = vm_sin_quarter(r), c = vm_cos_quarter(r);
    const float value = q & 1 ? c : s;
    return vm_from_bits(vm_to_bits(value) ^ (int32_t)(((uint32_t)q & 2) << 30));
}

/* ---- activations: `type` says what the result is rounded to; for DR_BF16 a relative error of 6e-5 does ----------- */

/* The smaller of |x| and `most`, with x's sign; `most` for NaN. On whole numbers, which floats >= 0 are ordered like:
 * compilers make one instruction of that, and of comparing floats, where NaN could matter, several. */
VM_INLINE float vm_within(float x, float most)
{
    const int32_t size = vm_to_bits(x) & INT32_MAX, limit = vm_to_bits(most);
    return vm_from_bits((size < limit ? size : limit) | (vm_to_bits(x) & INT32_MIN));
}

/* max(x, 0); 0 for some NaN */
VM_INLINE float vm_positive(float x)
{
    const int32_t bits = vm_to_bits(x);
    return vm_from_bits(bits > 0 ? bits : 0);
}

/* e^x for |x| <= 88.37, 0 where it would be subnormal: 2^n, n = round(x / ln 2), is one factor, whose exponent lies in
 * the last bits of `shifted`. */
VM_INLINE float vm_exp_within(int type, float x)
{
    const float round = 12583039.0f; /* 1.5 2^23 + 127 */
    const float shifted = x * 1.442695041f + round;
    const float n = shifted - round;
    float p;
    if (type == DR_BF16) {
        const float r = x - n * 0.6931471806f;
        p = 4.145860810e-02f;
        p = p * r + 1.679090765e-01f;
        p = p * r + 5.000435869e-01f;
        p = p * r + 9.999634046e-01f;
        p = p * r + 9.999992614e-01f;
    } else {
        const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f; /* ln 2 in two parts */
        p = 1.381314476e-03f;
        p = p * r + 8.369418792e-03f;
        p = p * r + 4.166845605e-02f;
        p = p * r + 1.666651517e-01f;
        p = p * r + 4.999999404e-01f;
        p = (p * r) * r + r + 1.0f;
    }
    return p * vm_from_bits((int32_t)((uint32_t)vm_to_bits(shifted) << 23));
}

/* q(|x|) of Phi(-|x|) = e^(-x^2/2) q, Phi the normal distribution's cumulative function: a polynomial in 1/(1 + k |x|).
 * So the lower tail keeps its relative accuracy, which 1 + erf(x/sqrt 2) does not. */
VM_INLINE float vm_normal_tail(int type, float a)
{
    if (type == DR_BF16) {
        const float t = 1.0f / (1.0f + 0.25f * a);
        float q = 2.413298020e-01f;
        q = q * t - 1.032329739e-01f;
        q = q * t + 1.798426030e-01f;
        q = q * t + 8.071467040e-02f;
        q = q * t + 1.013242056e-01f;
        return q * t;
    }
    const float t = 1.0f / (1.0f + 0.35f * a);
    float q = -2.915810049e-02f;
    q = q * t + 1.440318972e-01f;
    q = q * t - 2.558408678e-01f;
    q = q * t + 1.593216360e-01f;
    q = q * t - 2.321356907e-02f;
    q = q * t + 1.055529639e-01f;
    q = q * t + 1.198211834e-01f;
    q = q * t + 1.398635209e-01f;
    q = q * t + 1.396213025e-01f;
    return q * t;
}

/* e^(-x^2/2) */
VM_INLINE float vm_half_square_exp(int type, float x) { return vm_exp_within(type, -0.5f * vm_within(x * x, 176.7f)); }

/* x Phi(x) = max(x, 0) - |x| Phi(-|x|) */
VM_INLINE float vm_gelu(int type, float x)
{
    const float a = fabsf(x), e = vm_half_square_exp(type, x);
    return vm_positive(x) - a * (e * vm_normal_tail(type, a));
}

/* Phi(x) + x phi(x) = [x >= 0] + sign(x) (|x| phi(x) - Phi(-|x|)) */
VM_INLINE float vm_gelu_slope(int type, float x)
{
    const float a = fabsf(x), e = vm_half_square_exp(type, x);
    const float part = e * (0.3989422804f * a - vm_normal_tail(type, a));
    const int32_t sign = vm_to_bits(x) & INT32_MIN, one = 0x3F800000; /* 1.0f */
    return vm_from_bits(vm_to_bits(part) ^ sign) + vm_from_bits(one & ~(sign >> 31));
}

/* e^-x, which ends at 2e38: 1/(1 + e^-x) is then 4e-39 where it should be less. */
VM_INLINE float vm_exp_minus(int type, float x) { return vm_exp_within(type, vm_within(-x, 88.37f)); }

/* x/2 (1 + tanh u) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3) */
VM_INLINE float vm_gelu_tanh(int type, float x)
{
    const float u2 = x * (1.595769122f + 0.0713548163f * (x * x)); /* 2u */
    return x / (1.0f + vm_exp_minus(type, u2));
}

VM_INLINE float vm_gelu_tanh_slope(int type, float x)
{
    const float square = x * x < 1e4f ? x * x : 1e4f; /* beyond, s (1 - s) is 0 and must not meet infinity */
    const float e = vm_exp_minus(type, x * (1.595769122f + 0.0713548163f * square));
    const float s = 1.0f / (1.0f + e);
    const float rest = e > 1e30f ? 0.0f : e * s; /* 1 - s */
    return s + x * s * rest * (1.595769122f + 0.2140644489f * square);
}

VM_INLINE float vm_silu(int type, float x) { return x / (1.0f + vm_exp_minus(type, x)); }

VM_INLINE float vm_silu_slope(int type, float x) /* s (1 + x (1 - s)) */
{
    const float s = 1.0f / (1.0f + vm_exp_minus(type, x));
    return s * (1.0f + x * (1.0f - s));
}

/* type and act are constants where these are called, so that each activation becomes a loop of its own. */
VM_INLINE float vm_act_to(int type, int act, float x)
{
    switch (act) {
    case DR_ACT_RELU: return x < 0.0f ? 0.0f : x;
    case DR_ACT_GELU: return vm_gelu(type, x);
    case DR_ACT_GELU_TANH: return vm_gelu_tanh(type, x);
    case DR_ACT_SILU: return vm_silu(type, x);
    default: return x;
    }
}

VM_INLINE float vm_act_slope_to(int type, int act, float x)
{
    switch (act) {
    case DR_ACT_RELU: return x > 0.0f ? 1.0f : 0.0f;
    case DR_ACT_GELU: return vm_gelu_slope(type, x);
    case DR_ACT_GELU_TANH: return vm_gelu_tanh_slope(type, x);
    case DR_ACT_SILU: return vm_silu_slope(type, x);
    default: return 1.0f;
    }
}

VM_INLINE float vm_act(int act, float x) { return vm_act_to(DR_F32, act, x); }
VM_INLINE float vm_act_slope(int act, float x) { return vm_act_slope_to(DR_F32, act, x); }

#endif
