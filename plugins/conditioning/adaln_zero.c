/* adaln_zero.c: adaptive layer normalisation with gates that start at zero.     Peebles & Xie 2023
 *   h_i' = (1 + s_i) LayerNorm(h_i) + b_i,   the branch f behind site i enters as  x + g_i f(h_i')
 *   (s_i, b_i, g_i) = Linear_i(SiLU(v)),   v = MLP(time(t)) + row of the class
 * Linear_i starts at zero, so every branch begins as nothing and the network as the sum of its skips. LayerNorm is over
 * the channels, without gains of its own: of each token [B,L,C], or of each pixel of a map [B,C,H,W]. */
#include "condition_vector.h"

typedef struct {
    condition_vector v;
    double eps;
} adaln_zero;

static const dr_param params[] = {
    CONDITION_VECTOR_ROWS(adaln_zero),
    DR_REAL(adaln_zero, eps, 1e-6, 1e-12, 1, "added to the variance"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    adaln_zero *a = self;
    return condition_vector_create(&a->v, b, "adaln_zero", 3, "zero");
}

static dr_status embed(void *self, dr_ctx *ctx, const dr_batch_cond *cond, dr_embedding *e)
{
    const adaln_zero *a = self;
    dr_tensor **const part[] = { e->scale, e->shift, e->gate };
    if (condition_vector_embed(&a->v, ctx, "adaln_zero", cond, 3, part)) return dr_failed();
    for (int64_t i = 0; i < a->v.channels.n; i++) e->scale[i] = dr_affine(1.0, e->scale[i], 1.0); /* 1 + s, [B,C] */
    return dr_failed();
}

static dr_tensor *modulate(void *self, dr_ctx *ctx, int site, dr_tensor *h, const dr_embedding *e)
{
    const adaln_zero *a = self;
    (void)ctx;
    dr_tensor *scale = fc_sites_at("adaln_zero", e->scale, site, &a->v.channels, h);
    dr_tensor *shift = fc_sites_at("adaln_zero", e->shift, site, &a->v.channels, h);
    const dr_view *v = dr_tensor_view(h);
    if (!v || !scale) return NULL;
    dr_tensor *norm = dr_layer_norm(channels_to_end(h), NULL, NULL, a->eps); /* [B,H,W,C] or [B,L,C] */
    return dr_film(channels_from_end(norm), scale, shift);
}

static dr_tensor *gate(void *self, dr_ctx *ctx, int site, dr_tensor *h, const dr_embedding *e)
{
    const adaln_zero *a = self;
    (void)ctx;
    return dr_film(h, fc_sites_at("adaln_zero", e->gate, site, &a->v.channels, h), NULL);
}

DR_CONDITIONING(adaln_zero, "AdaLN-zero: (1 + s) LayerNorm(h) + b, branches gated by g = 0 at first", params,
                .create = create, .embed = embed, .modulate = modulate, .gate = gate)
