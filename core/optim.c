/* optim.c: weights and an optimizer's state beside them: slot k of weight i is a tensor of the weight's shape (Adam's
 * exp_avg and exp_avg_sq), zero at first. The host owns and saves them; the plugin computes a step from them. */
#include "drift.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SLOTS = 4, MAX_AVERAGES = 4, MOST_INPUTS = 2048, NAME_MAX_LENGTH = 512 };

struct dr_optim {
    dr_instance *instance;
    int64_t n, steps;
    dr_tensor **param; /* [n], retained */
    char **path;       /* [n] */
    dr_tensor **slot[MAX_SLOTS];
    int averages;           /* of the weights, moved with each step */
    dr_tensor **average[MAX_AVERAGES]; /* [n], retained */
    dr_tensor *with_decays; /* f64 [2 + averages] */
    dr_tensor *lr_and_step; /* its first two: what changes from step to step, for the device to read */
    double lr;              /* of the step that is next, once it is */
    bool advanced;          /* announced: lr_and_step is that of the next step */
    dr_tensor **active; /* [(2 + slots + MAX_AVERAGES) n]: room for the step's lists of weights that have a gradient */
};

static const dr_optimizer *api_of(const dr_optim *o) { return o->instance->iface; } /* another one after a reload */

static dr_tensor *zeros_like(dr_tensor *param)
{
    const dr_view *v = dr_tensor_view(param);
    const dr_dtype dtype = v->dtype == DR_F64 ? DR_F64 : DR_F32;
    dr_device *before = dr_device_current();
    dr_device_use(dr_tensor_device(param));
    dr_tensor *t = dr_keep(dr_tensor_full(dtype, v->rank, v->shape, 0.0));
    dr_device_use(before);
    return t;
}

static dr_status make_numbers(dr_optim *o)
{
    const double zero[2 + MAX_AVERAGES] = { 0.0 };
    dr_device *before = dr_device_current();
    dr_release(o->with_decays);
    dr_release(o->lr_and_step);
    if (o->n > 0) dr_device_use(dr_tensor_device(o->param[0]));
    o->with_decays = dr_keep(dr_tensor_from(DR_F64, DR_SHAPE(2 + o->averages), zero));
    o->lr_and_step = dr_keep(dr_slice(o->with_decays, 0, 0, 2));
    o->advanced = false;
    dr_device_use(before);
    return dr_failed();
}

static dr_status fill(dr_optim *o, dr_tensor *const *param, const char *const *path)
{
    for (int64_t i = 0; i < o->n; i++) {
        if (!param[i]) return dr_fail(DR_EINVAL, "an optimizer's weight %lld is missing", (long long)i);
        o->param[i] = dr_retain(param[i]);
        o->path[i] = strdup(path[i]);
        if (!o->path[i]) return dr_fail(DR_ENOMEM, "no memory for an optimizer of %lld weights", (long long)o->n);
        for (int k = 0; k < api_of(o)->slots; k++) {
            o->slot[k][i] = zeros_like(param[i]);
            if (!o->slot[k][i]) return dr_failed();
        }
    }
    return make_numbers(o);
}

dr_optim *dr_optim_new(dr_instance *optimizer, dr_tensor *const *param, const char *const *path, int64_t n)
{
    if (dr_failed()) return NULL;
    dr_optim *o = calloc(1, sizeof *o);
    const dr_optimizer *api = optimizer->iface;
    if (o && api->slots >= 0 && api->slots <= MAX_SLOTS && n >= 0) {
        bool ok = true;
        *o = (dr_optim){ .instance = optimizer, .n = n };
        ok &= (o->param = calloc((size_t)n + 1, sizeof *o->param)) != NULL;
        ok &= (o->path = calloc((size_t)n + 1, sizeof *o->path)) != NULL;
        ok &= (o->active = calloc((size_t)(n * (2 + api->slots + MAX_AVERAGES)) + 1, sizeof *o->active)) != NULL;
        for (int k = 0; k < api->slots; k++) ok &= (o->slot[k] = calloc((size_t)n + 1, sizeof *o->slot[k])) != NULL;
        if (ok && fill(o, param, path) == DR_OK) return o;
    }
    dr_optim_free(o);
    dr_fail(DR_ENOMEM, "no memory for an optimizer of %lld weights", (long long)n);
    return NULL;
}

static void forget_averages(dr_optim *o)
{
    for (int k = 0; k < MAX_AVERAGES; k++) {
        for (int64_t i = 0; o->average[k] && i < o->n; i++) dr_release(o->average[k][i]);
        free(o->average[k]);
        o->average[k] = NULL;
    }
    o->averages = 0;
}

