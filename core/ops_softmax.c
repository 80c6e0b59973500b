/* ops_softmax.c: y = exp(x - max x) / sum exp(x - max x) along one axis; dx = y (dy - sum dy y). */
#include "ops_shape.h"

static const dr_param params[] = {
    DR_INT(dr_softmax_attr, dim, -1, -DR_MAX_RANK, DR_MAX_RANK - 1, "axis that sums to 1"),
    DR_END,
};

static dr_status check(const char *op, const char *names, const dr_view *in, int n_in, const void *attr, dr_view *out)
{
    const dr_infer c = { op, names, in, n_in };
    int axis;
    if (dr_need_axis(&c, ((const dr_softmax_attr *)attr)->dim, &axis) != DR_OK) return DR_ESHAPE;
    return dr_infer_same(op, names, in, n_in, out);
}

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)offset;
    return check("softmax", "x", in, n_in, attr, out);
}

static dr_status compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const int64_t *dim = &((const dr_softmax_attr *)attr)->dim;
    (void)n_in;
    dr_tensor *e = dr_exp(dr_sub(in[0], dr_amax(in[0], 1, dim, true)));
    return dr_yield(out, dr_div(e, dr_sum(e, 1, dim, true)));
}

static dr_status backward(const dr_backward_args *b)
{
    return dr_yield(&b->din[0], dr_apply1("softmax_backward", (dr_tensor *[]){ b->out[0], b->dout[0] }, 2, b->attr));
}

DR_OP_COMPONENT(softmax, "softmax(x) along an axis", params, .n_in = 1, .n_out = 1, .infer = infer, .compose = compose,
                .backward = backward, .save_out = 1)

static dr_status backward_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)offset;
    return check("softmax_backward", "y,dy", in, n_in, attr, out);
}

static dr_status backward_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in;
    dr_tensor *total = dr_sum(dr_mul(in[1], in[0]), 1, &((const dr_softmax_attr *)attr)->dim, true);
    return dr_yield(out, dr_mul(in[0], dr_sub(in[1], total)));
}

DR_OP_COMPONENT(softmax_backward, "softmax_backward(y, dy) = y (dy - sum dy y)", params, .flags = DR_OP_NONDIFF,
                .n_in = 2, .n_out = 1, .infer = backward_infer, .compose = backward_compose)
