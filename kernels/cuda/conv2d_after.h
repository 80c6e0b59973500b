/* conv2d_after.h: act(sum + bias + add) on the device, where the branches are the same for all threads. */
#ifndef DRIFT_CUDA_CONV2D_AFTER_H
#define DRIFT_CUDA_CONV2D_AFTER_H

#include "activation.h"
#include "conv2d_direct.h"

/* dr_conv_after, as kernels take it. */
template <typename T> struct after_sums {
    const float *bias; /* or */
    const T *own_bias;
    const T *add;
    int64_t add_count; /* elements of add: element i gets add[i mod add_count] */
    int act, channels;
};

template <typename T> static after_sums<T> after_of(const dr_conv_after *f, int64_t image)
{
    after_sums<T> r = { NULL, NULL, (const T *)f->add, f->add_rows * image, (int)f->act, (int)f->channels };
    if (f->bias_dtype == DR_F32) r.bias = (const float *)f->bias;
    else r.own_bias = (const T *)f->bias;
    return r;
}

__device__ inline float activate_as(int act, float v)
{
    switch (act) {
    case DR_ACT_RELU: return activate<DR_ACT_RELU>(v);
    case DR_ACT_GELU: return activate<DR_ACT_GELU>(v);
    case DR_ACT_GELU_TANH: return activate<DR_ACT_GELU_TANH>(v);
    case DR_ACT_SILU: return activate<DR_ACT_SILU>(v);
    default: return v;
    }
}

/* at: the element's place in the result, of channel c */
template <typename T> __device__ inline float finish(const after_sums<T> &f, float sum, int64_t at, int c)
{
    if (c >= f.channels) c %= f.channels;
    if (f.bias) sum += f.bias[c];
    if (f.own_bias) sum += load(f.own_bias, c);
    if (f.add) sum += load(f.add, at < f.add_count ? at : at % f.add_count);
    return activate_as(f.act, sum);
}

#endif
