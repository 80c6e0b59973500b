/* ops_conv_transpose2d.c: the transposed convolution: what conv2d's gradient in x does, as a layer.
 * x [B,Ci,H,W], weight [Ci,Co,k,k], bias [Co] -> y [B,Co,H',W'], H' = (H - 1) s - 2p + k. */
#include "ops_conv2d.h"

#define LARGEST 1048576
static const dr_param params[] = {
    DR_INT(dr_conv_transpose2d_attr, stride, 1, 1, LARGEST, "steps between the windows that x's pixels spread to"),
    DR_INT(dr_conv_transpose2d_attr, padding, 0, 0, LARGEST, "rows and columns cut off around y"),
    DR_END,
};

dr_status dr_conv_transpose2d_infer(const char *op, const dr_view *in, int n_in, const dr_conv_transpose2d_attr *a,
                                    dr_view *out)
{
    const dr_infer c = { op, "x,weight,bias", in, n_in };
    const dr_view *x = &in[0], *weight = &in[1];
    if (dr_need_weights(&c) != DR_OK || dr_need_rank(&c, 0, 4) != DR_OK || dr_need_rank(&c, 1, 4) != DR_OK)
        return DR_ESHAPE;
    if (dr_need_shape(&c, 2, 1, &weight->shape[1]) != DR_OK) return DR_ESHAPE;
    if (weight->shape[0] != x->shape[1]) {
        return dr_refuse(&c, "weight expects %lld input channels, got %lld", (long long)weight->shape[0],
                         (long long)x->shape[1]);
    }
    const int64_t k = weight->shape[2], s = a->stride, p = a->padding;
    if (k != weight->shape[3] || k < 1) {
        return dr_refuse(&c, "weight must have a square kernel, got %lld x %lld", (long long)k,
                         (long long)weight->shape[3]);
    }
    if (s < 1 || s > LARGEST || p < 0 || p > LARGEST) {
        return dr_refuse(&c, "stride %lld must be at least 1, padding %lld at least 0", (long long)s, (long long)p);
    }
    const int64_t H = (x->shape[2] - 1) * s - 2 * p + k, W = (x->shape[3] - 1) * s - 2 * p + k;
    if (x->shape[2] < 1 || x->shape[3] < 1 || H < 1 || W < 1) {
        return dr_refuse(&c, "nothing is left of the image with padding %lld", (long long)p);
    }
    dr_shape_of(out, x->dtype, 4, (int64_t[]){ x->shape[0], weight->shape[1], H, W });
    return DR_OK;
}

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)offset;
    return dr_conv_transpose2d_infer("conv_transpose2d", in, n_in, attr, out);
}

/* The convolution whose gradient this is has weight [Ci,Co,k,k] as it lies, from y's shape to x's. */
static dr_status compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const dr_conv_transpose2d_attr *a = attr;
    const dr_view *x = dr_tensor_view(in[0]), *weight = dr_tensor_view(in[1]);
    (void)n_in;
    const int64_t k = weight->shape[2];
    const dr_conv2d_backward_data_attr data = { a->stride, a->padding,
                                                (x->shape[2] - 1) * a->stride - 2 * a->padding + k,
                                                (x->shape[3] - 1) * a->stride - 2 * a->padding + k };
    dr_tensor *y = dr_apply1("conv2d_backward_data", in, 2, &data);
    return dr_yield(out, in[2] ? dr_add(y, dr_per_channel(in[2], 4)) : y);
}

static dr_status backward(const dr_backward_args *b)
{
    const dr_conv_transpose2d_attr *a = b->attr;
    dr_tensor *dy = dr_contiguous(b->dout[0], DR_LAYOUT_CL); /* once for all */
    if (b->need[0]) b->din[0] = dr_conv2d(dy, b->in[1], NULL, a->stride, a->padding);
    if (b->need[1]) {
        const dr_conv2d_backward_weight_attr w = { a->stride, a->padding, b->in_view[1].shape[2], 0 };
        dr_tensor *dw = dr_apply1("conv2d_backward_weight", (dr_tensor *[]){ dy, b->in[0] }, 2, &w);
        b->din[1] = dr_to_dtype(dw, b->in_view[1].dtype);
    }
    if (dr_given(b->in_view, b->n_in, 2) && b->need[2])
        b->din[2] = dr_to_dtype(dr_sum(dy, 3, (int64_t[]){ 0, 2, 3 }, false), b->in_view[2].dtype);
    return dr_failed();
}

DR_OP_COMPONENT(conv_transpose2d, "conv_transpose2d(x, weight, bias); bias may be nil", params, .n_in = 3,
                .n_optional = 1, .n_out = 1, .in_layout = { DR_LAYOUT_CL, DR_LAYOUT_ROW, DR_LAYOUT_ROW },
                .out_layout = { DR_LAYOUT_CL }, .infer = infer, .compose = compose, .backward = backward,
                .save_in = 1 | 2)
