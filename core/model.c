/* model.c: a process, guidance and a network as one thing that samplers evaluate.
 *   network -> guidance[0] -> ... -> guidance[n-1] -> velocity, data or noise by the process's coefficients
 * Each guidance sees the level below it through dr_predict; what it gets and returns is p x0 + q eps (noising.c). Where
 * the model has a clip, it is applied to the estimate of the data, and noise and velocity follow from that. Conditions are
 * in condition.c, the network's evaluation in network_call.c. */
#include "model.h"
#include "tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

dr_model *dr_model_new(dr_instance *process, dr_net_fn net, void *ctx)
{
    dr_model *f = dr_failed() ? NULL : calloc(1, sizeof *f);
    if (!f) {
        dr_fail(DR_ENOMEM, "no memory for a model");
        return NULL;
    }
    f->process = process;
    f->net[f->networks++] = (network){ .fn = net, .ctx = ctx };
    if (dr_model_condition(f, NULL, NULL, NULL) == DR_OK) return f; /* the empty one */
    dr_model_free(f);
    return NULL;
}

void dr_model_free(dr_model *f)
{
    if (!f) return;
    dr_model_forget(f);
    dr_model_drop_conditions(f);
    dr_release(f->variance);
    for (int i = 0; i < f->networks; i++) {
        free(f->net[i].name);
        dr_plan_free(f->net[i].plan);
    }
    free(f);
}

void dr_model_shares_images(dr_model *f) { f->shares_images = true; }

void dr_model_without_mask(dr_model *f) { f->without_mask = true; }
void dr_model_clip(dr_model *f, dr_instance *clip) { f->clip = clip; }

void dr_model_network(dr_model *f, const char *name, dr_net_fn net, void *ctx)
{
    char *copy = f->networks < MAX_NETWORKS ? strdup(name) : NULL;
    if (f->networks == MAX_NETWORKS) {
        dr_fail(DR_EINVAL, "more than %d networks in one model", MAX_NETWORKS);
    } else if (!copy) {
        dr_fail(DR_ENOMEM, "no memory for a model's network");
    } else {
        f->net[f->networks++] = (network){ .name = copy, .fn = net, .ctx = ctx };
    }
}

void dr_model_guide(dr_model *f, dr_instance *guidance)
{
    if (f->guidances == MAX_GUIDANCE) {
        dr_fail(DR_EINVAL, "more than %d guidances on one model", MAX_GUIDANCE);
        return;
    }
    f->guidance[f->guidances++] = guidance;
    f->level = f->guidances;
}

int64_t dr_model_calls(const dr_model *f) { return f->calls; }

dr_status dr_model_check_idle(const dr_model *f, const char *what)
{
    if (f->evaluating == 0) return DR_OK;
    return dr_fail(DR_EINVAL, "%s within an estimate of the same model: its network or guidance cannot ask for that", what);
}

/* ---- predictions ---------------------------------------------------------------------------------------------- */

dr_tensor *dr_variance(dr_model *f)
{
    if (f->variance && f->variance->scope == 0) dr_scope_hold(dr_retain(f->variance));
    return f->variance;
}

void dr_set_variance(dr_model *f, dr_tensor *v)
{
    dr_retain(v);
    dr_release(f->variance);
    f->variance = v;
}

static const dr_cond *given_or_own(const dr_model *f, const dr_cond *cond) { return cond ? cond : &f->own.given; }

int64_t dr_step(const dr_model *f) { return f->step; }
void dr_model_set_step(dr_model *f, int64_t step) { f->step = step; }

dr_tensor *dr_predict(dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    if (dr_failed() || !x) return NULL;
    const dr_cond *c = given_or_own(f, cond);
    if (f->level > 0) {
        const dr_instance *g = f->guidance[--f->level];
        dr_set_variance(f, NULL); /* of guidance that asks for no estimate */
        f->evaluating++;
        const dr_component_call call = dr_component_enter(g->component, "eval");
        dr_tensor *y = dr_component_result(&call, ((const dr_guidance *)g->iface)->eval(g->self, f, x, t, c), x);
        f->evaluating--;
        f->level++;
        return y;
    }
    dr_tensor *variance, *y = dr_network_one(f, &f->net[0], x, t, c, &variance);
    dr_set_variance(f, variance);
    return y;
}

dr_tensor *dr_predict_by(dr_model *f, const char *name, dr_tensor *x, double t, const dr_cond *cond)
{
    if (dr_failed() || !x) return NULL;
    for (int i = 1; i < f->networks; i++) {
        dr_tensor *variance; /* another network's: not what belongs to the model's own prediction */
        if (strcmp(f->net[i].name, name) != 0) continue;
        return dr_network_one(f, &f->net[i], x, t, given_or_own(f, cond), &variance);
    }
    dr_fail(DR_ENOTFOUND, "the model has no network \"%s\"; give it one: networks = { %s = net }", name, name);
    return NULL;
}

