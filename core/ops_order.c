/* ops_order.c: argmax and quantile: what depends on the order of values, and has no gradient here. */
#include "ops_shape.h"

static const dr_param argmax_params[] = {
    DR_INT(dr_argmax_attr, dim, -1, -DR_MAX_RANK, DR_MAX_RANK - 1, "axis, which the result lacks"),
    DR_END,
};

static dr_status argmax_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "argmax", "x", in, n_in };
    int axis;
    (void)offset;
    if (dr_need_float(&c, 0) != DR_OK || dr_need_axis(&c, ((const dr_argmax_attr *)attr)->dim, &axis) != DR_OK)
        return DR_ESHAPE;
    if (in->shape[axis] == 0) return dr_refuse(&c, "axis %d is empty", axis);
    *out = (dr_view){ .dtype = DR_I32 };
    for (int i = 0; i < in->rank; i++) {
        if (i != axis) out->shape[out->rank++] = in->shape[i];
    }
    return DR_OK;
}

DR_OP_COMPONENT(argmax, "argmax(x): i32 index of the first largest element along an axis", argmax_params,
                .flags = DR_OP_NONDIFF, .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_ROW }, .infer = argmax_infer)

static const dr_param quantile_params[] = {
    DR_REAL(dr_quantile_attr, q, 0.5, 0, 1, "which quantile: 0.5 is the median"),
    DR_END,
};

static dr_status quantile_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "quantile", "x", in, n_in };
    (void)offset;
    const double q = ((const dr_quantile_attr *)attr)->q;
    if (!(q >= 0.0 && q <= 1.0)) return dr_fail(DR_EINVAL, "quantile: q = %g is outside [0, 1]", q);
    if (dr_need_float(&c, 0) != DR_OK) return DR_ESHAPE;
    if (in->rank < 1) return dr_refuse(&c, "x must have a first axis");
    for (int i = 1; i < in->rank; i++) {
        if (in->shape[i] == 0) return dr_refuse(&c, "a row without elements has no quantile");
    }
    dr_shape_of(out, in->dtype, 1, in->shape);
    return DR_OK;
}

DR_OP_COMPONENT(quantile, "quantile(x): of each row x[b], linearly interpolated", quantile_params,
                .flags = DR_OP_NONDIFF, .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_ROW }, .infer = quantile_infer)
