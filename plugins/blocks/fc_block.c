/* fc_block.c: FCBlock(i,o), the two-layer network that turns a time or a class into channels.
 *   y = Linear(o,o)(GELU(Linear(i,o)(x)))     [B,i] -> [B,o] */
#include <drift/plugin.h>

typedef struct {
    int64_t in_features, out_features;
    dr_module *first, *second;
} fc_block;

static const dr_param params[] = {
    DR_INT_REQUIRED(fc_block, in_features, 1, 1 << 24, "size of the input's last axis"),
    DR_INT_REQUIRED(fc_block, out_features, 1, 1 << 24, "size of the output's last axis"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    fc_block *f = self;
    const int64_t i = f->in_features, o = f->out_features;
    f->first = dr_child(b, "net.0", "linear", DR_ARGS(DR_I("in_features", i), DR_I("out_features", o)));
    f->second = dr_child(b, "net.2", "linear", DR_ARGS(DR_I("in_features", o), DR_I("out_features", o)));
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const fc_block *f = self;
    return dr_call(f->second, dr_gelu(dr_call(f->first, x, ctx), 0), ctx);
}

DR_BLOCK(fc_block, "FCBlock: Linear, GELU, Linear", params, .create = create, .forward = forward, .example = "4,2",
         .example_args = DR_STATIC_ARGS(DR_I("in_features", 2), DR_I("out_features", 5)))
