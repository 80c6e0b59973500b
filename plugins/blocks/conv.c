/* conv.c: Conv(i,o), the UNet's plain convolution.
 *   y = GELU(BatchNorm(conv2d k3 s1 p1 (x)))     [B,i,H,W] -> [B,o,H,W] */
#include <drift/plugin.h>

typedef struct {
    int64_t in_channels, out_channels;
    dr_module *conv, *norm;
} conv;

static const dr_param params[] = {
    DR_INT_REQUIRED(conv, in_channels, 1, 65536, "channels of the input"),
    DR_INT_REQUIRED(conv, out_channels, 1, 65536, "channels of the output"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    conv *c = self;
    c->conv = dr_child(b, "conv.0", "conv2d",
                       DR_ARGS(DR_I("in_channels", c->in_channels), DR_I("out_channels", c->out_channels),
                               DR_I("kernel_size", 3), DR_I("stride", 1), DR_I("padding", 1)));
    c->norm = dr_child(b, "conv.1", "batch_norm", DR_ARGS(DR_I("num_features", c->out_channels), DR_S("act", "gelu")));
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const conv *c = self;
    return dr_call(c->norm, dr_call(c->conv, x, ctx), ctx); /* [B,i,H,W] -> [B,o,H,W] */
}

DR_BLOCK(conv, "Conv: 3x3 convolution, BatchNorm, GELU", params, .create = create, .forward = forward,
         .example = "2,3,5,5", .example_args = DR_STATIC_ARGS(DR_I("in_channels", 3), DR_I("out_channels", 4)))
