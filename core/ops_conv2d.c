/* ops_conv2d.c: y[b,co,i,j] = bias[co] + sum over ci,u,v of weight[co,ci,u,v] x[b,ci, i s - p + u, j s - p + v]
 * (cross-correlation, zeros outside x). x [B,Ci,H,W], weight [Co,Ci,k,k], y [B,Co,H',W'], H' = (H + 2p - k)/s + 1.
 * Its gradients are ops of their own; a transposed convolution is made of the same three.
 * Beside a half x, weight and bias may be f32: kernels read the weights that the optimizer writes. Beside any x the
 * weight of conv2d may be f32, f16 or bf16, as a file has it: the result is of x's dtype. */
#include "ops_conv2d.h"

#define LARGEST 1048576 /* 2^20: a stride, padding or image side beyond this is a mistake */
static const dr_param params[] = {
    DR_INT(dr_conv2d_attr, stride, 1, 1, LARGEST, "steps between windows"),
    DR_INT(dr_conv2d_attr, padding, 0, 0, LARGEST, "zeros around x"),
    DR_END,
};

static dr_status check_steps(const dr_infer *c, int64_t stride, int64_t padding)
{
    if (stride >= 1 && stride <= LARGEST && padding >= 0 && padding <= LARGEST) return DR_OK;
    return dr_refuse(c, "stride %lld must be at least 1, padding %lld at least 0", (long long)stride,
                     (long long)padding);
}

static dr_status check_weight(const dr_infer *c, int i)
{
    if (dr_need_rank(c, i, 4) != DR_OK) return DR_ESHAPE;
    const int64_t *shape = c->in[i].shape;
    if (shape[2] == shape[3] && shape[2] >= 1) return DR_OK;
    return dr_refuse(c, "weight must have a square kernel, got %lld x %lld", (long long)shape[2], (long long)shape[3]);
}

/* Windows along an axis of n; 0 where not one fits. */
static int64_t windows(int64_t n, int64_t kernel, int64_t stride, int64_t padding)
{
    const int64_t room = n + 2 * padding - kernel;
    return room < 0 ? 0 : room / stride + 1;
}

dr_status dr_conv2d_infer(const char *op, const dr_view *in, int n_in, const dr_conv2d_attr *a, dr_view *out)
{
    const dr_infer c = { op, "x,weight,bias", in, n_in };
    const dr_view *x = &in[0], *weight = &in[1];
    if (dr_need_any_weight(&c) != DR_OK || dr_need_rank(&c, 0, 4) != DR_OK || check_weight(&c, 1) != DR_OK)
        return DR_ESHAPE;
    if (check_steps(&c, a->stride, a->padding) != DR_OK || dr_need_shape(&c, 2, 1, weight->shape) != DR_OK)
        return DR_ESHAPE;
    if (weight->shape[1] != x->shape[1]) {
        return dr_refuse(&c, "weight expects %lld input channels, got %lld", (long long)weight->shape[1],
                         (long long)x->shape[1]);
    }
    const int64_t H = windows(x->shape[2], weight->shape[2], a->stride, a->padding);
    const int64_t W = windows(x->shape[3], weight->shape[2], a->stride, a->padding);
    if (H < 1 || W < 1) {
        return dr_refuse(&c, "the kernel is larger than the image with padding %lld", (long long)a->padding);
    }
    dr_shape_of(out, x->dtype, 4, (int64_t[]){ x->shape[0], weight->shape[0], H, W });
    return DR_OK;
}

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)offset;
    return dr_conv2d_infer("conv2d", in, n_in, attr, out);
}

static dr_status backward(const dr_backward_args *b)
{
    const dr_conv2d_attr *a = b->attr;
    const dr_view *x = &b->in_view[0], *weight = &b->in_view[1];
    dr_tensor *dy = dr_contiguous(b->dout[0], DR_LAYOUT_CL); /* a copy, where it takes one, once for both */
    const bool has_bias = dr_given(b->in_view, b->n_in, 2) && b->need[2];
    if (b->need[0]) {
        const dr_conv2d_backward_data_attr data = { a->stride, a->padding, x->shape[2], x->shape[3] };
        b->din[0] = dr_apply1("conv2d_backward_data", (dr_tensor *[]){ dy, dr_weight_beside(b->in[1], x->dtype) }, 2, &data);
    }
    if (b->need[1]) {
        const dr_conv2d_backward_weight_attr w = { a->stride, a->padding, weight->shape[2], has_bias };
        dr_tensor *grad[2] = { NULL };
        dr_apply("conv2d_backward_weight", (dr_tensor *[]){ b->in[0], dy }, 2, &w, grad);
        b->din[1] = dr_to_dtype(grad[0], weight->dtype);
        if (has_bias) b->din[2] = dr_to_dtype(grad[1], b->in_view[2].dtype);
    } else if (has_bias) {
        b->din[2] = dr_to_dtype(dr_sum(dy, 3, (int64_t[]){ 0, 2, 3 }, false), b->in_view[2].dtype);
    }
    return dr_failed();
}

DR_OP_COMPONENT(conv2d, "conv2d(x, weight, bias): cross-correlation; bias may be nil", params,
                .flags = DR_OP_ANY_WEIGHT, .n_in = 3,
                .n_optional = 1, .n_out = 1, .in_layout = { DR_LAYOUT_CL, DR_LAYOUT_ROW, DR_LAYOUT_ROW },
                .out_layout = { DR_LAYOUT_CL }, .infer = infer, .backward = backward, .save_in = 1 | 2)

/* ---- gradient in x: dy [B,Co,H',W'], weight [Co,Ci,k,k] -> dx [B,Ci,height,width] -------------------------------- */

