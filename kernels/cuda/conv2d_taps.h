/* conv2d_taps.h: which pixel of the one image a tap of the kernel joins to a pixel of the other, in one dimension. */
#ifndef DRIFT_CUDA_CONV2D_TAPS_H
#define DRIFT_CUDA_CONV2D_TAPS_H

#include "cuda_kernel.h"

/* An image that is read (`from`) and one that is written (`to`), by pixels. */
struct conv_sides {
    int from_H, from_W, from_C, to_H, to_W, to_C;
    int k, stride, padding;
};

/* DATA: `to` is x and `from` is y, else the other way round. -1: outside, or between y's pixels. */
template <bool DATA> __device__ inline int joined(const conv_sides &s, int at, int tap, int n)
{
    if (!DATA) {
        const int i = at * s.stride - s.padding + tap;
        return i < n ? i : -1; /* negative ones are outside as they are */
    }
    const int i = at + s.padding - tap;
    if (s.stride == 1) return i < n ? i : -1;
    if (i < 0 || i % s.stride != 0) return -1;
    return i / s.stride < n ? i / s.stride : -1;
}

static inline conv_sides sides_of(bool data, const dr_conv_shape *s)
{
    const conv_sides forward = { (int)s->H,  (int)s->W,  (int)s->Ci, (int)s->Ho,     (int)s->Wo,
                                 (int)s->Co, (int)s->k,  (int)s->stride, (int)s->padding };
    const conv_sides back = { (int)s->Ho, (int)s->Wo, (int)s->Co, (int)s->H,      (int)s->W,
                              (int)s->Ci, (int)s->k,  (int)s->stride, (int)s->padding };
    return data ? back : forward;
}

#endif
