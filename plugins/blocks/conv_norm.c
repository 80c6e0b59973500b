/* conv_norm.c: convolution, BatchNorm, activation, see conv_norm.h. */
#include "conv_norm.h"
#include <stdbool.h>

static const double EPS = 1e-5; /* PyTorch's */

dr_status conv_norm_create(conv_norm *c, dr_builder *b)
{
    static const char *const act[] = { "none", "relu", "gelu", "gelu_tanh", "silu" }; /* by DR_ACT_.. */
    c->conv = dr_child(b, "conv.0", c->transposed ? "conv_transpose2d" : "conv2d",
                       DR_ARGS(DR_I("in_channels", c->in_channels), DR_I("out_channels", c->out_channels),
                               DR_I("kernel_size", c->kernel_size), DR_I("stride", c->stride),
                               DR_I("padding", c->padding)));
    c->norm = dr_child(b, "conv.1", "batch_norm", DR_ARGS(DR_I("num_features", c->out_channels), DR_R("eps", EPS),
                                                          DR_S("act", act[c->act])));
    return dr_failed();
}

dr_tensor *call_with_input(dr_module *m, dr_tensor *x, dr_ctx *ctx)
{
    dr_tensor *second = dr_input(ctx, 1);
    return dr_call_with(m, (dr_tensor *[]){ x, second }, second ? 2 : 1, ctx);
}

dr_tensor *joined_input(dr_tensor *x, dr_ctx *ctx)
{
    enum { MOST = 64 };
    dr_tensor *second = dr_input(ctx, 1), *rows[MOST];
    const dr_view *v = dr_tensor_view(x), *w = dr_tensor_view(second);
    if (!v || !w || v->rank < 1 || w->rank < 1) return x;
    const int64_t n = w->shape[0] > 0 ? v->shape[0] / w->shape[0] : 1;
    for (int64_t i = 0; i < n && i < MOST; i++) rows[i] = second;
    if (n > 1 && n <= MOST) second = dr_concat(rows, (int)n, 0);
    return dr_concat((dr_tensor *[]){ x, second }, 2, 1);
}

/* act(conv(x, weight, bias) + add) */
static dr_tensor *run(const conv_norm *c, dr_tensor *x, dr_tensor *weight, dr_tensor *bias, dr_tensor *add, int64_t act)
{
    const dr_conv2d_act_attr attr = { c->stride, c->padding, act };
    return dr_apply1(c->transposed ? "conv_transpose2d_act" : "conv2d_act", (dr_tensor *[]){ x, weight, bias, add }, 4,
                     &attr);
}

static dr_tensor *folded(const conv_norm *c, dr_tensor *x, dr_tensor *second)
{
    const dr_fold_batch_norm_attr fold = { EPS, c->transposed };
    const dr_view *v = dr_tensor_view(x), *w = dr_tensor_view(second);
    dr_tensor *parts[] = { dr_child_weight(c->conv, "weight"), dr_child_weight(c->norm, "weight"),
                           dr_child_weight(c->norm, "bias"), dr_child_weight(c->norm, "running_mean"),
                           dr_child_weight(c->norm, "running_var"), dr_child_weight(c->conv, "bias") };
    dr_tensor *as_one[2] = { NULL }; /* weight', bias' */
    if (!v || dr_apply("fold_batch_norm", parts, 6, &fold, as_one)) return NULL;
    if (!w) return run(c, x, as_one[0], as_one[1], NULL, c->act);

    const int inputs = c->transposed ? 0 : 1; /* the axis of the weight's input channels */
    if (v->rank != 4 || w->rank != 4 || v->shape[1] + w->shape[1] != c->in_channels) {
        dr_fail(DR_ESHAPE, "a convolution of %lld channels got images of %lld and %lld", (long long)c->in_channels,
                v->rank > 1 ? (long long)v->shape[1] : 0LL, w->rank > 1 ? (long long)w->shape[1] : 0LL);
        return NULL;
    }
    dr_tensor *first_weight = dr_slice(as_one[0], inputs, 0, v->shape[1]);
    dr_tensor *second_weight = dr_slice(as_one[0], inputs, v->shape[1], w->shape[1]);
    /* oneDNN's transposed convolutions add up in another order where rows are few and odd: an image's bits must not
     * depend on how many it is sampled with, so they get an even number. */
    const bool odd = c->transposed && w->shape[0] % 2 == 1 && v->shape[0] % (2 * w->shape[0]) == 0;
    if (odd) second = dr_concat((dr_tensor *[]){ second, second }, 2, 0);
    dr_tensor *sums = run(c, second, second_weight, as_one[1], NULL, DR_ACT_NONE); /* [B/n,o,H',W'] */
    return run(c, x, first_weight, NULL, sums, c->act);
}

dr_tensor *conv_norm_forward(const conv_norm *c, dr_tensor *x, dr_ctx *ctx)
{
    const dr_view *v = dr_tensor_view(x), *second = dr_tensor_view(dr_input(ctx, 1));
    const bool shared = v && second && v->rank > 0 && second->rank > 0 && second->shape[0] < v->shape[0];
    if (!dr_training(ctx) && shared) return folded(c, x, dr_input(ctx, 1));
    x = joined_input(x, ctx);
    return dr_training(ctx) ? dr_call(c->norm, dr_call(c->conv, x, ctx), ctx) : folded(c, x, NULL);
}
