/* down_conv.c: DownConv(i,o), which halves the image.
 *   y = GELU(BatchNorm(conv2d k3 s2 p1 (x)))     [B,i,H,W] -> [B,o,H/2,W/2] */
#include "conv_norm.h"

typedef struct {
    int64_t in_channels, out_channels;
    conv_norm layers;
} down_conv;

static const dr_param params[] = {
    DR_INT_REQUIRED(down_conv, in_channels, 1, 65536, "channels of the input"),
    DR_INT_REQUIRED(down_conv, out_channels, 1, 65536, "channels of the output"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    down_conv *c = self;
    c->layers = (conv_norm){ .in_channels = c->in_channels, .out_channels = c->out_channels, .kernel_size = 3,
                             .stride = 2, .padding = 1, .act = DR_ACT_GELU };
    return conv_norm_create(&c->layers, b);
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const down_conv *c = self;
    return conv_norm_forward(&c->layers, x, ctx); /* [B,i,H,W] -> [B,o,H/2,W/2] */
}

DR_BLOCK(down_conv, "DownConv: 3x3 convolution of stride 2, BatchNorm, GELU", params, .create = create,
         .forward = forward, .example = "2,3,6,6",
         .example_args = DR_STATIC_ARGS(DR_I("in_channels", 3), DR_I("out_channels", 4)))
