/* film.c: feature-wise linear modulation.     Perez et al. 2018
 *   h_i' = gamma_i h_i + beta_i,   (gamma_i - 1, beta_i) = Linear_i(SiLU(v)),   v = MLP(time(t)) + row of the class
 * gamma is learned as its distance from 1, as in the paper, so that a site begins near h. Behind a normalisation without
 * gains of its own this is AdaGN or AdaIN. */
#include "condition_vector.h"

typedef struct { condition_vector v; } film;

static const dr_param params[] = {
    CONDITION_VECTOR_ROWS(film),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    film *f = self;
    return condition_vector_create(&f->v, b, "film", 2, "fan_in");
}

static dr_status embed(void *self, dr_ctx *ctx, const dr_batch_cond *cond, dr_embedding *e)
{
    const film *f = self;
    dr_tensor **const part[] = { e->scale, e->shift };
    if (condition_vector_embed(&f->v, ctx, "film", cond, 2, part)) return dr_failed();
    for (int64_t i = 0; i < f->v.channels.n; i++) e->scale[i] = dr_affine(1.0, e->scale[i], 1.0); /* gamma, [B,C] */
    return dr_failed();
}

static dr_tensor *modulate(void *self, dr_ctx *ctx, int site, dr_tensor *h, const dr_embedding *e)
{
    const film *f = self;
    (void)ctx;
    dr_tensor *gamma = fc_sites_at("film", e->scale, site, &f->v.channels, h);
    dr_tensor *beta = fc_sites_at("film", e->shift, site, &f->v.channels, h);
    return dr_film(h, gamma, beta); /* [B,C,H,W] or [B,L,C] */
}

DR_CONDITIONING(film, "FiLM: gamma h + beta", params, .create = create, .embed = embed, .modulate = modulate)
