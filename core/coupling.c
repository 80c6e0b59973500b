/* coupling.c: the noise of a batch, put in the order of the images that it goes with. A coupling component says the
 * order; that it is a permutation is checked here, so that no noise is used twice. */
#include "drift.h"

#include <stdlib.h>

static dr_status check_batch(const dr_instance *coupling, dr_tensor *x0, dr_tensor *eps, dr_tensor *label)
{
    const dr_view *x = dr_tensor_view(x0), *e = dr_tensor_view(eps), *l = dr_tensor_view(label);
    const char *name = coupling->component->name;
    char a[128], b[128];
    if (dr_failed()) return dr_failed();
    if (!x || !e) return dr_fail(DR_EINVAL, "coupling %s: no images or no noise", name);
    bool same = x->rank == e->rank && x->rank >= 1;
    for (int i = 0; same && i < x->rank; i++) same = x->shape[i] == e->shape[i];
    if (!same) {
        return dr_fail(DR_ESHAPE, "coupling %s: images %s and noise %s should have one shape", name,
                       dr_view_text(x, a, sizeof a), dr_view_text(e, b, sizeof b));
    }
    if (l && (l->rank != 1 || l->dtype != DR_I32 || l->shape[0] != x->shape[0])) {
        return dr_fail(DR_ESHAPE, "coupling %s: labels should be i32[%lld], got %s", name, (long long)x->shape[0],
                       dr_view_text(l, a, sizeof a));
    }
    return DR_OK;
}

/* The order as ids, and whether it changes anything. */
static dr_status check_order(const dr_instance *coupling, const int64_t *order, int64_t B, int32_t *ids, bool *changes)
{
    *changes = false;
    for (int64_t i = 0; i < B; i++) ids[i] = -1;
    for (int64_t i = 0; i < B; i++) { /* ids as marks first: each row once */
        if (order[i] < 0 || order[i] >= B || ids[order[i]] >= 0) {
            return dr_fail(DR_EINVAL, "coupling %s: row %lld goes with image %lld: that is no permutation of %lld rows",
                           coupling->component->name, (long long)order[i], (long long)i, (long long)B);
        }
        ids[order[i]] = 0;
    }
    for (int64_t i = 0; i < B; i++) {
        ids[i] = (int32_t)order[i];
        *changes |= order[i] != i;
    }
    return DR_OK;
}

static dr_tensor *gather(dr_tensor *eps, const int32_t *ids)
{
    const dr_view *v = dr_tensor_view(eps);
    const int64_t B = v->shape[0];
    dr_tensor *flat = dr_reshape(eps, DR_SHAPE(B, -1)); /* [B,D] */
    dr_tensor *rows = dr_embed(flat, dr_tensor_from(DR_I32, 1, &B, ids));
    return dr_reshape(rows, v->rank, v->shape); /* [B,C,H,W] */
}

static dr_status ask(const dr_instance *coupling, dr_tensor *x0, dr_tensor *eps, dr_tensor *label, int64_t *order)
{
    const dr_component_call call = dr_component_enter(coupling->component, "pair");
    return dr_component_leave(&call, ((const dr_coupling *)coupling->iface)->pair(coupling->self, x0, eps, label, order));
}

dr_tensor *dr_pair(dr_instance *coupling, dr_tensor *x0, dr_tensor *eps, dr_tensor *label)
{
    if (check_batch(coupling, x0, eps, label) != DR_OK) return NULL;
    const int64_t B = dr_tensor_view(x0)->shape[0];
    if (B < 2) return eps;
    int64_t *order = calloc((size_t)B, sizeof *order);
    int32_t *ids = calloc((size_t)B, sizeof *ids);
    bool changes = false;
    dr_tensor *paired = NULL;
    if (!order || !ids) {
        dr_fail(DR_ENOMEM, "coupling %s: no memory for a batch of %lld", coupling->component->name, (long long)B);
    } else if (ask(coupling, x0, eps, label, order) == DR_OK && check_order(coupling, order, B, ids, &changes) == DR_OK) {
        paired = changes ? gather(eps, ids) : eps;
    }
    free(order);
    free(ids);
    return paired;
}
