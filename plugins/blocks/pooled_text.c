/* pooled_text.c: a text's tokens as a vector that is added to the time's.      Saharia et al. 2022
 *   y = norm2(proj(attention_pool(norm1(tokens))))          tokens [B,L,D] -> [B,E]
 * All tokens count, padding too. Names are those of diffusers' TextTimeEmbedding. */
#include "activation.h"

typedef struct {
    int64_t token_features, out_features, heads;
    dr_module *norm1, *pool, *proj, *norm2;
} pooled_text;

static const dr_param params[] = {
    DR_INT_REQUIRED(pooled_text, token_features, 1, 65536, "size of a token"),
    DR_INT_REQUIRED(pooled_text, out_features, 1, 65536, "size of the result: of the time's vector"),
    DR_INT(pooled_text, heads, 64, 1, 65536, "heads of the pooling attention; divides token_features"), DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    pooled_text *p = self;
    const int64_t D = p->token_features, E = p->out_features;
    p->norm1 = dr_child(b, "norm1", "layer_norm", DR_ARGS(DR_I("normalized_shape", D)));
    p->pool = dr_child(b, "pool", "attention_pool", DR_ARGS(DR_I("features", D), DR_I("heads", p->heads)));
    p->proj = dr_child(b, "proj", "linear", DR_ARGS(DR_I("in_features", D), DR_I("out_features", E)));
    p->norm2 = dr_child(b, "norm2", "layer_norm", DR_ARGS(DR_I("normalized_shape", E)));
    return dr_failed();
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const pooled_text *p = self;
    dr_tensor *pooled = not_half(dr_call(p->pool, dr_call(p->norm1, x, ctx), ctx)); /* [B,D] */
    return dr_call(p->norm2, dr_call(p->proj, pooled, ctx), ctx);                   /* [B,E] */
}

DR_BLOCK(pooled_text, "A text's tokens as a vector: norm, attention pooling, projection, norm", params,
         .create = create, .forward = forward, .example = "2,5,6",
         .example_args = DR_STATIC_ARGS(DR_I("token_features", 6), DR_I("out_features", 4), DR_I("heads", 2)))
