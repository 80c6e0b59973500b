/* cross_attention.c: the pixels of a map ask, the tokens of the condition answer.     Rombach et al. 2022
 *   h_i' = h_i + Attention_i(queries GroupNorm_i(h_i), keys and values c)
 *   c = [MLP(time(t)); row of the class; W tokens]     [B,1+1+L,width]
 * Time is a token as the class is, so the scheme stands alone; tokens that the network is given (a text's,
 * [B,L,token_dim]) follow them. Where the mask is 0 the class is the null class and each given token is one learned null token;
 * tokens_mask [B,L] is 0 where a token is padding, to which nothing attends. */
#include "condition_vector.h"
#include <stdbool.h>
#include <stdio.h>

typedef struct {
    condition_vector v;
    int64_t heads, groups, token_dim;
    dr_module *norm[DR_MAX_SITES], *attention[DR_MAX_SITES], *project; /* project: NULL where no tokens are given */
    dr_tensor *null_token;                                             /* [width] */
} cross_attention;

static const dr_param params[] = {
    CONDITION_VECTOR_ROWS(cross_attention),
    DR_INT(cross_attention, heads, 1, 1, 65536, "heads; divides the widths of all sites"),
    DR_INT(cross_attention, groups, 32, 1, 65536,
           "groups of a GroupNorm: up to this, as divides a site's width, and 4 channels or more each"),
    DR_INT(cross_attention, token_dim, 0, 0, 65536, "size of the given tokens; 0: there are none"),
    DR_END
};

static dr_status create_site(cross_attention *a, dr_builder *b, int64_t i)
{
    char norm[32], attention[32];
    const int64_t C = a->v.channels.v[i];
    snprintf(norm, sizeof norm, "norm_%lld", (long long)i + 1);
    snprintf(attention, sizeof attention, "attention_%lld", (long long)i + 1);
    a->norm[i] = dr_child(b, norm, "group_norm",
                          DR_ARGS(DR_I("num_groups", dr_group_count(C, a->groups)), DR_I("num_channels", C)));
    a->attention[i] = dr_child(b, attention, "multi_head_attention",
                               DR_ARGS(DR_I("dim", C), DR_I("heads", a->heads), DR_I("context_dim", a->v.width)));
    return dr_failed();
}

static dr_status create(void *self, dr_builder *b)
{
    cross_attention *a = self;
    if (condition_vector_create(&a->v, b, "cross_attention", 0, "fan_in")) return dr_failed();
    if (a->token_dim > 0) {
        a->project = dr_child(b, "tokens", "linear",
                              DR_ARGS(DR_I("in_features", a->token_dim), DR_I("out_features", a->v.width)));
        a->null_token = dr_weight(b, "null_token", DR_SHAPE(a->v.width), (dr_init){ DR_INIT_NORMAL, 1.0 });
    }
    for (int64_t i = 0; i < a->v.channels.n; i++) {
        if (create_site(a, b, i)) break;
    }
    return dr_failed();
}

/* The given tokens, [B,L,width]; null ones in the rows that drop their condition. */
static dr_tensor *given_tokens(const cross_attention *a, dr_ctx *ctx, const dr_batch_cond *c)
{
    const dr_view *v = dr_tensor_view(c->tokens);
    if (!a->project) {
        dr_fail(DR_EINVAL, "conditioning cross_attention: the network is given tokens, but token_dim is 0");
        return NULL;
    }
    if (v->rank != 3 || v->shape[2] != a->token_dim) {
        dr_fail(DR_ESHAPE, "conditioning cross_attention: tokens should be [B,L,%lld], got a last axis of %lld (rank %d)",
                (long long)a->token_dim, v->rank > 0 ? (long long)v->shape[v->rank - 1] : 1LL, v->rank);
        return NULL;
    }
    dr_tensor *tokens = dr_call(a->project, c->tokens, ctx);
    if (!c->mask) return tokens;
    return dr_where(dr_reshape(c->mask, DR_SHAPE(-1, 1, 1)), tokens, a->null_token);
}

static dr_status embed(void *self, dr_ctx *ctx, const dr_batch_cond *cond, dr_embedding *e)
{
    const cross_attention *a = self;
    dr_tensor *time = condition_vector_time(&a->v, ctx, "cross_attention", cond); /* [B,width] */
    const dr_view *view = dr_tensor_view(time);
    if (!view) return dr_failed();
    const int64_t B = view->shape[0], width = a->v.width;
    dr_tensor *row = condition_vector_class(&a->v, cond, B), *part[3] = { dr_reshape(time, DR_SHAPE(B, 1, width)) };
    int n = 1;
    if (row) part[n++] = dr_reshape(row, DR_SHAPE(B, 1, width));
    if (cond->tokens && cond->tokens_mask) {
        dr_tensor *there = dr_tensor_full(DR_F32, DR_SHAPE(B, n), 1.0); /* time and class */
        e->mask = dr_concat((dr_tensor *[]){ there, cond->tokens_mask }, 2, 1);
    }
    if (cond->tokens) part[n++] = given_tokens(a, ctx, cond);
    e->tokens = n > 1 ? dr_concat(part, n, 1) : part[0]; /* [B,S,width] */
    return dr_failed();
}

static dr_tensor *modulate(void *self, dr_ctx *ctx, int site, dr_tensor *h, const dr_embedding *e)
{
    const cross_attention *a = self;
    const dr_view *v = dr_tensor_view(h);
    dr_module *norm = site < a->v.channels.n ? a->norm[site] : NULL;
    if (!v || (!norm && !fc_sites_at("cross_attention", NULL, site, &a->v.channels, NULL))) return NULL;
    const int64_t B = v->shape[0], C = a->v.channels.v[site];
    const bool map = v->rank == 4;
    dr_tensor *q = dr_call(norm, map ? h : dr_permute(h, DR_SHAPE(0, 2, 1)), ctx);           /* [B,C,H,W] or [B,C,L] */
    q = map ? channels_to_end(q) : dr_permute(q, DR_SHAPE(0, 2, 1));                         /* [B,H,W,C] or [B,L,C] */
    dr_tensor *in[] = { dr_reshape(q, DR_SHAPE(B, -1, C)), e->tokens, e->mask };
    dr_tensor *y = dr_call_with(a->attention[site], in, 3, ctx);                             /* [B,L,C] */
    if (map) y = channels_from_end(dr_reshape(y, DR_SHAPE(B, v->shape[2], v->shape[3], C))); /* [B,C,H,W] */
    return dr_add(h, y);
}

DR_CONDITIONING(cross_attention, "Cross-attention: the map's pixels attend to tokens of time, class and text", params,
                .create = create, .embed = embed, .modulate = modulate)
