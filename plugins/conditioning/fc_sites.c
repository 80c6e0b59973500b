/* fc_sites.c: one FCBlock per site, see fc_sites.h. */
#include "fc_sites.h"
#include <stdio.h>

dr_status fc_sites_check(const char *scheme, const dr_ints *channels)
{
    if (channels->n >= 1 && channels->n <= DR_MAX_SITES) return DR_OK;
    return dr_fail(DR_EINVAL, "conditioning %s: channels should list the widths of 1 to %d sites, got %lld", scheme,
                   DR_MAX_SITES, (long long)channels->n);
}

dr_status fc_sites_create(dr_builder *b, const char *prefix, int64_t inputs, const dr_ints *channels, dr_module **site)
{
    for (int64_t i = 0; i < channels->n; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s%lld", prefix, (long long)i + 1);
        site[i] = dr_child(b, name, "fc_block",
                           DR_ARGS(DR_I("in_features", inputs), DR_I("out_features", channels->v[i])));
    }
    return dr_failed();
}

dr_status fc_sites_embed(dr_module *const *site, int64_t n, dr_tensor *v, dr_ctx *ctx, dr_tensor **out)
{
    for (int64_t i = 0; i < n; i++) {
        dr_tensor *e = dr_call(site[i], v, ctx); /* [B,C_i] */
        if (!e) return dr_failed();
        const int64_t *shape = dr_tensor_view(e)->shape;
        out[i] = dr_reshape(e, DR_SHAPE(shape[0], shape[1], 1, 1));
    }
    return dr_failed();
}

dr_tensor *fc_sites_time(const char *scheme, const dr_batch_cond *c)
{
    if (!c->time) {
        dr_fail(DR_EINVAL, "conditioning %s: the network is called without a time", scheme);
        return NULL;
    }
    return dr_reshape(c->time, DR_SHAPE(dr_tensor_view(c->time)->shape[0], 1));
}

dr_tensor *fc_sites_at(const char *scheme, dr_tensor *const *e, int site, const dr_ints *channels, dr_tensor *h)
{
    if (site >= channels->n) {
        dr_fail(DR_EINVAL, "conditioning %s: there is no site %d: channels lists %lld", scheme, site + 1,
                (long long)channels->n);
        return NULL;
    }
    const dr_view *v = dr_tensor_view(h), *own = dr_tensor_view(e[site]);
    if (!v || !own) return e[site];
    const int64_t B = v->shape[0], C = own->shape[1];
    dr_tensor *rows = own->shape[0] == 1 && B != 1 ? dr_expand(dr_reshape(e[site], DR_SHAPE(1, C)), DR_SHAPE(B, C)) : e[site];
    if (v->rank == 4) return dr_reshape(rows, DR_SHAPE(-1, C, 1, 1));
    if (v->rank == 3) return dr_reshape(rows, DR_SHAPE(-1, 1, C));
    dr_fail(DR_ESHAPE, "conditioning %s: site %d takes maps [B,C,H,W] or tokens [B,L,C], got rank %d", scheme, site + 1,
            v->rank);
    return NULL;
}