dr_tensor *dr_optim_averages(dr_optim *o, dr_tensor *const *average, int count)
{
    if (dr_failed()) return NULL;
    if (count < 0 || count > MAX_AVERAGES) {
        dr_fail(DR_EINVAL, "an optimizer moves at most %d averages, not %d", MAX_AVERAGES, count);
        return NULL;
    }
    dr_plan_outdate();
    forget_averages(o);
    for (int k = 0; k < count; k++) {
        o->average[k] = calloc((size_t)o->n + 1, sizeof *o->average[k]);
        if (!o->average[k]) {
            dr_fail(DR_ENOMEM, "no memory for the averages of an optimizer");
            return NULL;
        }
        for (int64_t i = 0; i < o->n; i++) o->average[k][i] = dr_retain(average[k * o->n + i]);
    }
    o->averages = count;
    return make_numbers(o) == DR_OK ? o->with_decays : NULL;
}

void dr_optim_free(dr_optim *o)
{
    if (!o) return;
    for (int64_t i = 0; i < o->n; i++) {
        if (o->param) dr_release(o->param[i]);
        if (o->path) free(o->path[i]);
        for (int k = 0; k < MAX_SLOTS; k++) {
            if (o->slot[k]) dr_release(o->slot[k][i]);
        }
    }
    for (int k = 0; k < MAX_SLOTS; k++) free(o->slot[k]);
    forget_averages(o);
    dr_release(o->with_decays);
    dr_release(o->lr_and_step);
    dr_plan_outdate(); /* one may have recorded a step */
    free(o->param);
    free(o->path);
    free(o->active);
    free(o);
}

int64_t dr_optim_weights(const dr_optim *o) { return o->n; }
int64_t dr_optim_steps(const dr_optim *o) { return o->steps; }

/* ---- a step --------------------------------------------------------------------------------------------------- */

/* Lists the weights that have a gradient, with their states, in o->active: param, grad, slot 0, slot 1, ... */
static dr_optim_state gather(dr_optim *o)
{
    dr_optim_state s = { .param = o->active, .grad = o->active + o->n, .step = o->steps + 1, .lr = o->lr,
                         .lr_and_step = o->lr_and_step, .with_decays = o->with_decays };
    const int slots = api_of(o)->slots;
    const bool fits = o->n * (2 + slots + o->averages) < MOST_INPUTS; /* else they are moved apart */
    if (fits) s.averages = o->averages;
    for (int k = 0; k < slots; k++) s.slot[k] = o->active + (2 + k) * o->n;
    for (int k = 0; k < s.averages; k++) s.average[k] = o->active + (2 + slots + k) * o->n;
    for (int64_t i = 0; i < o->n; i++) {
        dr_tensor *grad = dr_grad(o->param[i]);
        if (!grad) continue;
        s.param[s.n] = o->param[i];
        s.grad[s.n] = grad;
        for (int k = 0; k < slots; k++) s.slot[k][s.n] = o->slot[k][i];
        for (int k = 0; k < s.averages; k++) s.average[k][s.n] = o->average[k][i];
        s.n++;
    }
    return s;
}

dr_status dr_optim_advance(dr_optim *o, double lr_factor)
{
    if (dr_failed()) return dr_failed();
    if (dr_param_read(o->instance->component, o->instance->self, "lr", &o->lr) != DR_OK) return dr_failed();
    o->lr *= lr_factor;
    const double next[2] = { o->lr, (double)(o->steps + 1) };
    if (dr_tensor_write(o->lr_and_step, DR_F64, next) != DR_OK) return dr_failed();
    o->advanced = true;
    return DR_OK;
}

/* The averages that the step has not moved: of weights that it left alone, or all. */
static dr_status move_averages(const dr_optim *o, bool all)
{
    enum { PAIRS = 500 };
    dr_tensor *in[1 + 2 * PAIRS];
    for (int k = 0; k < o->averages && !dr_failed(); k++) {
        int n = 0;
        in[n++] = dr_reshape(dr_slice(o->with_decays, 0, 2 + k, 1), 0, NULL);
        for (int64_t i = 0; i < o->n && !dr_failed(); i++) {
            if (!all && dr_grad(o->param[i])) continue;
            in[n++] = o->average[k][i];
            in[n++] = o->param[i];
            if (n == 1 + 2 * PAIRS) dr_apply("ema_step", in, n, NULL, NULL), n = 1;
        }
        if (n > 1) dr_apply("ema_step", in, n, NULL, NULL);
    }
    return dr_failed();
}

/* What the host has to do with each step, replayed or not. */
static dr_status count_step(void *optim, const void *nothing)
{
    dr_optim *o = optim;
    (void)nothing;
    o->steps++;
    o->advanced = false;
    return DR_OK;
}

