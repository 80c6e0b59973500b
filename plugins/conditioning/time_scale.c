/* time_scale.c: time scales the channels.
 *   h_i * t_i(t),  t_i = FCBlock(1, C_i)     h_i [B,C_i,H,W], t [B] */
#include "fc_sites.h"

typedef struct {
    dr_ints channels;
    dr_module *t[DR_MAX_SITES]; /* FCBlock(1, C_i) */
} time_scale;

static const dr_param params[] = {
    DR_INTS(time_scale, channels, 1, 65536, "widths of the sites in the network, in order; required"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    time_scale *c = self;
    if (fc_sites_check("time_scale", &c->channels)) return dr_failed();
    return fc_sites_create(b, "t", 1, &c->channels, c->t);
}

static dr_status embed(void *self, dr_ctx *ctx, const dr_batch_cond *cond, dr_embedding *e)
{
    const time_scale *c = self;
    dr_tensor *time = fc_sites_time("time_scale", cond); /* [B,1] */
    if (!time) return dr_failed();
    return fc_sites_embed(c->t, c->channels.n, time, ctx, e->scale);
}

static dr_tensor *modulate(void *self, dr_ctx *ctx, int site, dr_tensor *h, const dr_embedding *e)
{
    const time_scale *c = self;
    (void)ctx;
    return dr_film(h, fc_sites_at("time_scale", e->scale, site, &c->channels, h), NULL);
}

DR_CONDITIONING(time_scale, "Time, multiplied: h * t_i(t)", params, .create = create, .embed = embed,
                .modulate = modulate)
