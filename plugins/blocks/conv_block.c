/* conv_block.c: ConvBlock(i,o), two convolutions; residual: with the input added.
 *   y = Conv(o,o)(Conv(i,o)(x)),  residual: y + (x if i = o, else conv2d k1 (x))     [B,i,H,W] -> [B,o,H,W]
 * May be called with a second image, whose channels follow x's (see conv_norm.h). */
#include "conv_norm.h"

typedef struct {
    int64_t in_channels, out_channels;
    _Bool residual;
    dr_module *c1, *c2, *skip; /* skip: NULL where the channels are equal */
} conv_block;

static const dr_param params[] = {
    DR_INT_REQUIRED(conv_block, in_channels, 1, 65536, "channels of the input"),
    DR_INT_REQUIRED(conv_block, out_channels, 1, 65536, "channels of the output"),
    DR_BOOL(conv_block, residual, 0, "add the input, through a 1x1 convolution where the channels differ"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    conv_block *c = self;
    const int64_t i = c->in_channels, o = c->out_channels;
    c->c1 = dr_child(b, "c1", "conv", DR_ARGS(DR_I("in_channels", i), DR_I("out_channels", o)));
    c->c2 = dr_child(b, "c2", "conv", DR_ARGS(DR_I("in_channels", o), DR_I("out_channels", o)));
    c->skip = NULL;
    if (c->residual && i != o) {
        c->skip = dr_child(b, "skip", "conv2d",
                           DR_ARGS(DR_I("in_channels", i), DR_I("out_channels", o), DR_I("kernel_size", 1)));
    }
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const conv_block *c = self;
    if (c->residual) x = joined_input(x, ctx);
    dr_tensor *first = c->residual ? dr_call(c->c1, x, ctx) : call_with_input(c->c1, x, ctx);
    dr_tensor *y = dr_call(c->c2, first, ctx); /* [B,o,H,W] */
    if (!c->residual) return y;
    return dr_add(y, c->skip ? dr_call(c->skip, x, ctx) : x);
}

DR_BLOCK(conv_block, "ConvBlock: two Convs, optionally residual", params, .create = create, .forward = forward,
         .example = "2,3,5,5",
         .example_args = DR_STATIC_ARGS(DR_I("in_channels", 3), DR_I("out_channels", 4), DR_B("residual", 1)))
