/* hybrid.c: a picture whose parts belong to different conditions: near and far, color and gray, rest and motion.
 *                     Geng et al. 2024, "Factorized diffusion: perceptual illusions by noise decomposition"
 *   y = F_1 y_1 + ... + F_n y_n + (1 - F_1 - ... - F_n) y_n+1,  y_i = the prediction for x under condition i
 *   drift.sample { ..., conditions = { far, near }, guidance = { drift.guidance.cfg {},
 *                  drift.guidance.hybrid { filters = { drift.filter.gaussian_blur {} } } } }
 * n filters take n + 1 conditions: the last one's is what the filters leave out, so that all parts sum to one. Filters
 * are linear, so noise, data, v or velocity may be predicted: F(p x0 + q eps) = p F x0 + q F eps. Variance outputs are
 * averaged: they are no images. Condition i is the i-th equal part of the conditions, which
 * guidance inside may share out again. */
#include <drift/plugin.h>

typedef struct {
    dr_instances filters;
} hybrid;

static const dr_param params[] = {
    DR_COMPONENT_LIST(hybrid, filters, "filter",
                      "what is taken of the prediction under condition 1, 2, ...; what they leave out is of "
                      "the last condition; required"),
    DR_END,
};

static dr_status check(const hybrid *g, const dr_cond *cond)
{
    const int n = (int)g->filters.n, given = dr_cond_size(cond);
    if (n == 0)
        return dr_fail(DR_EINVAL, "guidance hybrid: filters is required: what is taken of each condition's prediction");
    if (given % (n + 1) == 0 && given > 0) return DR_OK;
    return dr_fail(
        DR_EINVAL,
        "guidance hybrid: %d filter%s take%s %d conditions, the last for what is left out (conditions = { c1, c2, "
        "... }), but there %s %d",
        n, n == 1 ? "" : "s", n == 1 ? "s" : "", n + 1, given == 1 ? "is" : "are", given);
}

static dr_tensor *filtered(const dr_instance *filter, dr_tensor *y)
{
    dr_tensor *part = dr_filter_apply(filter, y);
    const dr_view *a = dr_tensor_view(part), *b = dr_tensor_view(y);
    if (!a || !b) {
        if (!dr_failed()) dr_fail(DR_EINTERNAL, "filter %s returned nothing", filter->component->name);
        return NULL;
    }
    _Bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++) same = a->shape[i] == b->shape[i];
    if (!same)
        dr_fail(DR_ESHAPE, "guidance hybrid: the filter %s returned another shape than it was given",
                filter->component->name);
    return same ? part : NULL;
}

/* y_n+1 + sum F_i (y_i - y_n+1): the same, with one filtering for each filter, and y to the bit where all are y. */
static dr_tensor *eval(void *self, dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    const hybrid *g = self;
    const int n = (int)g->filters.n;
    dr_tensor *estimate[DR_LIST_MAX + 1] = { NULL }, *variance = NULL;
    int variances = 0;
    if (check(g, cond) != DR_OK) return NULL;
    for (int i = 0; i <= n; i++) {
        const dr_cond *part = dr_cond_part(f, cond, i, n + 1);
        estimate[i] = part ? dr_predict(f, x, t, part) : NULL;
        if (!estimate[i]) return NULL;
        dr_tensor *v = dr_variance(f);
        if (v) variance = variance ? dr_add(variance, v) : v, variances++;
    }
    dr_tensor *rest = estimate[n], *y = rest;
    for (int i = 0; i < n && y; i++) {
        dr_tensor *part = filtered(g->filters.v[i], dr_sub(estimate[i], rest));
        y = part ? dr_add(y, part) : NULL;
    }
    dr_set_variance(f, variances == n + 1 ? dr_scale(1.0 / (n + 1), variance) : NULL);
    return y;
}

DR_GUIDANCE(hybrid, "Parts of one picture, by linear filters, under as many conditions", params, .eval = eval)
