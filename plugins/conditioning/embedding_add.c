/* embedding_add.c: the embedding of time and class, added.     Ho et al. 2020
 *   h_i' = h_i + b_i,   b_i = Linear_i(SiLU(v)),   v = MLP(time(t)) + row of the class */
#include "condition_vector.h"

typedef struct { condition_vector v; } embedding_add;

static const dr_param params[] = {
    CONDITION_VECTOR_ROWS(embedding_add),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    embedding_add *a = self;
    return condition_vector_create(&a->v, b, "embedding_add", 1, "fan_in");
}

static dr_status embed(void *self, dr_ctx *ctx, const dr_batch_cond *cond, dr_embedding *e)
{
    const embedding_add *a = self;
    return condition_vector_embed(&a->v, ctx, "embedding_add", cond, 1, (dr_tensor **const[]){ e->shift });
}

static dr_tensor *modulate(void *self, dr_ctx *ctx, int site, dr_tensor *h, const dr_embedding *e)
{
    const embedding_add *a = self;
    (void)ctx;
    return dr_film(h, NULL, fc_sites_at("embedding_add", e->shift, site, &a->v.channels, h)); /* [B,C,H,W] or [B,L,C] */
}

DR_CONDITIONING(embedding_add, "The embedding of time and class, added (DDPM)", params, .create = create, .embed = embed,
                .modulate = modulate)