dr_status dr_optim_step(dr_optim *o, double lr_factor)
{
    if (dr_failed()) return dr_failed();
    if (!o->advanced) {
        dr_plan_refuse("optimizer:step() in it needs optimizer:advance() before each call");
        if (dr_optim_advance(o, lr_factor) != DR_OK) return dr_failed();
    }
    dr_optim_state s = gather(o);
    if (s.n > 0 || o->averages > 0) {
        const bool recording = dr_grad_mode(false);
        dr_scope_open();
        const dr_component_call call = dr_component_enter(o->instance->component, "step");
        if (dr_component_leave(&call, s.n > 0 ? api_of(o)->step(o->instance->self, &s) : DR_OK) == DR_OK) move_averages(o, !s.averaged);
        dr_scope_close();
        dr_grad_mode(recording);
        if (dr_failed()) return dr_failed();
    }
    dr_plan_host(count_step, o, NULL, 0);
    count_step(o, NULL);
    for (int64_t i = 0; i < o->n; i++) dr_zero_grad(o->param[i]);
    return dr_diff_count_step();
}

/* ---- save and load -------------------------------------------------------------------------------------------- */

/* "optim." + "exp_avg" + "." + "d1.c.c1.conv.0.weight" */
static dr_status slot_name(const dr_optim *o, int k, int64_t i, const char *prefix, char name[NAME_MAX_LENGTH])
{
    const int used = snprintf(name, NAME_MAX_LENGTH, "%s%s.%s", prefix, api_of(o)->slot_name[k], o->path[i]);
    if (used > 0 && used < NAME_MAX_LENGTH) return DR_OK;
    return dr_fail(DR_EINVAL, "the name %.60s... is too long", name);
}

dr_status dr_optim_save(dr_optim *o, dr_save *s, const char *prefix)
{
    char name[NAME_MAX_LENGTH];
    for (int k = 0; k < api_of(o)->slots; k++) {
        for (int64_t i = 0; i < o->n; i++) {
            if (slot_name(o, k, i, prefix, name) || dr_save_tensor(s, name, o->slot[k][i])) return dr_failed();
        }
    }
    snprintf(name, sizeof name, "%sstep", prefix);
    return dr_save_data(s, name, DR_I64, 0, NULL, &o->steps);
}

static dr_status check_entry(const dr_file *f, const char *name, const dr_view *v)
{
    const dr_file_entry *e = dr_file_find(f, name);
    if (!e) return dr_fail(DR_ENOTFOUND, "the optimizer's state %s is missing", name);
    bool same = e->dtype >= 0 && e->rank == v->rank;
    for (int i = 0; same && i < v->rank; i++) same = e->shape[i] == v->shape[i];
    if (same) return DR_OK;
    char text[128];
    return dr_fail(DR_ESHAPE, "the optimizer's state %s should be %s, and has another shape", name,
                   dr_view_text(v, text, sizeof text));
}

static dr_status read_slot(dr_optim *o, int k, int64_t i, const dr_file *f, const char *name)
{
    dr_tensor *to = o->slot[k][i];
    dr_scope_open();
    dr_device *before = dr_device_current();
    dr_device_use(dr_tensor_device(to));
    dr_tensor *from = dr_file_tensor(f, name, dr_tensor_view(to)->dtype);
    const dr_status status = from ? dr_assign(to, from) : dr_failed();
    dr_device_use(before);
    dr_scope_close();
    return status;
}

/* All names and shapes are checked before anything is changed. */
dr_status dr_optim_load(dr_optim *o, const dr_file *f, const char *prefix)
{
    char name[NAME_MAX_LENGTH];
    int64_t steps = 0;
    snprintf(name, sizeof name, "%sstep", prefix);
    const dr_file_entry *e = dr_file_find(f, name);
    if (dr_failed()) return dr_failed();
    if (!e || e->dtype != DR_I64 || e->rank != 0) {
        return dr_fail(DR_EFORMAT, "the optimizer's %s is missing or not an i64", name);
    }
    memcpy(&steps, e->data, sizeof steps);
    if (steps < 0) return dr_fail(DR_EFORMAT, "the optimizer's %s is %lld", name, (long long)steps);
    for (int pass = 0; pass < 2; pass++) {
        for (int k = 0; k < api_of(o)->slots; k++) {
            for (int64_t i = 0; i < o->n; i++) {
                if (slot_name(o, k, i, prefix, name)) return dr_failed();
                const dr_status status = pass == 0 ? check_entry(f, name, dr_tensor_view(o->slot[k][i]))
                                                   : read_slot(o, k, i, f, name);
                if (status != DR_OK) return status;
            }
        }
    }
    o->steps = steps;
    o->advanced = false;
    return DR_OK;
}
