/* my_conditioning.c: time and class open and close channels.     after Hu et al. 2018 (squeeze-and-excitation)
 *   h_i' = h_i 2 sigmoid(Linear_i(v)),   v = SiLU(Linear(time features) + row of the class)
 * The Linear_i start at zero, so the network begins as one that knows neither. */
#include <drift/plugin.h>
#include <stdio.h>

/* Parameters first: each is a field here and a row below. Then what create() declares. */
typedef struct {
    dr_ints channels;
    int64_t classes, width;
    dr_module *features, *time, *site[DR_MAX_SITES];
    dr_tensor *rows; /* [classes,width], or NULL */
} my_conditioning;

/* `channels`, the widths of the network's sites in order, is filled in by the networks (drift.models); `classes` too. */
static const dr_param params[] = {
    DR_INTS(my_conditioning, channels, 1, 65536, "widths of the sites in the network, in order; required"),
    DR_INT(my_conditioning, classes, 10, 0, 1 << 20, "labels go from 0 to classes - 1; 0: time alone"),
    DR_INT(my_conditioning, width, 64, 2, 65536, "length of v"),
    DR_END
};

static dr_status create(void *self, dr_builder *b)
{
    my_conditioning *p = self;
    if (p->channels.n < 1 || p->channels.n > DR_MAX_SITES) {
        return dr_fail(DR_EINVAL, "conditioning my_conditioning: channels should list the widths of 1 to %d sites, got %lld",
                       DR_MAX_SITES, (long long)p->channels.n);
    }
    p->features = dr_child(b, "features", "sinusoidal_embedding", DR_ARGS(DR_I("dim", p->width)));
    p->time = dr_child(b, "time", "linear", DR_ARGS(DR_I("in_features", p->width), DR_I("out_features", p->width)));
    if (p->classes > 0) {
        p->rows = dr_weight(b, "rows", DR_SHAPE(p->classes, p->width), (dr_init){ DR_INIT_NORMAL, 0.02 });
    }
    for (int64_t i = 0; i < p->channels.n; i++) {
        char name[32];
        snprintf(name, sizeof name, "site%lld", (long long)i + 1);
        p->site[i] = dr_child(b, name, "linear", DR_ARGS(DR_I("in_features", p->width), DR_I("out_features", p->channels.v[i]),
                                                         DR_S("init", "zero")));
    }
    return dr_failed();
}

/* The row of each label; c->mask [B] is 0 where the condition of a row is dropped (for classifier-free guidance): then
 * nothing may depend on the label, and all must be as where there is none. */
static dr_tensor *class_rows(const my_conditioning *p, const dr_batch_cond *c)
{
    dr_tensor *row = dr_embed(p->rows, c->label);                               /* [B,width] */
    return c->mask ? dr_mul(row, dr_reshape(c->mask, DR_SHAPE(-1, 1))) : row;
}

/* Once per call of the network. What it makes is kept in e: scale[i], shift[i], gate[i] of site i, vec, tokens. */
static dr_status embed(void *self, dr_ctx *ctx, const dr_batch_cond *c, dr_embedding *e)
{
    const my_conditioning *p = self;
    if (!c->time) return dr_fail(DR_EINVAL, "conditioning my_conditioning: the network is called without a time");
    dr_tensor *v = dr_call(p->time, dr_call(p->features, c->time, ctx), ctx);   /* [B,width] */
    if (p->rows && c->label) v = dr_add(v, class_rows(p, c));
    v = dr_silu(v);
    for (int64_t i = 0; i < p->channels.n; i++) {
        e->scale[i] = dr_scale(2.0, dr_sigmoid(dr_call(p->site[i], v, ctx)));   /* [B,C_i] */
    }
    return dr_failed();
}

/* At each site, of h's shape: a map [B,C,H,W] or tokens [B,L,C]. Sites count from 0. */
static dr_tensor *modulate(void *self, dr_ctx *ctx, int site, dr_tensor *h, const dr_embedding *e)
{
    const my_conditioning *p = self;
    const dr_view *v = dr_tensor_view(h);
    (void)ctx;
    if (!v) return NULL;                                     /* an earlier error; the host has its message */
    if (site >= p->channels.n) {
        dr_fail(DR_EINVAL, "conditioning my_conditioning: there is no site %d: channels lists %lld", site + 1,
                (long long)p->channels.n);
        return NULL;
    }
    const int64_t C = p->channels.v[site];
    dr_tensor *scale = e->scale[site];
    return dr_mul(h, v->rank == 4 ? dr_reshape(scale, DR_SHAPE(-1, C, 1, 1)) : dr_reshape(scale, DR_SHAPE(-1, 1, C)));
}

/* .gate: what the branch behind a site is multiplied with; left out, it stays as it is. */
DR_CONDITIONING(my_conditioning, "Time and class open and close channels", params, .create = create, .embed = embed,
                .modulate = modulate)