dr_tensor *dr_predict_pair(dr_model *f, dr_tensor *x, double t, const dr_cond *cond, dr_tensor **uncond)
{
    *uncond = NULL;
    if (dr_failed() || !x) return NULL;
    const dr_cond *c = given_or_own(f, cond);
    if (!dr_cond_is_given(c)) return *uncond = dr_predict(f, x, t, c);
    dr_tensor *variance, *y;
    if (f->level > 0) { /* guidance in between decides for itself what each half costs */
        y = dr_predict(f, x, t, c);
        variance = dr_variance(f);
        *uncond = dr_predict(f, x, t, c->null);
    } else {
        y = dr_network_both(f, x, t, c, uncond, &variance);
    }
    dr_set_variance(f, variance);
    return y;
}

/* ---- what samplers ask for ------------------------------------------------------------------------------------ */

void dr_model_coef(dr_model *f, double t, dr_coef *c) { dr_process_coef(f->process, t, c); }

void dr_model_range(dr_model *f, double *t_noise, double *t_data, int64_t *steps)
{
    dr_process_range(f->process, t_noise, t_data, steps);
}

const dr_instance *dr_model_process(dr_model *f) { return f->process; }

static dr_tensor *clipped(const dr_model *f, dr_tensor *x0)
{
    if (!x0) return NULL;
    const dr_component_call call = dr_component_enter(f->clip->component, "apply");
    return dr_component_result(&call, ((const dr_clip *)f->clip->iface)->apply(f->clip->self, x0), x0);
}

/* Knowing x0 is a prediction with p = 1, q = 0. What is wanted of a clipped x0 follows from it; x0 itself is never
 * taken back out of eps, which would lose its digits where there is little signal. */
static dr_tensor *estimate(dr_model *f, dr_tensor *x, double t, double wx0, double weps)
{
    dr_coef c;
    dr_model_coef(f, t, &c);
    dr_tensor *y = dr_predict(f, x, t, NULL);
    if (!f->clip) return dr_prediction_to(&c, x, y, wx0, weps);
    dr_tensor *x0 = clipped(f, dr_prediction_to(&c, x, y, 1.0, 0.0));
    c.p = 1.0, c.q = 0.0;
    return dr_prediction_to(&c, x, x0, wx0, weps);
}

dr_tensor *dr_eval(dr_model *f, dr_tensor *x, double t)
{
    dr_coef c;
    dr_model_coef(f, t, &c);
    return estimate(f, x, t, c.dalpha, c.dsigma);
}

dr_tensor *dr_eval_x0(dr_model *f, dr_tensor *x, double t) { return estimate(f, x, t, 1.0, 0.0); }
dr_tensor *dr_eval_eps(dr_model *f, dr_tensor *x, double t) { return estimate(f, x, t, 0.0, 1.0); }

dr_tensor *dr_x0_to_eps(dr_model *f, dr_tensor *x, dr_tensor *x0, double t)
{
    dr_coef c;
    dr_model_coef(f, t, &c);
    c.p = 1.0, c.q = 0.0;
    return dr_prediction_to(&c, x, x0, 0.0, 1.0);
}

_Bool dr_singular(dr_model *f, double t)
{
    dr_coef c;
    dr_model_coef(f, t, &c);
    if (!isfinite(c.time)) return true;
    if (f->clip) {
        if (!dr_prediction_determines(&c, 1.0, 0.0)) return true;
        c.p = 1.0, c.q = 0.0;
    }
    return !dr_prediction_determines(&c, c.dalpha, c.dsigma);
}

/* ---- memory across steps -------------------------------------------------------------------------------------- */

static memory *find(dr_model *f, const char *name)
{
    for (int64_t i = 0; i < f->kept_count; i++) {
        if (strcmp(f->kept[i].name, name) == 0) return &f->kept[i];
    }
    return NULL;
}

dr_tensor *dr_recall(dr_model *f, const char *name)
{
    const memory *m = find(f, name);
    return m ? m->tensor : NULL;
}

static memory *add(dr_model *f, const char *name)
{
    memory *kept = realloc(f->kept, (size_t)(f->kept_count + 1) * sizeof *kept);
    if (!kept) return NULL;
    f->kept = kept;
    kept[f->kept_count] = (memory){ .name = strdup(name) };
    return kept[f->kept_count].name ? &kept[f->kept_count++] : NULL;
}

void dr_remember(dr_model *f, const char *name, dr_tensor *t)
{
    memory *m = find(f, name);
    if (dr_failed()) return;
    if (!m) m = add(f, name);
    if (!m) {
        dr_fail(DR_ENOMEM, "no memory to remember \"%s\"", name);
        return;
    }
    dr_retain(t);
    dr_release(m->tensor);
    m->tensor = t;
}

void dr_model_forget(dr_model *f)
{
    for (int64_t i = 0; i < f->kept_count; i++) {
        free(f->kept[i].name);
        dr_release(f->kept[i].tensor);
    }
    free(f->kept);
    f->kept = NULL;
    f->kept_count = 0;
}
