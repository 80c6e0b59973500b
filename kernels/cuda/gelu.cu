/* gelu.cu: y = x Phi(x), or its tanh form, and dx; the formulas are in activation.h.     Hendrycks & Gimpel 2016 */
#include "activation.h"
#include "map.h"

template <int ACT> struct gelu_value {
    __device__ float of(float x) const { return activate<ACT>(x); }
};

template <int ACT> struct gelu_slope_times {
    __device__ float of(float x, float dy) const { return activate_slope<ACT>(x) * dy; }
};

template <typename T> static void gelu(const dr_kargs *a) /* x -> y */
{
    if (((const dr_gelu_attr *)a->attr)->approximate) map<T, 1>(a, gelu_value<DR_ACT_GELU_TANH>{});
    else map<T, 1>(a, gelu_value<DR_ACT_GELU>{});
}

template <typename T> static void gelu_backward(const dr_kargs *a) /* x, dy -> dx */
{
    if (((const dr_gelu_attr *)a->attr)->approximate) map<T, 2>(a, gelu_slope_times<DR_ACT_GELU_TANH>{});
    else map<T, 2>(a, gelu_slope_times<DR_ACT_GELU>{});
}

DR_KERNEL(gelu, DR_F32, gelu<float>)
DR_KERNEL(gelu, DR_BF16, gelu<bf16>)
DR_KERNEL(gelu_backward, DR_F32, gelu_backward<float>)
DR_KERNEL(gelu_backward, DR_BF16, gelu_backward<bf16>)
