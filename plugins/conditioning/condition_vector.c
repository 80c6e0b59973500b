/* condition_vector.c: time and class as one vector, see condition_vector.h. */
#include "condition_vector.h"
#include <stdio.h>

static dr_module *linear(dr_builder *b, const char *name, int64_t i, int64_t o, const char *init)
{
    return dr_child(b, name, "linear", DR_ARGS(DR_I("in_features", i), DR_I("out_features", o), DR_S("init", init)));
}

/* How long the time's embedding is: the block is asked, since any block may stand here. */
static int64_t embedding_size(dr_module *m, const char *scheme)
{
    dr_tensor *e = dr_call(m, dr_tensor_full(DR_F32, DR_SHAPE(2, 1), 0.5), NULL);
    const dr_view *v = dr_tensor_view(e);
    if (v && v->rank == 2 && v->shape[0] == 2) return v->shape[1];
    dr_fail(DR_ESHAPE, "conditioning %s: the block of `time` must make [B,dim] of times [B,1]", scheme);
    return 0;
}

dr_status condition_vector_create(condition_vector *v, dr_builder *b, const char *scheme, int64_t n, const char *init)
{
    if (fc_sites_check(scheme, &v->channels)) return dr_failed();
    v->embedding = dr_child_from(b, "time", v->time);
    if (!v->embedding) return dr_failed();
    const int64_t size = embedding_size(v->embedding, scheme);
    if (dr_failed()) return dr_failed();
    v->first = linear(b, "mlp.0", size, v->width, "fan_in");
    v->second = linear(b, "mlp.2", v->width, v->width, "fan_in");
    v->rows = NULL;
    if (v->classes > 0) {
        v->rows = dr_weight(b, "classes", DR_SHAPE(v->classes + 1, v->width), (dr_init){ DR_INIT_NORMAL, 1.0 });
    }
    for (int64_t i = 0; n > 0 && i < v->channels.n; i++) {
        char name[32];
        snprintf(name, sizeof name, "site_%lld", (long long)i + 1);
        v->site[i] = linear(b, name, v->width, n * v->channels.v[i], init);
    }
    return dr_failed();
}

dr_tensor *condition_vector_time(const condition_vector *v, dr_ctx *ctx, const char *scheme, const dr_batch_cond *c)
{
    dr_tensor *t = dr_call(v->embedding, fc_sites_time(scheme, c), ctx); /* [B,1] -> [B,dim] */
    return dr_call(v->second, dr_silu(dr_call(v->first, t, ctx)), ctx);  /* [B,width] */
}

dr_tensor *condition_vector_class(const condition_vector *v, const dr_batch_cond *c, int64_t B)
{
    if (!v->rows) return NULL;
    dr_tensor *null = dr_slice(v->rows, 0, v->classes, 1); /* [1,width] */
    if (!c->label) return dr_expand(null, DR_SHAPE(B, v->width));
    dr_tensor *own = dr_embed(dr_slice(v->rows, 0, 0, v->classes), c->label); /* [B,width]; a label outside is refused */
    return c->mask ? dr_where(dr_reshape(c->mask, DR_SHAPE(B, 1)), own, null) : own;
}

dr_status condition_vector_embed(const condition_vector *v, dr_ctx *ctx, const char *scheme, const dr_batch_cond *c,
                                 int64_t n, dr_tensor **const *part)
{
    dr_tensor *vector = condition_vector_time(v, ctx, scheme, c); /* [B,width] */
    const dr_view *view = dr_tensor_view(vector);
    if (!view) return dr_failed();
    dr_tensor *row = condition_vector_class(v, c, view->shape[0]);
    if (row) vector = dr_add(vector, row);
    vector = dr_silu(vector);
    for (int64_t i = 0; i < v->channels.n; i++) {
        dr_tensor *all = dr_call(v->site[i], vector, ctx); /* [B,n C] */
        const int64_t C = v->channels.v[i];
        for (int64_t k = 0; k < n; k++) part[k][i] = n > 1 ? dr_slice(all, 1, k * C, C) : all;
    }
    return dr_failed();
}

dr_tensor *channels_to_end(dr_tensor *h)
{
    const dr_view *v = dr_tensor_view(h);
    return v && v->rank == 4 ? dr_permute(h, DR_SHAPE(0, 2, 3, 1)) : h;
}

dr_tensor *channels_from_end(dr_tensor *h)
{
    const dr_view *v = dr_tensor_view(h);
    return v && v->rank == 4 ? dr_permute(h, DR_SHAPE(0, 3, 1, 2)) : h;
}
