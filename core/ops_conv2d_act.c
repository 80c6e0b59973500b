/* ops_conv2d_act.c: y = act(conv2d(x, weight, bias) + add), and the same of conv_transpose2d, as one launch: for
 * evaluation, where a normalisation by constants has become part of weight and bias (ops_fold_batch_norm.c).
 * add [B/n,Co,H',W'] goes to n batches after one another: row b gets add[b mod B/n]. It may be another convolution's
 * part of a sum over concatenated channels: conv(x1 x2, w1 w2) = conv(x1, w1) + conv(x2, w2), where nothing needs to
 * be concatenated, and where x2 is the same for n batches its part is computed once.
 * Neither keeps what a gradient needs, so where one is wanted they are recorded through their parts. */
#include "ops_conv2d.h"

#define LARGEST 1048576
static const dr_param params[] = {
    DR_INT(dr_conv2d_act_attr, stride, 1, 1, LARGEST, "steps between windows"),
    DR_INT(dr_conv2d_act_attr, padding, 0, 0, LARGEST, "zeros around x; transposed: rows and columns cut off around y"),
    DR_ENUM(dr_conv2d_act_attr, act, DR_ACT_NONE, DR_ACT_NAMES, "activation that follows"),
    DR_END,
};

static dr_conv2d_attr without_act(const dr_conv2d_act_attr *a) { return (dr_conv2d_attr){ a->stride, a->padding }; }

/* After the convolution's own rule, which knows three inputs. */
static dr_status check_add(const char *op, const dr_view *in, int n_in, const dr_view *y)
{
    const dr_infer c = { op, "x,weight,bias,add", in, n_in };
    if (!dr_given(in, n_in, 3)) return DR_OK;
    if (dr_need_dtype(&c, 3, (dr_dtype)y->dtype) != DR_OK || dr_need_rank(&c, 3, 4) != DR_OK) return DR_ESHAPE;
    const int64_t *add = in[3].shape;
    const bool fits = add[1] == y->shape[1] && add[2] == y->shape[2] && add[3] == y->shape[3];
    if (fits && (add[0] > 0 ? y->shape[0] % add[0] == 0 : y->shape[0] == 0)) return DR_OK;
    return dr_refuse(&c, "add must have the result's shape [%lld,%lld,%lld,%lld], or a whole part of its rows",
                     (long long)y->shape[0], (long long)y->shape[1], (long long)y->shape[2], (long long)y->shape[3]);
}

static dr_tensor *with_add(dr_tensor *y, dr_tensor *add)
{
    const dr_view *v = dr_tensor_view(y), *part = dr_tensor_view(add);
    if (!v || !part) return y;
    if (v->shape[0] == part->shape[0]) return dr_add(y, add);
    dr_tensor *grouped = dr_reshape(y, 5, (int64_t[]){ v->shape[0] / part->shape[0], part->shape[0], v->shape[1],
                                                       v->shape[2], v->shape[3] });
    return dr_reshape_like(dr_add(grouped, add), v);
}

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_conv2d_attr plain = without_act(attr);
    (void)offset;
    if (dr_conv2d_infer("conv2d_act", in, n_in < 3 ? n_in : 3, &plain, out) != DR_OK) return DR_ESHAPE;
    return check_add("conv2d_act", in, n_in, out);
}

static dr_status compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const dr_conv2d_act_attr *a = attr;
    (void)n_in;
    dr_tensor *sums = dr_conv2d(in[0], in[1], in[2], a->stride, a->padding);
    return dr_yield(out, dr_activate(with_add(sums, in[3]), a->act));
}

DR_OP_COMPONENT(conv2d_act, "act(conv2d(x, weight, bias) + add); bias and add may be nil", params,
                .flags = DR_OP_ANY_WEIGHT, .n_in = 4, .n_optional = 2, .n_out = 1,
                .in_layout = { DR_LAYOUT_CL, DR_LAYOUT_ROW, DR_LAYOUT_ROW, DR_LAYOUT_CL },
                .out_layout = { DR_LAYOUT_CL }, .infer = infer, .compose = compose)

static dr_status transposed_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_conv2d_attr plain = without_act(attr);
    (void)offset;
    if (dr_conv_transpose2d_infer("conv_transpose2d_act", in, n_in < 3 ? n_in : 3, &plain, out) != DR_OK)
        return DR_ESHAPE;
    return check_add("conv_transpose2d_act", in, n_in, out);
}

static dr_status transposed_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const dr_conv2d_act_attr *a = attr;
    (void)n_in;
    dr_tensor *sums = dr_conv_transpose2d(in[0], in[1], in[2], a->stride, a->padding);
    return dr_yield(out, dr_activate(with_add(sums, in[3]), a->act));
}

DR_OP_COMPONENT(conv_transpose2d_act, "act(conv_transpose2d(x, weight, bias) + add); bias and add may be nil", params,
                .n_in = 4, .n_optional = 2, .n_out = 1,
                .in_layout = { DR_LAYOUT_CL, DR_LAYOUT_ROW, DR_LAYOUT_ROW, DR_LAYOUT_CL },
                .out_layout = { DR_LAYOUT_CL }, .infer = transposed_infer, .compose = transposed_compose)
