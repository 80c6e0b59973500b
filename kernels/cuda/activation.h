/* activation.h: the activations that normalisations and convolutions end with, and their slopes. DR_ACT_... is a template
 * parameter of kernels, so that each has no branch in it. GELU(x) = x Phi(x); its tanh form is Hendrycks & Gimpel's. */
#ifndef DRIFT_CUDA_ACTIVATION_H
#define DRIFT_CUDA_ACTIVATION_H

#include "cuda_kernel.h"

__device__ inline float sigmoid_of(float x) { return 1.0f / (1.0f + expf(-x)); }

__device__ inline float gelu_of(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); }
__device__ inline float gelu_slope(float x) /* Phi(x) + x phi(x) */
{
    return 0.5f * (1.0f + erff(x * 0.70710678f)) + x * 0.39894228f * expf(-0.5f * x * x);
}

__device__ inline float gelu_tanh_of(float x)
{
    return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
}
__device__ inline float gelu_tanh_slope(float x)
{
    const float t = tanhf(0.79788456f * (x + 0.044715f * x * x * x));
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * 0.79788456f * (1.0f + 3.0f * 0.044715f * x * x);
}

template <int ACT> __device__ inline float activate(float x)
{
    if (ACT == DR_ACT_RELU) return x > 0.0f ? x : 0.0f;
    if (ACT == DR_ACT_GELU) return gelu_of(x);
    if (ACT == DR_ACT_GELU_TANH) return gelu_tanh_of(x);
    if (ACT == DR_ACT_SILU) return x * sigmoid_of(x);
    return x;
}

template <int ACT> __device__ inline float activate_slope(float x) /* at the activation's input */
{
    if (ACT == DR_ACT_RELU) return x > 0.0f ? 1.0f : 0.0f;
    if (ACT == DR_ACT_GELU) return gelu_slope(x);
    if (ACT == DR_ACT_GELU_TANH) return gelu_tanh_slope(x);
    if (ACT == DR_ACT_SILU) {
        const float s = sigmoid_of(x);
        return s * (1.0f + x * (1.0f - s));
    }
    return 1.0f;
}

#endif
