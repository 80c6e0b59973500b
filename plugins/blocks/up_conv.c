/* up_conv.c: UpConv(i,o), which doubles the image.
 *   y = GELU(BatchNorm(conv_transpose2d k4 s2 p1 (x)))     [B,i,H,W] -> [B,o,2H,2W]
 * May be called with a second image, whose channels follow x's (see conv_norm.h). */
#include "conv_norm.h"

typedef struct {
    int64_t in_channels, out_channels;
    conv_norm layers;
} up_conv;

static const dr_param params[] = {
    DR_INT_REQUIRED(up_conv, in_channels, 1, 65536, "channels of the input"),
    DR_INT_REQUIRED(up_conv, out_channels, 1, 65536, "channels of the output"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    up_conv *c = self;
    c->layers = (conv_norm){ .in_channels = c->in_channels, .out_channels = c->out_channels, .kernel_size = 4,
                             .stride = 2, .padding = 1, .transposed = 1, .act = DR_ACT_GELU };
    return conv_norm_create(&c->layers, b);
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const up_conv *c = self;
    return conv_norm_forward(&c->layers, x, ctx); /* [B,i,H,W] -> [B,o,2H,2W] */
}

DR_BLOCK(up_conv, "UpConv: 4x4 transposed convolution of stride 2, BatchNorm, GELU", params, .create = create,
         .forward = forward, .example = "2,3,4,4",
         .example_args = DR_STATIC_ARGS(DR_I("in_channels", 3), DR_I("out_channels", 4)))
