/* ops_pad.c: values added around a tensor. constant: `value`; reflect: mirrored, the edge not repeated; replicate: the
 * edge repeated. pads: before,after of the last axis, then of the one before it, ... as PyTorch has it. */
#include "ops_shape.h"

#include <limits.h>
#include <math.h>

static const dr_param params[] = {
    DR_ENUM(dr_pad_attr, mode, DR_PAD_CONSTANT, "constant|reflect|replicate", "what the new elements are"),
    DR_INTS(dr_pad_attr, pads, 0, 281474976710656, "before,after of the last axis, of the one before it, ..."),
    DR_REAL(dr_pad_attr, value, 0.0, -INFINITY, INFINITY, "of constant"),
    DR_END,
};

/* Shape of the padded tensor (sign 1) or of the one inside (sign -1). */
static dr_status padded(const dr_infer *c, const dr_pad_attr *a, int sign, dr_view *out)
{
    if (dr_need_float(c, 0) != DR_OK) return DR_ESHAPE;
    const int rank = c->in[0].rank;
    if (a->pads.n % 2 != 0 || a->pads.n > 2 * rank) {
        return dr_refuse(c, "%lld pads: two for each of at most %d axes", (long long)a->pads.n, rank);
    }
    if (a->mode < DR_PAD_CONSTANT || a->mode > DR_PAD_REPLICATE)
        return dr_refuse(c, "no mode %lld", (long long)a->mode);
    dr_shape_like(out, &c->in[0]);
    for (int k = 0; k < a->pads.n / 2; k++) {
        const int axis = rank - 1 - k;
        const int64_t before = a->pads.v[2 * k], after = a->pads.v[2 * k + 1];
        if (before < 0 || after < 0)
            return dr_refuse(c, "pads %lld,%lld of axis %d are negative", (long long)before, (long long)after, axis);
        if (before > LLONG_MAX / 4 || after > LLONG_MAX / 4) return dr_refuse(c, "pads of axis %d are too large", axis);
        out->shape[axis] += sign * (before + after);
        const int64_t inside = sign > 0 ? c->in[0].shape[axis] : out->shape[axis];
        const bool none = before == 0 && after == 0;
        if (inside < 0)
            return dr_refuse(c, "axis %d is smaller than its pads %lld,%lld", axis, (long long)before,
                             (long long)after);
        if (a->mode == DR_PAD_REFLECT && !none && (before >= inside || after >= inside)) {
            return dr_refuse(c, "reflection by %lld,%lld needs more than %lld elements in axis %d", (long long)before,
                             (long long)after, (long long)inside, axis);
        }
        if (a->mode == DR_PAD_REPLICATE && !none && inside < 1)
            return dr_refuse(c, "axis %d has no edge to repeat", axis);
    }
    return DR_OK;
}

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "pad", "x", in, n_in };
    (void)offset;
    return padded(&c, attr, 1, out);
}

static dr_status backward_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "pad_backward", "dy", in, n_in };
    (void)offset;
    return padded(&c, attr, -1, out);
}

static dr_status backward(const dr_backward_args *b)
{
    return dr_yield(&b->din[0], dr_apply1("pad_backward", b->dout, 1, b->attr));
}

DR_OP_COMPONENT(pad, "pad(x): elements added around x", params, .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_CL },
                .out_layout = { DR_LAYOUT_CL }, .infer = infer, .backward = backward)
DR_OP_COMPONENT(pad_backward, "pad_backward(dy) -> dx; what stands for an element of x adds up there", params,
                .flags = DR_OP_NONDIFF, .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_CL },
                .out_layout = { DR_LAYOUT_CL }, .infer = backward_infer)
