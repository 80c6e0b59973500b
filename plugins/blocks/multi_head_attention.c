/* multi_head_attention.c: each token gathers values from the tokens that its query fits.     Vaswani et al. 2017
 *   y = out(concat_h softmax(q_h k_h^T / sqrt(d) + mask) v_h),  q = W_q x,  k, v = W_k c, W_v c,  d = dim/heads
 * x [B,L,dim] -> [B,L,dim]. The context c is x itself, or the second input [B,S,context_dim]; the third is a mask [B,S]:
 * 0 where a token of the context is not there, 1 where it is. */
#include <drift/plugin.h>

typedef struct {
    int64_t dim, heads, context_dim, init;
    dr_module *q, *kv, *out;
} multi_head_attention;

static const dr_param params[] = {
    DR_INT_REQUIRED(multi_head_attention, dim, 1, 65536, "size of a token"),
    DR_INT(multi_head_attention, heads, 1, 1, 65536, "heads; divides dim"),
    DR_INT(multi_head_attention, context_dim, 0, 0, 65536, "size of a token of the context; 0: dim"),
    DR_ENUM(multi_head_attention, init, 0, "fan_in|zero", "how the projection of the output starts"),
    DR_END
};

static dr_module *project(dr_builder *b, const char *name, int64_t i, int64_t o, const char *init)
{
    return dr_child(b, name, "linear", DR_ARGS(DR_I("in_features", i), DR_I("out_features", o), DR_S("init", init)));
}

static dr_status create(void *self, dr_builder *b)
{
    multi_head_attention *a = self;
    const int64_t D = a->dim;
    if (D % a->heads != 0) {
        return dr_fail(DR_EINVAL, "block multi_head_attention: dim = %lld cannot be split into heads = %lld",
                       (long long)D, (long long)a->heads);
    }
    a->q = project(b, "q", D, D, "fan_in");
    a->kv = project(b, "kv", a->context_dim ? a->context_dim : D, 2 * D, "fan_in");
    a->out = project(b, "out", D, D, a->init ? "zero" : "fan_in");
    return dr_failed();
}

/* [B,L,heads d], the features from `first` on -> [B,heads,L,d] */
static dr_tensor *heads_of(const multi_head_attention *a, dr_tensor *x, int64_t first)
{
    const dr_view *v = dr_tensor_view(x);
    if (!v) return NULL;
    const int64_t B = v->shape[0], L = v->shape[1];
    dr_tensor *own = v->shape[2] == a->dim ? x : dr_slice(x, 2, first, a->dim);
    return dr_permute(dr_reshape(own, DR_SHAPE(B, L, a->heads, a->dim / a->heads)), DR_SHAPE(0, 2, 1, 3));
}

/* 1 -> 0, 0 -> -1e9: what is added to the scores, [B,1,1,S]. */
static dr_tensor *added_mask(dr_tensor *mask)
{
    const dr_view *v = dr_tensor_view(mask);
    if (!v) return NULL;
    return dr_reshape(dr_affine(1e9, mask, -1e9), DR_SHAPE(v->shape[0], 1, 1, v->shape[1]));
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const multi_head_attention *a = self;
    const dr_view *v = dr_tensor_view(x);
    if (!v) return NULL;
    if (v->rank != 3) {
        dr_fail(DR_ESHAPE, "multi_head_attention: tokens must be [B,L,dim], got rank %d", v->rank);
        return NULL;
    }
    dr_tensor *context = dr_input(ctx, 1);
    dr_tensor *q = heads_of(a, dr_call(a->q, x, ctx), 0);                    /* [B,H,L,d] */
    dr_tensor *kv = dr_call(a->kv, context ? context : x, ctx);              /* [B,S,2 dim] */
    dr_tensor *k = heads_of(a, kv, 0), *values = heads_of(a, kv, a->dim);    /* [B,H,S,d] */
    dr_tensor *y = dr_attention(q, k, values, added_mask(dr_input(ctx, 2)), 0); /* [B,H,L,d] */
    y = dr_reshape(dr_permute(y, DR_SHAPE(0, 2, 1, 3)), DR_SHAPE(v->shape[0], v->shape[1], a->dim)); /* [B,L,dim] */
    return dr_call(a->out, y, ctx);
}

DR_BLOCK(multi_head_attention, "Multi-head attention over tokens, of themselves or of a context", params,
         .create = create, .forward = forward, .example = "2,5,6", .example_args = DR_STATIC_ARGS(DR_I("dim", 6), DR_I("heads", 2)))
