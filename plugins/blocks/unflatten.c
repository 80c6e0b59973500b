/* unflatten.c: Unflatten(c), which spreads one pixel over the bottleneck again.
 *   y = GELU(BatchNorm(conv_transpose2d k7 s7 (x)))     [B,c,1,1] -> [B,c,7,7] */
#include <drift/plugin.h>

typedef struct {
    int64_t channels, kernel_size;
    dr_module *conv, *norm;
} unflatten;

static const dr_param params[] = {
    DR_INT_REQUIRED(unflatten, channels, 1, 65536, "channels of input and output"),
    DR_INT(unflatten, kernel_size, 7, 1, 255, "side of the output, in pixels per input pixel"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    unflatten *u = self;
    u->conv = dr_child(b, "conv.0", "conv_transpose2d",
                       DR_ARGS(DR_I("in_channels", u->channels), DR_I("out_channels", u->channels),
                               DR_I("kernel_size", u->kernel_size), DR_I("stride", u->kernel_size)));
    u->norm = dr_child(b, "conv.1", "batch_norm", DR_ARGS(DR_I("num_features", u->channels), DR_S("act", "gelu")));
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const unflatten *u = self;
    return dr_call(u->norm, dr_call(u->conv, x, ctx), ctx); /* [B,c,1,1] -> [B,c,7,7] */
}

DR_BLOCK(unflatten, "Unflatten: 7x7 transposed convolution of stride 7, BatchNorm, GELU", params, .create = create,
         .forward = forward, .example = "2,3,1,1", .example_args = DR_STATIC_ARGS(DR_I("channels", 3)))
