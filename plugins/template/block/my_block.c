/* my_block.c: a residual block whose branch starts small.     He et al. 2016; Touvron et al. 2021 (LayerScale)
 *   y = x + gain * conv(SiLU(GroupNorm(x)))                       [B,C,H,W] -> [B,C,H,W], gain [1,C,1,1] is learned */
#include <drift/plugin.h>

/* Parameters first: each is a field here and a row below. Then what create() declares. */
typedef struct {
    int64_t channels;
    double gain;
    dr_module *norm, *conv;
    dr_tensor *gain_weight; /* [1,C,1,1] */
} my_block;

static const dr_param params[] = {
    DR_INT_REQUIRED(my_block, channels, 1, 65536, "channels of the input, and of the output"),
    DR_REAL(my_block, gain, 0.1, -10, 10, "what the branch is multiplied with at first"),
    DR_END
};

/* Declares weights, buffers and children by name, which become their paths in checkpoints. The host owns them, starts a
 * weight from a stream keyed by its path, and calls this again when the plugin is reloaded. A child is any other block. */
static dr_status create(void *self, dr_builder *b)
{
    my_block *p = self;
    const int64_t C = p->channels;
    p->norm = dr_child(b, "norm", "group_norm", DR_ARGS(DR_I("num_groups", dr_group_count(C, 32)), DR_I("num_channels", C),
                                                        DR_S("act", "silu")));
    p->conv = dr_child(b, "conv", "conv2d", DR_ARGS(DR_I("in_channels", C), DR_I("out_channels", C), DR_I("kernel_size", 3),
                                                    DR_I("padding", 1)));
    p->gain_weight = dr_weight(b, "gain", DR_SHAPE(1, C, 1, 1), (dr_init){ DR_INIT_CONSTANT, p->gain });
    return dr_failed();
}

/* Ops are plain functions, and the tape records them: a block writes no backward. Shapes are checked by the ops, whose
 * errors name this block's path in the network. dr_training(ctx) tells training from evaluation; dr_ctx_rng(ctx, "dropout")
 * is a random stream; dr_input(ctx, 1) is a further input; dr_modulate(ctx, 0, h) is where a conditioning may enter. */
static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const my_block *p = self;
    dr_tensor *h = dr_call(p->conv, dr_call(p->norm, x, ctx), ctx);              /* [B,C,H,W] */
    return dr_add(x, dr_mul(h, p->gain_weight));
}

/* .example and .example_args are what `make check` builds and calls it with: the shape of x, and parameters. */
DR_BLOCK(my_block, "A residual block whose branch starts small", params, .create = create, .forward = forward,
         .example = "2,4,8,8", .example_args = DR_STATIC_ARGS(DR_I("channels", 4)))
