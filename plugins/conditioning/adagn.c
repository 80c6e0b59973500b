/* adagn.c: adaptive group normalisation.     Dhariwal & Nichol 2021
 *   h_i' = (1 + s_i) GroupNorm_i(h_i) + b_i,   (s_i, b_i) = Linear_i(SiLU(v)),   v = MLP(time(t)) + row of the class
 * One normalisation with gains of each sample: gamma (1 + s_i) and beta (1 + s_i) + b_i for GroupNorm's gamma and beta. */
#include "condition_vector.h"
#include <stdio.h>

typedef struct {
    condition_vector v;
    int64_t groups;
    double eps;
    dr_tensor *gamma[DR_MAX_SITES], *beta[DR_MAX_SITES]; /* [C_i] */
} adagn;

static const dr_param params[] = {
    CONDITION_VECTOR_ROWS(adagn),
    DR_INT(adagn, groups, 32, 1, 65536,
           "groups of channels: up to this, as divides a site's width, and 4 channels or more each"),
    DR_REAL(adagn, eps, 1e-5, 1e-12, 1, "added to the variance"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    adagn *a = self;
    if (condition_vector_create(&a->v, b, "adagn", 2, "fan_in")) return dr_failed();
    for (int64_t i = 0; i < a->v.channels.n; i++) {
        char gamma[48], beta[48];
        snprintf(gamma, sizeof gamma, "norm_%lld.weight", (long long)i + 1);
        snprintf(beta, sizeof beta, "norm_%lld.bias", (long long)i + 1);
        a->gamma[i] = dr_weight(b, gamma, DR_SHAPE(a->v.channels.v[i]), DR_INIT_ONES);
        a->beta[i] = dr_weight(b, beta, DR_SHAPE(a->v.channels.v[i]), DR_INIT_ZEROS);
    }
    return dr_failed();
}

static dr_status embed(void *self, dr_ctx *ctx, const dr_batch_cond *cond, dr_embedding *e)
{
    const adagn *a = self;
    dr_tensor **const part[] = { e->scale, e->shift };
    if (condition_vector_embed(&a->v, ctx, "adagn", cond, 2, part)) return dr_failed();
    for (int64_t i = 0; i < a->v.channels.n; i++) {
        dr_tensor *gain = dr_affine(1.0, e->scale[i], 1.0); /* 1 + s, [B,C] */
        e->scale[i] = dr_mul(gain, a->gamma[i]);
        e->shift[i] = dr_add(dr_mul(gain, a->beta[i]), e->shift[i]);
    }
    return dr_failed();
}

static dr_tensor *modulate(void *self, dr_ctx *ctx, int site, dr_tensor *h, const dr_embedding *e)
{
    const adagn *a = self;
    (void)ctx;
    dr_tensor *gamma = fc_sites_at("adagn", e->scale, site, &a->v.channels, NULL); /* [B,C] */
    dr_tensor *beta = fc_sites_at("adagn", e->shift, site, &a->v.channels, NULL);
    const dr_view *v = dr_tensor_view(h);
    if (!v || !gamma) return NULL;
    const int64_t groups = dr_group_count(a->v.channels.v[site], a->groups);
    if (v->rank != 3) return dr_group_norm(h, gamma, beta, groups, a->eps, DR_ACT_NONE); /* [B,C,H,W] */
    h = dr_group_norm(dr_permute(h, DR_SHAPE(0, 2, 1)), gamma, beta, groups, a->eps, DR_ACT_NONE); /* [B,C,L] */
    return dr_permute(h, DR_SHAPE(0, 2, 1));
}

DR_CONDITIONING(adagn, "AdaGN: (1 + s) GroupNorm(h) + b", params, .create = create, .embed = embed, .modulate = modulate)
