/* up_block.c: UpBlock(i,o), one level of the UNet upwards; x is what came from below, with the skip as second
 * image or concatenated.
 *   y = ConvBlock(o,o)(UpConv(i,o)(x))     [B,i,H,W] -> [B,o,2H,2W] */
#include "conv_norm.h"

typedef struct {
    int64_t in_channels, out_channels;
    _Bool residual;
    dr_module *u, *c;
} up_block;

static const dr_param params[] = {
    DR_INT_REQUIRED(up_block, in_channels, 1, 65536, "channels of the input"),
    DR_INT_REQUIRED(up_block, out_channels, 1, 65536, "channels of the output"),
    DR_BOOL(up_block, residual, 0, "the ConvBlock adds its input to its output"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    up_block *p = self;
    const int64_t i = p->in_channels, o = p->out_channels;
    p->u = dr_child(b, "u", "up_conv", DR_ARGS(DR_I("in_channels", i), DR_I("out_channels", o)));
    p->c = dr_child(b, "c", "conv_block",
                    DR_ARGS(DR_I("in_channels", o), DR_I("out_channels", o), DR_B("residual", p->residual)));
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const up_block *p = self;
    return dr_call(p->c, call_with_input(p->u, x, ctx), ctx); /* [B,i,H,W] -> [B,o,2H,2W] */
}

DR_BLOCK(up_block, "UpBlock: UpConv, ConvBlock", params, .create = create, .forward = forward,
         .example = "2,3,4,4", .example_args = DR_STATIC_ARGS(DR_I("in_channels", 3), DR_I("out_channels", 4)))
