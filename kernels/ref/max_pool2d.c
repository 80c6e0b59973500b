/* max_pool2d.c: y = the maximum of each k x k window, windows `stride` apart, no padding. The gradient goes to the
 * first maximum of the window in row-major order. NaN is largest. */
#include "element.h"

/* Index within image [H,W] of the maximum of the window whose corner is (top, left). */
static int64_t place_of_maximum(const double *image, int64_t W, int64_t top, int64_t left, int64_t k)
{
    int64_t best = top * W + left;
    for (int64_t ky = 0; ky < k; ky++)
        for (int64_t kx = 0; kx < k; kx++) {
            int64_t at = (top + ky) * W + left + kx;
            if (isnan(image[best])) return best;
            if (image[at] > image[best] || isnan(image[at])) best = at;
        }
    return best;
}

static void max_pool2d_ref(const dr_kargs *a) /* x [B,C,H,W] -> y [B,C,Ho,Wo] */
{
    const dr_max_pool2d_attr *attr = a->attr;
    const int64_t images = dr_ref_count(&a->in[0], 0, 2), H = a->in[0].shape[2], W = a->in[0].shape[3];
    const int64_t stride = attr->stride ? attr->stride : attr->kernel;
    const int64_t Ho = a->out[0].shape[2], Wo = a->out[0].shape[3];
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t n = 0; n < images; n++) {
        const double *x = m.in[0] + n * H * W;
        for (int64_t oy = 0; oy < Ho; oy++)
            for (int64_t ox = 0; ox < Wo; ox++) {
                int64_t at = place_of_maximum(x, W, oy * stride, ox * stride, attr->kernel);
                m.out[0][(n * Ho + oy) * Wo + ox] = x[at];
            }
    }
    dr_ref_close(&m);
}

static void max_pool2d_backward_ref(const dr_kargs *a) /* x [B,C,H,W], dy [B,C,Ho,Wo] -> dx [B,C,H,W] */
{
    const dr_max_pool2d_backward_attr *attr = a->attr;
    const int64_t images = dr_ref_count(&a->in[0], 0, 2), H = a->in[0].shape[2], W = a->in[0].shape[3];
    const int64_t stride = attr->stride ? attr->stride : attr->kernel;
    const int64_t Ho = a->in[1].shape[2], Wo = a->in[1].shape[3];
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t n = 0; n < images; n++) {
        const double *x = m.in[0] + n * H * W;
        for (int64_t oy = 0; oy < Ho; oy++)
            for (int64_t ox = 0; ox < Wo; ox++) {
                int64_t at = place_of_maximum(x, W, oy * stride, ox * stride, attr->kernel);
                m.out[0][n * H * W + at] += m.in[1][(n * Ho + oy) * Wo + ox];
            }
    }
    dr_ref_close(&m);
}

DR_KERNEL(max_pool2d, DR_ANY_DTYPE, max_pool2d_ref)
DR_KERNEL(max_pool2d_backward, DR_ANY_DTYPE, max_pool2d_backward_ref)
