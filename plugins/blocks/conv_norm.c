/* conv_norm.c: convolution, BatchNorm, activation, see conv_norm.h. */
#include "conv_norm.h"

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

static dr_tensor *folded(const conv_norm *c, dr_tensor *x)
{
    const dr_fold_batch_norm_attr fold = { EPS, c->transposed };
    const dr_conv2d_act_attr attr = { c->stride, c->padding, c->act };
    dr_tensor *parts[] = { dr_child_weight(c->conv, "weight"), dr_child_weight(c->norm, "weight"),
                           dr_child_weight(c->norm, "bias"), dr_child_weight(c->norm, "running_mean"),
                           dr_child_weight(c->norm, "running_var"), dr_child_weight(c->conv, "bias") };
    dr_tensor *as_one[2] = { NULL }; /* weight', bias' */
    if (!x || dr_apply("fold_batch_norm", parts, 6, &fold, as_one)) return NULL;
    return dr_apply1(c->transposed ? "conv_transpose2d_act" : "conv2d_act",
                     (dr_tensor *[]){ x, as_one[0], as_one[1] }, 3, &attr);
}

dr_tensor *conv_norm_forward(const conv_norm *c, dr_tensor *x, dr_ctx *ctx)
{
    return dr_training(ctx) ? dr_call(c->norm, dr_call(c->conv, x, ctx), ctx) : folded(c, x);
}
