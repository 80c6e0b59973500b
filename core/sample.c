/* sample.c: the sampling loop, the same for all samplers: from noise to data along t[0..n], one scope per step.
 * A sampler adds its step and, where it has one, its grid; the loop, progress, interruption and what is carried from
 * step to step are the host's. */
#include "noising.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the grid ------------------------------------------------------------------------------------------------- */

/* The sampler's parameter `steps`; -1: it has none. */
static int64_t own_steps(const dr_instance *sampler)
{
    const dr_param *row;
    for (int i = 0; (row = dr_param_at(sampler->component, i)); i++) {
        double value = 0.0;
        if (strcmp(row->name, "steps") != 0 || row->type != DR_PARAM_INT) continue;
        return dr_param_read(sampler->component, sampler->self, "steps", &value) == DR_OK ? (int64_t)value : -1;
    }
    return -1;
}

/* Evenly spaced from t_noise to t_data; on the whole numbers of a discrete chain that has at least n steps. */
static void even_grid(double t_noise, double t_data, int64_t chain, int64_t n, double *t)
{
    for (int64_t i = 0; i <= n; i++) {
        t[i] = t_noise + (t_data - t_noise) * (double)i / (double)n;
        if (chain >= n) t[i] = round(t[i]);
    }
    t[n] = t_data;
}

dr_status dr_sample_grid(dr_model *f, dr_instance *sampler, double **t, int64_t *n)
{
    const dr_sampler *api = sampler->iface;
    double t_noise, t_data;
    int64_t chain;
    *t = NULL, *n = 0;
    if (dr_failed()) return dr_failed();
    dr_model_range(f, &t_noise, &t_data, &chain);
    int64_t steps = own_steps(sampler);
    if (dr_failed()) return dr_failed();
    if (steps <= 0) steps = chain;
    if (steps <= 0) {
        return dr_fail(DR_EINVAL, "sampler %s: steps = 0 means all steps of the process, whose time is continuous",
                       sampler->component->name);
    }
    double *grid = malloc((size_t)(steps + 1) * sizeof *grid);
    if (!grid) return dr_fail(DR_ENOMEM, "no memory for %lld sampling steps", (long long)steps);
    if (!api->grid) {
        even_grid(t_noise, t_data, chain, steps, grid);
    } else if (api->grid(sampler->self, f, steps, grid) != DR_OK || dr_failed()) {
        free(grid);
        return dr_failed() ? dr_failed() : dr_fail(DR_EINTERNAL, "sampler %s: no grid", sampler->component->name);
    }
    *t = grid, *n = steps;
    return DR_OK;
}

/* ---- the loop ------------------------------------------------------------------------------------------------- */

typedef struct run {
    dr_model *f;
    dr_instance *sampler;
    const double *t;
    int64_t n;
    dr_sample_step_fn each;
    void *ctx;
} run;

static dr_status tell(const run *r, int64_t done, dr_tensor *x)
{
    if (!r->each) return DR_OK;
    const dr_status status = r->each(r->ctx, done, r->n, r->t[done], x);
    if (status != DR_OK) dr_fail(status, "sampling stopped after step %lld of %lld", (long long)done, (long long)r->n);
    return dr_failed();
}

/* Step i on x, in a scope of its own. The result is the caller's to release; NULL on failure. */
static dr_tensor *one_step(const run *r, int64_t i, dr_tensor *x, dr_rng rng)
{
    const dr_sampler *api = r->sampler->iface;
    rng.step += (uint32_t)i;
    dr_scope_open();
    dr_tensor *next = dr_retain(api->step(r->sampler->self, r->f, x, r->t[i], r->t[i + 1], &rng));
    if (!next && !dr_failed()) {
        dr_fail(DR_EINTERNAL, "sampler %s: step %lld returned nothing and did not say why", r->sampler->component->name,
                (long long)i + 1);
    }
    if (next && !dr_failed()) tell(r, i + 1, next);
    dr_scope_close();
    if (!dr_failed()) return next;
    dr_release(next);
    return NULL;
}

static dr_tensor *walk(const run *r, dr_tensor *x, dr_rng rng)
{
    dr_tensor *at = dr_retain(x);
    for (int64_t i = 0; i < r->n && at; i++) {
        dr_tensor *next = one_step(r, i, at, rng);
        dr_release(at);
        at = next;
    }
    dr_tensor *result = dr_detach(at); /* the same memory, in the caller's scope */
    dr_release(at);
    return result;
}

dr_tensor *dr_sample(dr_model *f, dr_instance *sampler, dr_tensor *x, dr_rng rng, const double *t, int64_t n,
                     dr_sample_step_fn each, void *ctx)
{
    double *grid = NULL;
    if (dr_failed() || !x) return NULL;
    if (!t && dr_sample_grid(f, sampler, &grid, &n) != DR_OK) return NULL;
    const run r = { .f = f, .sampler = sampler, .t = t ? t : grid, .n = n, .each = each, .ctx = ctx };
    const bool recording = dr_grad_mode(false);
    dr_model_forget(f);
    dr_tensor *result = walk(&r, x, rng);
    dr_model_forget(f);
    dr_grad_mode(recording);
    free(grid);
    return result;
}
