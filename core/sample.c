/* sample.c: the sampling loop, the same for all samplers: from noise to data along t[0..n], one scope per step.
 * A sampler adds its step and, where it has one, its grid; the loop, progress, interruption and what is carried from
 * step to step are the host's. */
#include "noising.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the grid ------------------------------------------------------------------------------------------------- */

static const dr_param *own_param(const dr_instance *sampler, const char *name, dr_param_type type)
{
    const dr_param *row;
    for (int i = 0; (row = dr_param_at(sampler->component, i)); i++) {
        if (strcmp(row->name, name) == 0 && row->type == (int32_t)type) return row;
    }
    return NULL;
}

/* The sampler's parameter `steps`; -1: it has none. */
static int64_t own_steps(const dr_instance *sampler)
{
    double value = -1.0;
    if (own_param(sampler, "steps", DR_PARAM_INT)) {
        dr_param_read(sampler->component, sampler->self, "steps", &value);
    }
    return (int64_t)value;
}

/* The component that the sampler's parameter `timesteps` holds; NULL: it has no such parameter. */
static const dr_instance *own_timesteps(const dr_instance *sampler)
{
    const dr_param *row = own_param(sampler, "timesteps", DR_PARAM_COMPONENT);
    if (!row || strncmp(row->choices, "timesteps", strcspn(row->choices, ":")) != 0) return NULL;
    return *(dr_instance *const *)(const void *)((const char *)sampler->self + row->offset);
}

/* Each time must lie nearer to the data than the one before, and the last one at it. */
static dr_status check_grid(const char *name, double t_noise, double t_data, int64_t n, const double *t)
{
    const double towards = t_data > t_noise ? 1.0 : -1.0;
    if (!((t[0] - t_noise) * towards >= 0.0) || t[n] != t_data) {
        return dr_fail(DR_EINTERNAL, "timesteps %s: from t = %g to %g, but the process runs from %g to %g", name, t[0],
                       t[n], t_noise, t_data);
    }
    for (int64_t i = 0; i < n; i++) {
        if (!((t[i + 1] - t[i]) * towards > 0.0)) {
            return dr_fail(DR_EINVAL, "timesteps %s: step %lld of %lld goes from t = %g to %g, not towards the data",
                           name, (long long)i + 1, (long long)n, t[i], t[i + 1]);
        }
    }
    return DR_OK;
}

static dr_status lay(const dr_instance *timesteps, dr_model *f, int64_t n, double *t)
{
    double t_noise, t_data;
    int64_t chain;
    dr_model_range(f, &t_noise, &t_data, &chain);
    const dr_component_call call = dr_component_enter(timesteps->component, "lay");
    if (dr_component_leave(&call, ((const dr_timesteps *)timesteps->iface)->lay(timesteps->self, f, n, t)) != DR_OK) return dr_failed();
    return check_grid(timesteps->component->name, t_noise, t_data, n, t);
}

static dr_status fill_grid(dr_model *f, const dr_instance *sampler, int64_t n, double *t)
{
    const dr_sampler *api = sampler->iface;
    if (api->grid) {
        const dr_component_call call = dr_component_enter(sampler->component, "grid");
        return dr_component_leave(&call, api->grid(sampler->self, f, n, t));
    }
    const dr_instance *own = own_timesteps(sampler);
    if (own) return lay(own, f, n, t);
    dr_instance *even = dr_instance_new("timesteps", "even", DR_NO_ARGS); /* a sampler that leaves it to the host */
    if (even) lay(even, f, n, t);
    dr_instance_free(even);
    return dr_failed();
}

