/* t5_attention.c: T5's self-attention: scores are not divided by sqrt(d), and what positions mean is added to them.
 * Raffel et al. 2020
 *   y = o(concat_h softmax(q_h k_h^T + added_h) v_h),  q, k, v = W_q x, W_k x, W_v x, of `heads` heads of head_dim
 * x [B,L,dim] -> [B,L,dim]. The second input, if there is one, is `added` [.,.,.,L], which broadcasts to [B,heads,L,L]:
 * the bias by relative position, and what hides padding. Names are Hugging Face's SelfAttention: q, k, v, o. */
#include <drift/plugin.h>

typedef struct {
    int64_t dim, heads, head_dim;
    dr_module *q, *k, *v, *o;
} t5_attention;

static const dr_param params[] = {
    DR_INT_REQUIRED(t5_attention, dim, 1, 65536, "size of a token (d_model)"),
    DR_INT(t5_attention, heads, 1, 1, 65536, "heads (num_heads)"),
    DR_INT(t5_attention, head_dim, 64, 1, 65536, "size of a head (d_kv); heads of them need not make dim"),
    DR_END
};

static dr_module *project(dr_builder *b, const char *name, int64_t i, int64_t o)
{
    return dr_child(b, name, "linear", DR_ARGS(DR_I("in_features", i), DR_I("out_features", o), DR_B("bias", 0)));
}

static dr_status create(void *self, dr_builder *b)
{
    t5_attention *a = self;
    const int64_t inner = a->heads * a->head_dim;
    a->q = project(b, "q", a->dim, inner);
    a->k = project(b, "k", a->dim, inner);
    a->v = project(b, "v", a->dim, inner);
    a->o = project(b, "o", inner, a->dim);
    return dr_failed();
}

/* [B,L,heads d] -> [B,heads,L,d] */
static dr_tensor *heads_of(const t5_attention *a, dr_tensor *x)
{
    const dr_view *v = dr_tensor_view(x);
    if (!v) return NULL;
    return dr_permute(dr_reshape(x, DR_SHAPE(v->shape[0], v->shape[1], a->heads, a->head_dim)), DR_SHAPE(0, 2, 1, 3));
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const t5_attention *a = self;
    const dr_view *view = dr_tensor_view(x);
    if (!view) return NULL;
    if (view->rank != 3) {
        dr_fail(DR_ESHAPE, "t5_attention: tokens must be [B,L,dim], got rank %d", view->rank);
        return NULL;
    }
    const int64_t B = view->shape[0], L = view->shape[1];
    dr_tensor *q = heads_of(a, dr_call(a->q, x, ctx)), *k = heads_of(a, dr_call(a->k, x, ctx)); /* [B,H,L,d] */
    dr_tensor *y = dr_attention(q, k, heads_of(a, dr_call(a->v, x, ctx)), dr_input(ctx, 1), 1.0);
    y = dr_reshape(dr_permute(y, DR_SHAPE(0, 2, 1, 3)), DR_SHAPE(B, L, a->heads * a->head_dim)); /* [B,L,heads d] */
    return dr_call(a->o, y, ctx);
}

DR_BLOCK(t5_attention, "T5's self-attention: no 1/sqrt(d), a bias by relative position", params, .create = create,
         .forward = forward, .example = "2,5,6",
         .example_args = DR_STATIC_ARGS(DR_I("dim", 6), DR_I("heads", 2), DR_I("head_dim", 4)))
