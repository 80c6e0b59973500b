/* class_time.c: the class scales the channels (or shifts them), time shifts them.
 *   inject = scale:  c_i(c) * h_i + t_i(t),   inject = add:  h_i + c_i(c) + t_i(t)
 *   t_i = FCBlock(1, C_i), c_i = FCBlock(classes, C_i); c is one-hot, times the mask that drops the condition.
 * A network called without labels gets c = 0, the null condition. */
#include "fc_sites.h"

enum { INJECT_SCALE = 0, INJECT_ADD };

typedef struct {
    dr_ints channels;
    int64_t classes, inject;
    dr_module *t[DR_MAX_SITES], *c[DR_MAX_SITES]; /* FCBlock(1, C_i), FCBlock(classes, C_i) */
} class_time;

static const dr_param params[] = {
    DR_INTS(class_time, channels, 1, 65536, "widths of the sites in the network, in order; required"),
    DR_INT(class_time, classes, 10, 1, 1 << 20, "labels go from 0 to classes - 1"),
    DR_ENUM(class_time, inject, INJECT_SCALE, "scale|add", "how the class enters: c h + t or h + c + t"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    class_time *s = self;
    if (fc_sites_check("class_time", &s->channels)) return dr_failed();
    if (fc_sites_create(b, "t", 1, &s->channels, s->t)) return dr_failed();
    return fc_sites_create(b, "c", s->classes, &s->channels, s->c);
}

/* One-hot rows times the mask: [B,classes]. */
static dr_tensor *one_hot(const class_time *s, const dr_batch_cond *c, int64_t B)
{
    if (!c->label) return dr_tensor_full(DR_F32, DR_SHAPE(B, s->classes), 0.0);
    dr_tensor *rows = dr_one_hot(c->label, s->classes);
    return c->mask ? dr_mul(rows, dr_reshape(c->mask, DR_SHAPE(B, 1))) : rows;
}

static dr_status embed(void *self, dr_ctx *ctx, const dr_batch_cond *cond, dr_embedding *e)
{
    const class_time *s = self;
    dr_tensor *time = fc_sites_time("class_time", cond); /* [B,1] */
    if (!time) return dr_failed();
    dr_tensor *label = one_hot(s, cond, dr_tensor_view(time)->shape[0]);
    if (fc_sites_embed(s->t, s->channels.n, time, ctx, e->shift)) return dr_failed();
    return fc_sites_embed(s->c, s->channels.n, label, ctx, e->scale);
}

static dr_tensor *modulate(void *self, dr_ctx *ctx, int site, dr_tensor *h, const dr_embedding *e)
{
    const class_time *s = self;
    (void)ctx;
    dr_tensor *c = fc_sites_at("class_time", e->scale, site, &s->channels, h); /* [B,C,1,1] or [B,1,C] */
    dr_tensor *t = fc_sites_at("class_time", e->shift, site, &s->channels, h);
    return s->inject == INJECT_ADD ? dr_film(h, NULL, dr_add(c, t)) : dr_film(h, c, t); /* [B,C,H,W] */
}

DR_CONDITIONING(class_time, "Class multiplied (or added), time added: c_i(c) * h + t_i(t)", params, .create = create,
                .embed = embed, .modulate = modulate)
