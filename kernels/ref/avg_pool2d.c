/* avg_pool2d.c: y = the mean of each k x k window, windows `stride` apart, no padding. */
#include "element.h"

static void avg_pool2d_ref(const dr_kargs *a) /* x [B,C,H,W] -> y [B,C,Ho,Wo] */
{
    const dr_avg_pool2d_attr *attr = a->attr;
    const int64_t k = attr->kernel, s = attr->stride ? attr->stride : k, images = dr_ref_count(&a->in[0], 0, 2);
    const int64_t H = a->in[0].shape[2], W = a->in[0].shape[3], Ho = a->out[0].shape[2], Wo = a->out[0].shape[3];
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t n = 0; n < images; n++)
        for (int64_t oy = 0; oy < Ho; oy++)
            for (int64_t ox = 0; ox < Wo; ox++) {
                double sum = 0;
                for (int64_t ky = 0; ky < k; ky++)
                    for (int64_t kx = 0; kx < k; kx++) sum += m.in[0][(n * H + oy * s + ky) * W + ox * s + kx];
                m.out[0][(n * Ho + oy) * Wo + ox] = sum / (double)(k * k);
            }
    dr_ref_close(&m);
}

static void avg_pool2d_backward_ref(const dr_kargs *a) /* dy [B,C,Ho,Wo] -> dx [B,C,H,W] */
{
    const dr_avg_pool2d_backward_attr *attr = a->attr;
    const int64_t k = attr->kernel, s = attr->stride ? attr->stride : k, images = dr_ref_count(&a->in[0], 0, 2);
    const int64_t H = a->out[0].shape[2], W = a->out[0].shape[3], Ho = a->in[0].shape[2], Wo = a->in[0].shape[3];
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t n = 0; n < images; n++)
        for (int64_t oy = 0; oy < Ho; oy++)
            for (int64_t ox = 0; ox < Wo; ox++) {
                double share = m.in[0][(n * Ho + oy) * Wo + ox] / (double)(k * k);
                for (int64_t ky = 0; ky < k; ky++)
                    for (int64_t kx = 0; kx < k; kx++) m.out[0][(n * H + oy * s + ky) * W + ox * s + kx] += share;
            }
    dr_ref_close(&m);
}

DR_KERNEL(avg_pool2d, DR_ANY_DTYPE, avg_pool2d_ref)
DR_KERNEL(avg_pool2d_backward, DR_ANY_DTYPE, avg_pool2d_backward_ref)
