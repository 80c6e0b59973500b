/* conv2d.c: convolution (cross-correlation with zero padding), its two gradients, and transposed convolution.
 *   y[b,co,oy,ox] = bias[co] + sum over ci,ky,kx of x[b,ci,oy s - p + ky,ox s - p + kx] weight[co,ci,ky,kx]
 * The gradient in x, and the transposed convolution, are the same sum run backwards: each pixel is spread over the
 * k x k pixels that it touches.     Dumoulin & Visin 2016 */
#include "element.h"

/* x [B,Ci,H,W], weight [Co,Ci,k,k], bias [Co] or NULL -> y [B,Co,Ho,Wo] */
static void conv2d_ref(const dr_kargs *a)
{
    const dr_conv2d_attr *attr = a->attr;
    const int64_t s = attr->stride, p = attr->padding, k = a->in[1].shape[2];
    const int64_t B = a->in[0].shape[0], Ci = a->in[0].shape[1], H = a->in[0].shape[2], W = a->in[0].shape[3];
    const int64_t Co = a->out[0].shape[1], Ho = a->out[0].shape[2], Wo = a->out[0].shape[3];
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *x = m.in[0], *weight = m.in[1], *bias = m.in[2];
    double *y = m.out[0];

    for (int64_t b = 0; b < B; b++)
        for (int64_t co = 0; co < Co; co++)
            for (int64_t oy = 0; oy < Ho; oy++)
                for (int64_t ox = 0; ox < Wo; ox++) {
                    double sum = bias ? bias[co] : 0;
                    for (int64_t ci = 0; ci < Ci; ci++)
                        for (int64_t ky = 0; ky < k; ky++)
                            for (int64_t kx = 0; kx < k; kx++) {
                                int64_t iy = oy * s - p + ky, ix = ox * s - p + kx;
                                if (iy < 0 || iy >= H || ix < 0 || ix >= W) continue; /* zero padding */
                                double tap = weight[((co * Ci + ci) * k + ky) * k + kx];
                                sum += x[((b * Ci + ci) * H + iy) * W + ix] * tap;
                            }
                    y[((b * Co + co) * Ho + oy) * Wo + ox] = sum;
                }
    dr_ref_close(&m);
}

/* small [B,Cs,h,w] (input 0), weight [Cs,Cl,k,k] (input 1) -> adds into large [B,Cl,H,W] (output 0). The pixel (sy,sx)
 * of small meets the pixels (sy s - p + ky, sx s - p + kx) of large. */
static void spread(const dr_ref_operands *m, int64_t s, int64_t p)
{
    const dr_view *from = &m->a->in[0], *to = &m->a->out[0];
    const int64_t B = from->shape[0], Cs = from->shape[1], h = from->shape[2], w = from->shape[3];
    const int64_t Cl = to->shape[1], H = to->shape[2], W = to->shape[3], k = m->a->in[1].shape[2];
    const double *small = m->in[0], *weight = m->in[1];
    double *large = m->out[0];
    for (int64_t b = 0; b < B; b++)
        for (int64_t cs = 0; cs < Cs; cs++)
            for (int64_t sy = 0; sy < h; sy++)
                for (int64_t sx = 0; sx < w; sx++) {
                    double value = small[((b * Cs + cs) * h + sy) * w + sx];
                    for (int64_t cl = 0; cl < Cl; cl++)
                        for (int64_t ky = 0; ky < k; ky++)
                            for (int64_t kx = 0; kx < k; kx++) {
                                int64_t ly = sy * s - p + ky, lx = sx * s - p + kx;
                                if (ly < 0 || ly >= H || lx < 0 || lx >= W) continue;
                                double tap = weight[((cs * Cl + cl) * k + ky) * k + kx];
                                large[((b * Cl + cl) * H + ly) * W + lx] += value * tap;
                            }
                }
}

/* dy [B,Co,Ho,Wo], weight [Co,Ci,k,k] -> dx [B,Ci,H,W] */
static void conv2d_backward_data_ref(const dr_kargs *a)
{
    const dr_conv2d_backward_data_attr *attr = a->attr;
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    spread(&m, attr->stride, attr->padding);
    dr_ref_close(&m);
}

/* x [B,Ci,h,w], weight [Ci,Co,k,k], bias [Co] or NULL -> y [B,Co,H,W] */
static void conv_transpose2d_ref(const dr_kargs *a)
{
    const dr_conv_transpose2d_attr *attr = a->attr;
    const int64_t B = a->out[0].shape[0], Co = a->out[0].shape[1], pixels = dr_ref_count(&a->out[0], 2, 4);
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *bias = m.in[2];
    for (int64_t b = 0; bias && b < B; b++)
        for (int64_t co = 0; co < Co; co++)
            for (int64_t i = 0; i < pixels; i++) m.out[0][(b * Co + co) * pixels + i] = bias[co];
    spread(&m, attr->stride, attr->padding);
    dr_ref_close(&m);
}

/* x [B,Ci,H,W], dy [B,Co,Ho,Wo] -> dw [Co,Ci,k,k], db [Co] or [0] */
static void conv2d_backward_weight_ref(const dr_kargs *a)
{
    const dr_conv2d_backward_weight_attr *attr = a->attr;
    const int64_t s = attr->stride, p = attr->padding, k = attr->kernel;
    const int64_t B = a->in[0].shape[0], Ci = a->in[0].shape[1], H = a->in[0].shape[2], W = a->in[0].shape[3];
    const int64_t Co = a->in[1].shape[1], Ho = a->in[1].shape[2], Wo = a->in[1].shape[3];
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *x = m.in[0], *dy = m.in[1];
    double *dw = m.out[0], *db = m.out[1];

    for (int64_t b = 0; b < B; b++)
        for (int64_t co = 0; co < Co; co++)
            for (int64_t oy = 0; oy < Ho; oy++)
                for (int64_t ox = 0; ox < Wo; ox++) {
                    double value = dy[((b * Co + co) * Ho + oy) * Wo + ox];
                    if (attr->bias) db[co] += value;
                    for (int64_t ci = 0; ci < Ci; ci++)
                        for (int64_t ky = 0; ky < k; ky++)
                            for (int64_t kx = 0; kx < k; kx++) {
                                int64_t iy = oy * s - p + ky, ix = ox * s - p + kx;
                                if (iy < 0 || iy >= H || ix < 0 || ix >= W) continue;
                                dw[((co * Ci + ci) * k + ky) * k + kx] += value * x[((b * Ci + ci) * H + iy) * W + ix];
                            }
                }
    dr_ref_close(&m);
}

DR_KERNEL(conv2d, DR_ANY_DTYPE, conv2d_ref)
DR_KERNEL(conv2d_backward_data, DR_ANY_DTYPE, conv2d_backward_data_ref)
DR_KERNEL(conv2d_backward_weight, DR_ANY_DTYPE, conv2d_backward_weight_ref)
DR_KERNEL(conv_transpose2d, DR_ANY_DTYPE, conv_transpose2d_ref)
