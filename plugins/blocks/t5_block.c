/* t5_block.c: a block of T5's encoder: attention and a feed-forward network, each a residual branch behind a norm.
 * Raffel et al. 2020
 *   x <- x + SelfAttention(rms(x), added)
 *   x <- x + DenseReluDense(rms(x))                   [B,L,dim] -> [B,L,dim]
 * The second input is `added`, as t5_attention has it. Branches are computed in its dtype, while x keeps its own: in
 * bf16 the sum that runs through all blocks stays f32. T5's values reach beyond what fits into f16, so that is no dtype
 * for it. */
#include <drift/plugin.h>

typedef struct {
    int64_t dim, heads, head_dim, hidden, act;
    double eps;
    _Bool gated;
    dr_module *norm[2], *attention, *feed_forward;
} t5_block;

static const dr_param params[] = {
    DR_INT_REQUIRED(t5_block, dim, 1, 65536, "size of a token (d_model)"),
    DR_INT(t5_block, heads, 1, 1, 65536, "heads (num_heads)"),
    DR_INT(t5_block, head_dim, 64, 1, 65536, "size of a head (d_kv)"),
    DR_INT_REQUIRED(t5_block, hidden, 1, 1 << 24, "hidden size of the feed-forward network (d_ff)"),
    DR_BOOL(t5_block, gated, 1, "the feed-forward network is gated (v1.1)"),
    DR_ENUM(t5_block, act, 0, "gelu_tanh|gelu|relu|silu", "its activation"),
    DR_REAL(t5_block, eps, 1e-6, 1e-12, 1, "of the norms (layer_norm_epsilon)"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    static const char *const acts[] = { "gelu_tanh", "gelu", "relu", "silu" };
    t5_block *t = self;
    const dr_args norm = DR_ARGS(DR_I("normalized_shape", t->dim), DR_R("eps", t->eps));
    t->norm[0] = dr_child(b, "layer.0.layer_norm", "rms_norm", norm);
    t->attention = dr_child(b, "layer.0.SelfAttention", "t5_attention",
                            DR_ARGS(DR_I("dim", t->dim), DR_I("heads", t->heads), DR_I("head_dim", t->head_dim)));
    t->norm[1] = dr_child(b, "layer.1.layer_norm", "rms_norm", norm);
    t->feed_forward = dr_child(b, "layer.1.DenseReluDense", "t5_feed_forward",
                               DR_ARGS(DR_I("dim", t->dim), DR_I("hidden", t->hidden), DR_B("gated", t->gated),
                                       DR_S("act", acts[t->act])));
    return dr_failed();
}

static dr_tensor *as(dr_tensor *x, int32_t dtype)
{
    const dr_view *v = dr_tensor_view(x);
    return !v || v->dtype == dtype ? x : dr_cast(x, (dr_dtype)dtype);
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const t5_block *t = self;
    const dr_view *v = dr_tensor_view(x), *given = dr_tensor_view(dr_input(ctx, 1));
    if (!v) return NULL;
    const int32_t own = v->dtype, dtype = given ? given->dtype : own;
    dr_tensor *h = as(dr_call(t->norm[0], x, ctx), dtype); /* [B,L,dim] */
    x = dr_add(x, as(dr_call_with(t->attention, (dr_tensor *[]){ h, dr_input(ctx, 1) }, given ? 2 : 1, ctx), own));
    h = as(dr_call(t->norm[1], x, ctx), dtype);
    return dr_add(x, as(dr_call(t->feed_forward, h, ctx), own));
}

DR_BLOCK(t5_block, "A block of T5's encoder", params, .create = create, .forward = forward, .example = "2,5,6",
         .example_args = DR_STATIC_ARGS(DR_I("dim", 6), DR_I("heads", 2), DR_I("head_dim", 4), DR_I("hidden", 8)))
