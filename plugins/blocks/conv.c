/* conv.c: Conv(i,o), the UNet's plain convolution.
 *   y = GELU(BatchNorm(conv2d k3 s1 p1 (x)))     [B,i,H,W] -> [B,o,H,W]
 * May be called with a second image, whose channels follow x's (see conv_norm.h). */
#include "conv_norm.h"

typedef struct {
    int64_t in_channels, out_channels;
    conv_norm layers;
} conv;

static const dr_param params[] = {
    DR_INT_REQUIRED(conv, in_channels, 1, 65536, "channels of the input"),
    DR_INT_REQUIRED(conv, out_channels, 1, 65536, "channels of the output"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    conv *c = self;
    c->layers = (conv_norm){ .in_channels = c->in_channels, .out_channels = c->out_channels, .kernel_size = 3,
                             .stride = 1, .padding = 1, .act = DR_ACT_GELU };
    return conv_norm_create(&c->layers, b);
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const conv *c = self;
    return conv_norm_forward(&c->layers, x, ctx); /* [B,i,H,W] -> [B,o,H,W] */
}

DR_BLOCK(conv, "Conv: 3x3 convolution, BatchNorm, GELU", params, .create = create, .forward = forward,
         .example = "2,3,5,5", .example_args = DR_STATIC_ARGS(DR_I("in_channels", 3), DR_I("out_channels", 4)))