dr_status dr_sample_grid(dr_model *f, dr_instance *sampler, double **t, int64_t *n)
{
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
    if (fill_grid(f, sampler, steps, grid) != DR_OK) {
        free(grid);
        return dr_failed();
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

static bool is_alike(const dr_view *a, const dr_view *b)
{
    return a->dtype == b->dtype && a->rank == b->rank && memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) == 0;
}

/* *x, which is owned, may come back as another one. */
static dr_status replace(dr_tensor **x, dr_tensor *by)
{
    const dr_view *was = dr_tensor_view(*x), *is = dr_tensor_view(by);
    char a[128], b[128];
    if (by == *x) return DR_OK;
    if (!is || !is_alike(was, is)) {
        return dr_fail(DR_ESHAPE, "what goes on in place of x %s is %s", dr_view_text(was, a, sizeof a),
                       is ? dr_view_text(is, b, sizeof b) : "nothing");
    }
    dr_retain(by);
    dr_release(*x);
    *x = by;
    return DR_OK;
}

static dr_status tell(const run *r, int64_t done, dr_tensor **x)
{
    if (!r->each) return DR_OK;
    dr_tensor *given = *x;
    const dr_status status = r->each(r->ctx, done, r->n, r->t[done], &given);
    if (status == DR_OK && !dr_failed()) return replace(x, given);
    if (status != DR_OK) dr_fail(status, "sampling stopped after step %lld of %lld", (long long)done, (long long)r->n);
    return dr_failed();
}

/* Row b of x alone: [1,C,H,W]. */
static dr_tensor *step_row(const run *r, int64_t i, dr_tensor *x, int64_t b, dr_rng rng)
{
    const dr_sampler *api = r->sampler->iface;
    dr_scope_open();
    rng.sample += (uint64_t)b;
    dr_model_rows(r->f, b, 1, dr_tensor_view(x)->shape[0]);
    dr_tensor *row = dr_slice(x, 0, b, 1);
    const dr_component_call call = dr_component_enter(r->sampler->component, "step");
    dr_tensor *next = dr_component_result(&call, row ? api->step(r->sampler->self, r->f, row, r->t[i], r->t[i + 1], &rng) : NULL, row);
    dr_escape(next);
    dr_model_all_rows(r->f);
    dr_scope_close();
    return next;
}

static dr_tensor *step_rows(const run *r, int64_t i, dr_tensor *x, dr_rng rng)
{
    const int64_t B = dr_tensor_view(x)->shape[0];
    dr_tensor **row = calloc((size_t)B + 1, sizeof *row), *next = NULL;
    if (!row) {
        dr_fail(DR_ENOMEM, "no memory for %lld rows", (long long)B);
        return NULL;
    }
    for (int64_t b = 0; b < B && (b == 0 || row[b - 1]); b++) row[b] = step_row(r, i, x, b, rng);
    if (B > 0 && row[B - 1]) next = dr_concat(row, (int)B, 0);
    free(row);
    return next;
}

static dr_tensor *step(const run *r, int64_t i, dr_tensor *x, dr_rng rng)
{
    const dr_sampler *api = r->sampler->iface;
    if (api->flags & DR_SAMPLER_ROW_BY_ROW) return step_rows(r, i, x, rng);
    const dr_component_call call = dr_component_enter(r->sampler->component, "step");
    return dr_component_result(&call, api->step(r->sampler->self, r->f, x, r->t[i], r->t[i + 1], &rng), NULL);
}

/* Step i on x, in a scope of its own. The result is the caller's to release; NULL on failure. */
static dr_tensor *one_step(const run *r, int64_t i, dr_tensor *x, dr_rng rng)
{
    rng.step += (uint32_t)i;
    dr_model_set_step(r->f, rng.step);
    dr_scope_open();
    dr_tensor *next = dr_retain(step(r, i, x, rng));
    dr_model_step_done(r->f);
    const dr_view *was = dr_tensor_view(x), *is = dr_tensor_view(next);
    if (next && !is_alike(was, is)) {
        char a[128], b[128];
        dr_fail(DR_ESHAPE, "sampler %s: step %lld made %s of x %s", r->sampler->component->name, (long long)i + 1,
                dr_view_text(is, b, sizeof b), dr_view_text(was, a, sizeof a));
    }
    if (next && !dr_failed()) tell(r, i + 1, &next);
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

/* Numbers that are none are no error: a model that diverges makes them, and its run shall go on. But nobody should look for
 * them long: one sum at the end of a run, whose images are read next anyway. */
static void note_not_finite(const run *r, dr_tensor *x)
{
    if (!x || dr_failed() || dr_plan_recording()) return;
    dr_scope_open();
    const double mean = dr_tensor_item(dr_mean(x, 0, NULL, false));
    dr_scope_close();
    if (isfinite(mean) || dr_failed()) return;
    dr_note("sampler %s: what it made in %lld steps is not finite (NaN or infinity); m:sample { each = function(step, steps, t, x) } shows "
            "from which step on", r->sampler->component->name, (long long)r->n);
}

dr_tensor *dr_sample(dr_model *f, dr_instance *sampler, dr_tensor *x, dr_rng rng, const double *t, int64_t n,
                     dr_sample_step_fn each, void *ctx)
{
    double *grid = NULL;
    if (dr_failed() || !x || dr_model_check_idle(f, "sampling begins") != DR_OK) return NULL;
    if (!t && dr_sample_grid(f, sampler, &grid, &n) != DR_OK) return NULL;
    const run r = { .f = f, .sampler = sampler, .t = t ? t : grid, .n = n, .each = each, .ctx = ctx };
    const bool recording = dr_grad_mode(false);
    dr_model_forget(f);
    dr_reload_bar("a sampling run");
    dr_tensor *result = walk(&r, x, rng);
    note_not_finite(&r, result);
    dr_reload_unbar();
    dr_model_set_step(f, 0);
    dr_model_forget(f);
    dr_grad_mode(recording);
    free(grid);
    return result;
}
