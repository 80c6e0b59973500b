/* unflatten.c: Unflatten(c), which spreads one pixel over the bottleneck again.
 *   y = GELU(BatchNorm(conv_transpose2d k7 s7 (x)))     [B,c,1,1] -> [B,c,7,7] */
#include "conv_norm.h"

typedef struct {
    int64_t channels, kernel_size;
    conv_norm layers;
} unflatten;

static const dr_param params[] = {
    DR_INT_REQUIRED(unflatten, channels, 1, 65536, "channels of input and output"),
    DR_INT(unflatten, kernel_size, 7, 1, 255, "side of the output, in pixels per input pixel"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    unflatten *u = self;
    u->layers = (conv_norm){ .in_channels = u->channels, .out_channels = u->channels, .kernel_size = u->kernel_size,
                             .stride = u->kernel_size, .padding = 0, .transposed = 1, .act = DR_ACT_GELU };
    return conv_norm_create(&u->layers, b);
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const unflatten *u = self;
    return conv_norm_forward(&u->layers, x, ctx); /* [B,c,1,1] -> [B,c,7,7] */
}

DR_BLOCK(unflatten, "Unflatten: 7x7 transposed convolution of stride 7, BatchNorm, GELU", params, .create = create,
         .forward = forward, .example = "2,3,1,1", .example_args = DR_STATIC_ARGS(DR_I("channels", 3)))
