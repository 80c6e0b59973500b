/* activation.h: the activations that normalisations and convolutions end with, and their slopes. DR_ACT_... is a template
 * parameter of kernels, so that each has no branch in it. GELU(x) = x Phi(x); its tanh form is Hendrycks & Gimpel's. */
#ifndef DRIFT_CUDA_ACTIVATION_H
#define DRIFT_CUDA_ACTIVATION_H

#include "cuda_kernel.h"

__device__ inline float sigmoid_of(float x) { return 1.0f / (1.0f + expf(-x)); }

/* q(|x|) of Phi(-|x|) = e^(-x^2/2) q, Phi the normal distribution's cumulative function: a polynomial in 1/(1 + k |x|).
 * So the lower tail keeps its relative accuracy, which 1 + erf(x/sqrt 2) does not, and a slope needs no second
 * exponential. The shorter one is within 6e-5, for results that are rounded to bf16. */
template <typename T> __device__ inline float normal_tail(float a)
{
    if (sizeof(T) == 2) {
        const float t = __fdividef(1.0f, 1.0f + 0.25f * a);
        float q = 2.413298020e-01f;
        q = q * t - 1.032329739e-01f;
        q = q * t + 1.798426030e-01f;
        q = q * t + 8.071467040e-02f;
        q = q * t + 1.013242056e-01f;
        return q * t;
    }
    const float t = __fdividef(1.0f, 1.0f + 0.35f * a);
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

/* x Phi(x) = max(x, 0) - |x| Phi(-|x|) */
template <typename T = float> __device__ inline float gelu_of(float x)
{
    const float a = fabsf(x), e = exp2f(x * x * -0.72134752f);
    return fmaxf(x, 0.0f) - a * (e * normal_tail<T>(a));
}
/* Phi(x) + x phi(x) = [x >= 0] + sign(x) (|x| phi(x) - Phi(-|x|)) */
template <typename T = float> __device__ inline float gelu_slope(float x)
{
    const float a = fabsf(x), e = exp2f(x * x * -0.72134752f);
    const float part = e * (0.39894228f * a - normal_tail<T>(a));
    return x >= 0.0f ? 1.0f + part : -part;
}

/* x/2 (1 + tanh u) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3) */
template <typename T = float> __device__ inline float gelu_tanh_of(float x)
{
    const float u2 = x * (1.595769122f + 0.0713548163f * x * x);
    return __fdividef(x, 1.0f + expf(-u2));
}
template <typename T = float> __device__ inline float gelu_tanh_slope(float x)
{
    const float square = fminf(x * x, 1e4f); /* beyond, the second part is 0 and must not meet infinity */
    const float e = expf(fminf(-x * (1.595769122f + 0.0713548163f * square), 80.0f));
    const float s = __fdividef(1.0f, 1.0f + e); /* and 1 - s = e s */
    return s + x * s * (e * s) * (1.595769122f + 0.2140644489f * square);
}

/* T: what the result is rounded to. */
template <int ACT, typename T = float> __device__ inline float activate(float x)
{
    if (ACT == DR_ACT_RELU) return x > 0.0f ? x : 0.0f;
    if (ACT == DR_ACT_GELU) return gelu_of<T>(x);
    if (ACT == DR_ACT_GELU_TANH) return gelu_tanh_of<T>(x);
    if (ACT == DR_ACT_SILU) return __fdividef(x, 1.0f + expf(-x));
    return x;
}

template <int ACT, typename T = float> __device__ inline float activate_slope(float x) /* at the activation's input */
{
    if (ACT == DR_ACT_RELU) return x > 0.0f ? 1.0f : 0.0f;
    if (ACT == DR_ACT_GELU) return gelu_slope<T>(x);
    if (ACT == DR_ACT_GELU_TANH) return gelu_tanh_slope<T>(x);
    if (ACT == DR_ACT_SILU) {
        const float s = __fdividef(1.0f, 1.0f + expf(-x));
        return s * (1.0f + x * (1.0f - s));
    }
    return 1.0f;
}

/* Kernels off the hot path are made once for all activations: ACT is then DR_ACT_BY_VALUE, and `act` says which. */
enum { DR_ACT_BY_VALUE = -1 };

template <int ACT, typename T> __device__ inline float activate_as(int act, float x)
{
    if (ACT != DR_ACT_BY_VALUE) return activate<ACT, T>(x);
    switch (act) {
    case DR_ACT_RELU: return activate<DR_ACT_RELU>(x);
    case DR_ACT_GELU: return activate<DR_ACT_GELU>(x);
    case DR_ACT_GELU_TANH: return activate<DR_ACT_GELU_TANH>(x);
    case DR_ACT_SILU: return activate<DR_ACT_SILU>(x);
    default: return x;
    }
}

template <int ACT, typename T> __device__ inline float activate_slope_as(int act, float x)
{
    if (ACT != DR_ACT_BY_VALUE) return activate_slope<ACT, T>(x);
    switch (act) {
    case DR_ACT_RELU: return activate_slope<DR_ACT_RELU>(x);
    case DR_ACT_GELU: return activate_slope<DR_ACT_GELU>(x);
    case DR_ACT_GELU_TANH: return activate_slope<DR_ACT_GELU_TANH>(x);
    case DR_ACT_SILU: return activate_slope<DR_ACT_SILU>(x);
    default: return 1.0f;
    }
}

#endif
