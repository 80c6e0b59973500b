/* ops_concat.c: tensors joined along one axis. The gradient of each is its part of dy, a view. */
#include "ops_shape.h"

static const dr_param params[] = {
    DR_INT(dr_concat_attr, dim, 0, -DR_MAX_RANK, DR_MAX_RANK - 1, "axis to join along"),
    DR_END,
};

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "concat", "x0,x1,x2,x3,x4,x5", in, n_in };
    int axis;
    (void)offset;
    if (dr_need_axis(&c, ((const dr_concat_attr *)attr)->dim, &axis) != DR_OK) return DR_ESHAPE;
    dr_shape_like(out, in);
    for (int i = 1; i < n_in; i++) {
        if (in[i].dtype != in->dtype) return dr_refuse(&c, "dtypes differ: cast one of them");
        bool fits = in[i].rank == in->rank;
        for (int a = 0; fits && a < in->rank; a++) fits = a == axis || in[i].shape[a] == in->shape[a];
        if (!fits) return dr_refuse(&c, "shapes must agree but for axis %d", axis);
        out->shape[axis] += in[i].shape[axis];
    }
    return DR_OK;
}

static dr_status backward(const dr_backward_args *b)
{
    const int64_t dim = ((const dr_concat_attr *)b->attr)->dim;
    const int axis = (int)(dim < 0 ? dim + b->in_view[0].rank : dim);
    int64_t start = 0;
    for (int i = 0; i < b->n_in; i++) {
        const int64_t length = b->in_view[i].shape[axis];
        if (b->need[i]) b->din[i] = dr_slice(b->dout[0], axis, start, length);
        start += length;
    }
    return dr_failed();
}

DR_OP_COMPONENT(concat, "concat(x0, x1, ...): joined along one axis", params, .flags = DR_OP_VARIADIC, .n_in = 1,
                .n_out = 1, .in_layout = { DR_LAYOUT_CL }, .out_layout = { DR_LAYOUT_CL }, .infer = infer,
                .backward = backward)
