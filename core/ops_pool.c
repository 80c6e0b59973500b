/* ops_pool.c: avg_pool2d and max_pool2d over k x k windows, without padding; x [B,C,H,W] -> [B,C,H',W'],
 * H' = (H - k)/s + 1. */
#include "ops_shape.h"

#define LARGEST 1048576
static const dr_param params[] = {
    DR_INT_REQUIRED(dr_pool_attr, kernel, 1, LARGEST, "size of the window"),
    DR_INT(dr_pool_attr, stride, 0, 0, LARGEST, "steps between windows; 0: the window's size"),
    DR_END,
};
static const dr_param backward_params[] = {
    DR_INT_REQUIRED(dr_pool_backward_attr, kernel, 1, LARGEST, "size of the window"),
    DR_INT(dr_pool_backward_attr, stride, 0, 0, LARGEST, "steps between windows; 0: the window's size"),
    DR_INT_REQUIRED(dr_pool_backward_attr, height, 1, LARGEST, "of x"),
    DR_INT_REQUIRED(dr_pool_backward_attr, width, 1, LARGEST, "of x"),
    DR_END,
};

static int64_t windows(int64_t n, int64_t kernel, int64_t stride)
{
    return n < kernel ? 0 : (n - kernel) / (stride ? stride : kernel) + 1;
}

static dr_status pool_infer(const char *op, const dr_view *in, int n_in, const dr_pool_attr *a, dr_view *out)
{
    const dr_infer c = { op, "x", in, n_in };
    if (dr_need_float(&c, 0) != DR_OK || dr_need_rank(&c, 0, 4) != DR_OK) return DR_ESHAPE;
    if (a->kernel < 1 || a->stride < 0)
        return dr_refuse(&c, "kernel %lld, stride %lld", (long long)a->kernel, (long long)a->stride);
    dr_shape_like(out, in);
    for (int i = 2; i < 4; i++) {
        out->shape[i] = windows(in->shape[i], a->kernel, a->stride);
        if (out->shape[i] < 1)
            return dr_refuse(&c, "a window of %lld does not fit into the image", (long long)a->kernel);
    }
    return DR_OK;
}

/* dy is in[which]; fills dx's shape. */
static dr_status pool_backward_infer(const dr_infer *c, int which, const dr_pool_backward_attr *a, dr_view *out)
{
    const dr_view *dy = &c->in[which];
    if (dr_need_floats(c) != DR_OK || dr_need_rank(c, which, 4) != DR_OK) return DR_ESHAPE;
    if (a->kernel < 1 || a->stride < 0 || windows(a->height, a->kernel, a->stride) != dy->shape[2] ||
        windows(a->width, a->kernel, a->stride) != dy->shape[3]) {
        return dr_refuse(c, "dy is not what an image of %lld x %lld gives", (long long)a->height, (long long)a->width);
    }
    dr_shape_of(out, dy->dtype, 4, (int64_t[]){ dy->shape[0], dy->shape[1], a->height, a->width });
    return DR_OK;
}

static dr_pool_backward_attr backward_attr(const dr_backward_args *b)
{
    const dr_pool_attr *a = b->attr;
    return (dr_pool_backward_attr){ a->kernel, a->stride, b->in_view[0].shape[2], b->in_view[0].shape[3] };
}

/* ---- mean ---- */
static dr_status avg_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)offset;
    return pool_infer("avg_pool2d", in, n_in, attr, out);
}

static dr_status avg_backward(const dr_backward_args *b)
{
    const dr_pool_backward_attr attr = backward_attr(b);
    return dr_yield(&b->din[0], dr_apply1("avg_pool2d_backward", b->dout, 1, &attr));
}

static dr_status avg_backward_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)offset;
    return pool_backward_infer(&(dr_infer){ "avg_pool2d_backward", "dy", in, n_in }, 0, attr, out);
}

static dr_status avg_backward_backward(const dr_backward_args *b)
{
    const dr_pool_backward_attr *a = b->attr;
    return dr_yield(&b->din[0], dr_avg_pool2d(b->dout[0], a->kernel, a->stride));
}

DR_OP_COMPONENT(avg_pool2d, "avg_pool2d(x): means of windows", params, .n_in = 1, .n_out = 1,
                .in_layout = { DR_LAYOUT_CL }, .out_layout = { DR_LAYOUT_CL }, .infer = avg_infer,
                .backward = avg_backward)
DR_OP_COMPONENT(avg_pool2d_backward, "avg_pool2d_backward(dy) -> dx", backward_params, .n_in = 1, .n_out = 1,
                .in_layout = { DR_LAYOUT_CL }, .out_layout = { DR_LAYOUT_CL }, .infer = avg_backward_infer,
                .backward = avg_backward_backward)

/* ---- maximum: the first of equal ones, in row order, takes the gradient ---- */
static dr_status max_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)offset;
    return pool_infer("max_pool2d", in, n_in, attr, out);
}

static dr_status max_backward(const dr_backward_args *b)
{
    const dr_pool_backward_attr attr = backward_attr(b);
    return dr_yield(&b->din[0], dr_apply1("max_pool2d_backward", (dr_tensor *[]){ b->in[0], b->dout[0] }, 2, &attr));
}

static dr_status max_backward_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "max_pool2d_backward", "x,dy", in, n_in };
    (void)offset;
    if (pool_backward_infer(&c, 1, attr, out) != DR_OK) return DR_ESHAPE;
    return dr_need_shape(&c, 0, 4, out->shape);
}

DR_OP_COMPONENT(max_pool2d, "max_pool2d(x): maxima of windows", params, .n_in = 1, .n_out = 1,
                .in_layout = { DR_LAYOUT_CL }, .out_layout = { DR_LAYOUT_CL }, .infer = max_infer,
                .backward = max_backward, .save_in = 1)
DR_OP_COMPONENT(max_pool2d_backward, "max_pool2d_backward(x, dy) -> dx", backward_params, .flags = DR_OP_NONDIFF,
                .n_in = 2, .n_out = 1, .in_layout = { DR_LAYOUT_CL, DR_LAYOUT_CL }, .out_layout = { DR_LAYOUT_CL },
                .infer = max_backward_infer)
