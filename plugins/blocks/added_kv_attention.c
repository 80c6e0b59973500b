/* added_kv_attention.c: the pixels of a map attend to a text's tokens and to each other, in one softmax.
 *   Nichol et al. 2021 (GLIDE), Saharia et al. 2022; names are those of diffusers' Attention with added keys and values
 *   u = group_norm(x),  e = norm_cross(tokens)
 *   q = to_q u,  k = [add_k_proj e; to_k u],  v = [add_v_proj e; to_v u]
 *   y = x + to_out.0(concat_h softmax(q_h k_h^T / sqrt(d)) v_h)        x [B,C,H,W], tokens [B,L,D] -> [B,C,H,W]
 * The text's keys come first. only_cross_attention: they are all there is. norm_cross is a GroupNorm over the tokens'
 * features and all tokens together (token_groups = 0: none). What is made of the tokens alone does not depend on x. */
#include <drift/plugin.h>

typedef struct {
    int64_t channels, heads, token_features, groups, token_groups;
    double eps;
    _Bool only_cross_attention;
    dr_module *group_norm, *norm_cross, *to_q, *to_k, *to_v, *add_k_proj, *add_v_proj,
        *to_out; /* NULL where there is none */
} added_kv_attention;

static const dr_param params[] = {
    DR_INT_REQUIRED(added_kv_attention, channels, 1, 65536, "channels of input and output"),
    DR_INT_REQUIRED(added_kv_attention, token_features, 1, 65536, "size of a token"),
    DR_INT(added_kv_attention, heads, 1, 1, 65536, "heads; divides channels"),
    DR_INT(added_kv_attention, groups, 32, 1, 65536, "groups of the map's GroupNorm; divides channels"),
    DR_INT(added_kv_attention, token_groups, 32, 0, 65536,
           "groups of the tokens' GroupNorm; divides token_features. 0: none"),
    DR_REAL(added_kv_attention, eps, 1e-5, 1e-12, 1, "added to the variances"),
    DR_BOOL(added_kv_attention, only_cross_attention, 0, "pixels attend to tokens alone"),
    DR_END
};

static dr_module *project(dr_builder *b, const char *name, int64_t i, int64_t o)
{
    return dr_child(b, name, "linear", DR_ARGS(DR_I("in_features", i), DR_I("out_features", o)));
}

static dr_module *norm(dr_builder *b, const char *name, int64_t groups, int64_t channels, double eps)
{
    return dr_child(b, name, "group_norm",
                    DR_ARGS(DR_I("num_groups", groups), DR_I("num_channels", channels), DR_R("eps", eps)));
}

static dr_status create(void *self, dr_builder *b)
{
    added_kv_attention *a = self;
    const int64_t C = a->channels, D = a->token_features;
    if (C % a->heads != 0) {
        return dr_fail(DR_EINVAL, "block added_kv_attention: channels = %lld cannot be split into heads = %lld",
                       (long long)C, (long long)a->heads);
    }
    a->group_norm = norm(b, "group_norm", a->groups, C, a->eps);
    if (a->token_groups > 0) a->norm_cross = norm(b, "norm_cross", a->token_groups, D, a->eps);
    a->to_q = project(b, "to_q", C, C);
    if (!a->only_cross_attention) {
        a->to_k = project(b, "to_k", C, C);
        a->to_v = project(b, "to_v", C, C);
    }
    a->add_k_proj = project(b, "add_k_proj", D, C);
    a->add_v_proj = project(b, "add_v_proj", D, C);
    a->to_out = project(b, "to_out.0", C, C);
    return dr_failed();
}

/* [B,L,D], normalised over D/groups features and all L */
static dr_tensor *normalised(const added_kv_attention *a, dr_tensor *tokens, dr_ctx *ctx)
{
    if (!a->norm_cross) return tokens;
    dr_tensor *e = dr_call(a->norm_cross, dr_permute(tokens, DR_SHAPE(0, 2, 1)), ctx); /* [B,D,L] */
    return dr_permute(e, DR_SHAPE(0, 2, 1));
}