static const dr_param data_params[] = {
    DR_INT(dr_conv2d_backward_data_attr, stride, 1, 1, LARGEST, "as in conv2d"),
    DR_INT(dr_conv2d_backward_data_attr, padding, 0, 0, LARGEST, "as in conv2d"),
    DR_INT_REQUIRED(dr_conv2d_backward_data_attr, height, 1, LARGEST, "of x"),
    DR_INT_REQUIRED(dr_conv2d_backward_data_attr, width, 1, LARGEST, "of x"),
    DR_END,
};

static dr_status data_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "conv2d_backward_data", "dy,weight", in, n_in };
    const dr_conv2d_backward_data_attr *a = attr;
    const dr_view *dy = &in[0], *weight = &in[1];
    (void)offset;
    if (dr_need_weights(&c) != DR_OK || dr_need_rank(&c, 0, 4) != DR_OK || check_weight(&c, 1) != DR_OK)
        return DR_ESHAPE;
    if (check_steps(&c, a->stride, a->padding) != DR_OK) return DR_ESHAPE;
    if (weight->shape[0] != dy->shape[1]) {
        return dr_refuse(&c, "weight makes %lld channels, dy has %lld", (long long)weight->shape[0],
                         (long long)dy->shape[1]);
    }
    if (windows(a->height, weight->shape[2], a->stride, a->padding) != dy->shape[2] ||
        windows(a->width, weight->shape[2], a->stride, a->padding) != dy->shape[3]) {
        return dr_refuse(&c, "dy is not what an image of %lld x %lld gives", (long long)a->height, (long long)a->width);
    }
    dr_shape_of(out, dy->dtype, 4, (int64_t[]){ dy->shape[0], weight->shape[1], a->height, a->width });
    return DR_OK;
}

/* It is linear in dy and in weight: the gradient of a gradient is a convolution again. */
static dr_status data_backward(const dr_backward_args *b)
{
    const dr_conv2d_backward_data_attr *a = b->attr;
    dr_tensor *dx = b->dout[0];
    if (b->need[0]) b->din[0] = dr_conv2d(dx, b->in[1], NULL, a->stride, a->padding);
    if (b->need[1]) {
        const dr_conv2d_backward_weight_attr w = { a->stride, a->padding, b->in_view[1].shape[2], 0 };
        dr_tensor *dw = dr_apply1("conv2d_backward_weight", (dr_tensor *[]){ dx, b->in[0] }, 2, &w);
        b->din[1] = dr_to_dtype(dw, b->in_view[1].dtype);
    }
    return dr_failed();
}

DR_OP_COMPONENT(conv2d_backward_data, "conv2d_backward_data(dy, weight) -> dx", data_params, .n_in = 2, .n_out = 1,
                .in_layout = { DR_LAYOUT_CL, DR_LAYOUT_ROW }, .out_layout = { DR_LAYOUT_CL }, .infer = data_infer,
                .backward = data_backward, .save_in = 1 | 2)

/* ---- gradients in weight and bias: x [B,Ci,H,W], dy [B,Co,H',W'] -> dw [Co,Ci,k,k], db [Co] in the statistics'
 * dtype: sums over a batch of half images are f32 ------------------------------------------------------------------- */

static const dr_param weight_params[] = {
    DR_INT(dr_conv2d_backward_weight_attr, stride, 1, 1, LARGEST, "as in conv2d"),
    DR_INT(dr_conv2d_backward_weight_attr, padding, 0, 0, LARGEST, "as in conv2d"),
    DR_INT_REQUIRED(dr_conv2d_backward_weight_attr, kernel, 1, LARGEST, "k"),
    DR_INT(dr_conv2d_backward_weight_attr, bias, 0, 0, 1, "1: the bias' gradient as well, else it is empty"),
    DR_END,
};

static dr_status weight_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "conv2d_backward_weight", "x,dy", in, n_in };
    const dr_conv2d_backward_weight_attr *a = attr;
    const dr_view *x = &in[0], *dy = &in[1];
    (void)offset;
    if (dr_need_floats(&c) != DR_OK || dr_need_rank(&c, 0, 4) != DR_OK || dr_need_rank(&c, 1, 4) != DR_OK)
        return DR_ESHAPE;
    if (check_steps(&c, a->stride, a->padding) != DR_OK) return DR_ESHAPE;
    if (a->kernel < 1 || x->shape[0] != dy->shape[0] ||
        windows(x->shape[2], a->kernel, a->stride, a->padding) != dy->shape[2] ||
        windows(x->shape[3], a->kernel, a->stride, a->padding) != dy->shape[3]) {
        return dr_refuse(&c, "dy is not what x gives with kernel %lld, stride %lld, padding %lld", (long long)a->kernel,
                         (long long)a->stride, (long long)a->padding);
    }
    dr_shape_of(&out[0], dr_stat_dtype(x->dtype), 4, (int64_t[]){ dy->shape[1], x->shape[1], a->kernel, a->kernel });
    dr_shape_of(&out[1], dr_stat_dtype(x->dtype), 1, (int64_t[]){ a->bias ? dy->shape[1] : 0 });
    return DR_OK;
}

DR_OP_COMPONENT(conv2d_backward_weight, "conv2d_backward_weight(x, dy) -> dweight, dbias", weight_params,
                .flags = DR_OP_NONDIFF, .n_in = 2, .n_out = 2, .in_layout = { DR_LAYOUT_CL, DR_LAYOUT_CL },
                .out_layout = { DR_LAYOUT_ROW, DR_LAYOUT_ROW }, .infer = weight_infer)
