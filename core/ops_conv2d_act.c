/* ops_conv2d_act.c: y = act(conv2d(x, weight, bias)), and the same of conv_transpose2d, as one launch: for evaluation,
 * where a normalisation by constants has become part of weight and bias (ops_fold_batch_norm.c). Neither keeps what a
 * gradient needs, so where one is wanted they are recorded through their parts. */
#include "ops_conv2d.h"

#define LARGEST 1048576
static const dr_param params[] = {
    DR_INT(dr_conv2d_act_attr, stride, 1, 1, LARGEST, "steps between windows"),
    DR_INT(dr_conv2d_act_attr, padding, 0, 0, LARGEST, "zeros around x; transposed: rows and columns cut off around y"),
    DR_ENUM(dr_conv2d_act_attr, act, DR_ACT_NONE, DR_ACT_NAMES, "activation that follows"),
    DR_END,
};

static dr_conv2d_attr without_act(const dr_conv2d_act_attr *a) { return (dr_conv2d_attr){ a->stride, a->padding }; }

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_conv2d_attr plain = without_act(attr);
    (void)offset;
    return dr_conv2d_infer("conv2d_act", in, n_in, &plain, out);
}

static dr_status compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const dr_conv2d_act_attr *a = attr;
    (void)n_in;
    return dr_yield(out, dr_activate(dr_conv2d(in[0], in[1], in[2], a->stride, a->padding), a->act));
}

DR_OP_COMPONENT(conv2d_act, "conv2d_act(x, weight, bias) = act(conv2d(x, weight, bias)); bias may be nil", params,
                .n_in = 3, .n_optional = 1, .n_out = 1, .in_layout = { DR_LAYOUT_CL, DR_LAYOUT_ROW, DR_LAYOUT_ROW },
                .out_layout = { DR_LAYOUT_CL }, .infer = infer, .compose = compose)

static dr_status transposed_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_conv2d_attr plain = without_act(attr);
    (void)offset;
    return dr_conv_transpose2d_infer("conv_transpose2d_act", in, n_in, &plain, out);
}

static dr_status transposed_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const dr_conv2d_act_attr *a = attr;
    (void)n_in;
    return dr_yield(out, dr_activate(dr_conv_transpose2d(in[0], in[1], in[2], a->stride, a->padding), a->act));
}

DR_OP_COMPONENT(conv_transpose2d_act, "act(conv_transpose2d(x, weight, bias)); bias may be nil", params, .n_in = 3,
                .n_optional = 1, .n_out = 1, .in_layout = { DR_LAYOUT_CL, DR_LAYOUT_ROW, DR_LAYOUT_ROW },
                .out_layout = { DR_LAYOUT_CL }, .infer = transposed_infer, .compose = transposed_compose)