static dr_tensor *heads_of(const added_kv_attention *a, dr_tensor *x) /* [B,L,C] -> [B,heads,L,d] */
{
    const dr_view *v = dr_tensor_view(x);
    if (!v) return NULL;
    return dr_permute(dr_reshape(x, DR_SHAPE(v->shape[0], v->shape[1], a->heads, a->channels / a->heads)),
                      DR_SHAPE(0, 2, 1, 3));
}

/* Keys or values: the text's [B,L,C], and the map's behind them, where there are any. */
static dr_tensor *joined(dr_tensor *text, dr_module *own, dr_tensor *u, dr_ctx *ctx)
{
    return own ? dr_concat((dr_tensor *[]){ text, dr_call(own, u, ctx) }, 2, 1) : text; /* [B,L+HW,C] */
}

static dr_status check(const added_kv_attention *a, const dr_view *x, const dr_view *tokens)
{
    if (x->rank != 4) return dr_fail(DR_ESHAPE, "added_kv_attention: x must be [B,C,H,W], got rank %d", x->rank);
    if (!tokens)
        return dr_fail(DR_EINVAL, "added_kv_attention: tokens are missing: the second input, [B,L,%lld]",
                       (long long)a->token_features);
    if (tokens->rank == 3 && tokens->shape[0] == x->shape[0] && tokens->shape[2] == a->token_features) return DR_OK;
    return dr_fail(
        DR_ESHAPE,
        "added_kv_attention: tokens should be [%lld,L,%lld], got %lld rows and a last axis of %lld (rank %d)",
        (long long)x->shape[0], (long long)a->token_features, tokens->rank ? (long long)tokens->shape[0] : 1LL,
        tokens->rank ? (long long)tokens->shape[tokens->rank - 1] : 1LL, tokens->rank);
}

static dr_tensor *forward(void *self, dr_tensor *x, dr_ctx *ctx)
{
    const added_kv_attention *a = self;
    const dr_view *v = dr_tensor_view(x);
    if (!v || check(a, v, dr_tensor_view(dr_input(ctx, 1)))) return NULL;
    const int64_t B = v->shape[0], C = v->shape[1], H = v->shape[2], W = v->shape[3];
    dr_tensor *e = normalised(a, dr_input(ctx, 1), ctx);                                          /* [B,L,D] */
    dr_tensor *text_k = dr_call(a->add_k_proj, e, ctx), *text_v = dr_call(a->add_v_proj, e, ctx); /* [B,L,C] */
    dr_tensor *u = dr_permute(dr_call(a->group_norm, x, ctx), DR_SHAPE(0, 2, 3, 1));              /* [B,H,W,C] */
    u = dr_reshape(u, DR_SHAPE(B, H * W, C));
    dr_tensor *q = heads_of(a, dr_call(a->to_q, u, ctx)); /* [B,heads,HW,d] */
    dr_tensor *k = heads_of(a, joined(text_k, a->to_k, u, ctx)), *values = heads_of(a, joined(text_v, a->to_v, u, ctx));
    dr_tensor *y = dr_permute(dr_attention(q, k, values, NULL, 0), DR_SHAPE(0, 2, 1, 3)); /* [B,HW,heads,d] */
    y = dr_reshape(dr_call(a->to_out, dr_reshape(y, DR_SHAPE(B, H * W, C)), ctx), DR_SHAPE(B, H, W, C));
    return dr_add(x, dr_permute(y, DR_SHAPE(0, 3, 1, 2))); /* [B,C,H,W] */
}

DR_BLOCK(added_kv_attention, "Pixels attend to a text's tokens and to each other", params, .create = create,
         .forward = forward, .example = "2,6,3,4;2,5,8",
         .example_args = DR_STATIC_ARGS(DR_I("channels", 6), DR_I("token_features", 8), DR_I("heads", 2),
                                        DR_I("groups", 3), DR_I("token_groups", 4)))
