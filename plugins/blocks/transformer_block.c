/* transformer_block.c: attention and a two-layer network, each a residual branch behind a site.
 * Vaswani et al. 2017, Peebles & Xie 2023
 *   x <- x + gate_0 attention(site_0(x))
 *   x <- x + gate_1 Linear(GELU(Linear(site_1(x))))          [B,L,D] -> [B,L,D], hidden size mlp_ratio D
 * norm: a LayerNorm before each site, for plain transformers and schemes that do not normalise; adaln_zero does. */
#include <drift/plugin.h>

typedef struct {
    int64_t dim, heads;
    double mlp_ratio;
    _Bool norm;
    dr_module *norm1, *attention, *norm2, *first, *second; /* norm1, norm2: NULL where there is none */
} transformer_block;

static const dr_param params[] = {
    DR_INT_REQUIRED(transformer_block, dim, 1, 65536, "size of a token, and of both sites"),
    DR_INT(transformer_block, heads, 4, 1, 65536, "heads of the attention; divides dim"),
    DR_REAL(transformer_block, mlp_ratio, 4, 0.01, 100, "hidden size of the two-layer network, in dims"),
    DR_BOOL(transformer_block, norm, 1, "a LayerNorm before each site; false where the scheme normalises (adaln_zero)"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    transformer_block *t = self;
    const int64_t D = t->dim, wanted = (int64_t)(t->mlp_ratio * (double)D + 0.5), hidden = wanted > 0 ? wanted : 1;
    if (t->norm) t->norm1 = dr_child(b, "norm1", "layer_norm", DR_ARGS(DR_I("normalized_shape", D)));
    t->attention = dr_child(b, "attention", "multi_head_attention", DR_ARGS(DR_I("dim", D), DR_I("heads", t->heads)));
    if (t->norm) t->norm2 = dr_child(b, "norm2", "layer_norm", DR_ARGS(DR_I("normalized_shape", D)));
    t->first = dr_child(b, "mlp.0", "linear", DR_ARGS(DR_I("in_features", D), DR_I("out_features", hidden)));
    t->second = dr_child(b, "mlp.2", "linear", DR_ARGS(DR_I("in_features", hidden), DR_I("out_features", D)));
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const transformer_block *t = self;
    dr_tensor *h = dr_modulate(ctx, 0, t->norm ? dr_call(t->norm1, x, ctx) : x); /* [B,L,D] */
    x = dr_add(x, dr_gate(ctx, 0, dr_call(t->attention, h, ctx)));
    h = dr_modulate(ctx, 1, t->norm ? dr_call(t->norm2, x, ctx) : x);
    h = dr_call(t->second, dr_gelu(dr_call(t->first, h, ctx), 1), ctx); /* through [B,L,mlp_ratio D] */
    return dr_add(x, dr_gate(ctx, 1, h));
}

DR_BLOCK(transformer_block, "Transformer block with two sites for the conditioning", params, .create = create,
         .forward = forward, .example = "2,5,6", .example_args = DR_STATIC_ARGS(DR_I("dim", 6), DR_I("heads", 2)))
