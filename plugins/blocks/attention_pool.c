/* attention_pool.c: many tokens as one vector, by attention of their mean.      Radford et al. 2021 (CLIP)
 *   c = mean_l x_l + positional_embedding,  s = [c; x]
 *   y = concat_h softmax(q_h(c) k_h(s)^T / sqrt(d)) v_h(s),  d = features/heads          x [B,L,D] -> [B,D]
 * There is no projection behind it. Names are those of diffusers' AttentionPooling. */
#include <drift/plugin.h>
#include <math.h>

typedef struct {
    int64_t features, heads;
    dr_tensor *positional_embedding; /* [1,D] */
    dr_module *q_proj, *k_proj, *v_proj;
} attention_pool;

static const dr_param params[] = { DR_INT_REQUIRED(attention_pool, features, 1, 65536,
                                                   "size of a token, and of the result"),
                                   DR_INT(attention_pool, heads, 1, 1, 65536, "heads; divides features"), DR_END };

static dr_status create(void *self, dr_builder *b)
{
    attention_pool *p = self;
    const int64_t D = p->features;
    if (D % p->heads != 0) {
        return dr_fail(DR_EINVAL, "block attention_pool: features = %lld cannot be split into heads = %lld",
                       (long long)D, (long long)p->heads);
    }
    const dr_init normal = { DR_INIT_NORMAL, 1.0 / sqrt((double)D) };
    const dr_args square = DR_ARGS(DR_I("in_features", D), DR_I("out_features", D));
    p->positional_embedding = dr_weight(b, "positional_embedding", DR_SHAPE(1, D), normal);
    p->k_proj = dr_child(b, "k_proj", "linear", square);
    p->q_proj = dr_child(b, "q_proj", "linear", square);
    p->v_proj = dr_child(b, "v_proj", "linear", square);
    return dr_failed();
}

static dr_tensor *heads_of(const attention_pool *p, dr_tensor *x) /* [B,L,D] -> [B,heads,L,d] */
{
    const dr_view *v = dr_tensor_view(x);
    if (!v) return NULL;
    return dr_permute(dr_reshape(x, DR_SHAPE(v->shape[0], v->shape[1], p->heads, p->features / p->heads)),
                      DR_SHAPE(0, 2, 1, 3));
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const attention_pool *p = self;
    const dr_view *v = dr_tensor_view(x);
    if (!v) return NULL;
    if (v->rank != 3 || v->shape[1] < 1) {
        dr_fail(DR_ESHAPE, "attention_pool: tokens must be [B,L,%lld] with one token at least, got rank %d",
                (long long)p->features, v->rank);
        return NULL;
    }
    dr_tensor *c = dr_add(dr_mean(x, DR_SHAPE(1), 1), p->positional_embedding); /* [B,1,D], f32 where x is half */
    const dr_view *mean = dr_tensor_view(c);
    if (mean && mean->dtype != v->dtype) c = dr_cast(c, (dr_dtype)v->dtype);
    dr_tensor *s = dr_concat((dr_tensor *[]){ c, x }, 2, 1); /* [B,1+L,D] */
    dr_tensor *q = heads_of(p, dr_call(p->q_proj, c, ctx));  /* [B,heads,1,d] */
    dr_tensor *k = heads_of(p, dr_call(p->k_proj, s, ctx)), *values = heads_of(p, dr_call(p->v_proj, s, ctx));
    return dr_reshape(dr_attention(q, k, values, NULL, 0),
                      DR_SHAPE(v->shape[0], p->features)); /* [B,heads,1,d] -> [B,D] */
}

DR_BLOCK(attention_pool, "Tokens as one vector, by attention of their mean", params, .create = create,
         .forward = forward, .example = "2,5,6", .example_args = DR_STATIC_ARGS(DR_I("features", 6), DR_I("heads", 2)))
