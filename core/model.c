/* model.c: a process, guidance and a network as one thing that samplers evaluate.
 *   network -> guidance[0] -> ... -> guidance[n-1] -> velocity, data or noise by the process's coefficients
 * The network's evaluation is a plan, but where gradients are recorded: it is replayed from the fourth time on, and
 * what follows from its weights, the label and the mask alone is computed once.
 * Each guidance sees the level below it through dr_predict; what it gets and returns is p x0 + q eps (noising.c). */
#include "noising.h"
#include "tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_GUIDANCE = 16, MAX_NETWORKS = 16 };

typedef struct network {
    char *name; /* NULL: the one that is sampled from */
    dr_net_fn fn;
    void *ctx;
    dr_plan *plan; /* of its evaluation; NULL: not yet */
} network;

struct dr_cond {
    dr_tensor *label, *tokens, *tokens_mask; /* [B] i32, [B,L,D], [B,L]; owned by the model, NULL where absent */
    bool dropped;                            /* the null condition: the mask is 0 */
};

typedef struct memory { /* what a sampler keeps from one step to the next */
    char *name;
    dr_tensor *tensor;
} memory;

struct dr_model {
    dr_instance *process;
    network net[MAX_NETWORKS];
    int networks;
    bool shares_images; /* net[0] does, see drift.h */
    dr_instance *guidance[MAX_GUIDANCE];
    int guidances, level; /* level: how many of them the next dr_predict runs through */
    dr_cond cond, null_cond;
    dr_cond whole; /* the condition of all rows, while `narrowed` to some */
    bool narrowed;
    int64_t calls;
    memory *kept;
    int64_t kept_count;
};

dr_model *dr_model_new(dr_instance *process, dr_net_fn net, void *ctx)
{
    dr_model *f = dr_failed() ? NULL : calloc(1, sizeof *f);
    if (!f) {
        dr_fail(DR_ENOMEM, "no memory for a model");
        return NULL;
    }
    f->process = process;
    f->net[f->networks++] = (network){ .fn = net, .ctx = ctx };
    f->null_cond.dropped = true;
    return f;
}

static void release_cond(const dr_cond *c)
{
    dr_release(c->label);
    dr_release(c->tokens);
    dr_release(c->tokens_mask);
}

static void set_cond(dr_model *f, dr_cond c)
{
    f->cond = c;
    f->null_cond = c; /* borrows what cond owns */
    f->null_cond.dropped = true;
}

void dr_model_free(dr_model *f)
{
    if (!f) return;
    dr_model_forget(f);
    dr_model_all_rows(f);
    release_cond(&f->cond);
    for (int i = 0; i < f->networks; i++) {
        free(f->net[i].name);
        dr_plan_free(f->net[i].plan);
    }
    free(f);
}

void dr_model_shares_images(dr_model *f) { f->shares_images = true; }

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

dr_status dr_model_condition(dr_model *f, dr_tensor *label, dr_tensor *tokens, dr_tensor *tokens_mask)
{
    const dr_view *v = dr_tensor_view(label);
    if (dr_failed()) return dr_failed();
    if (v && (v->rank != 1 || v->dtype != DR_I32)) {
        char text[128];
        return dr_fail(DR_ESHAPE, "labels should be i32[B], got %s", dr_view_text(v, text, sizeof text));
    }
    dr_model_all_rows(f);
    const dr_cond old = f->cond;
    set_cond(f, (dr_cond){ .label = dr_retain(label), .tokens = dr_retain(tokens),
                           .tokens_mask = dr_retain(tokens_mask) });
    release_cond(&old);
    return DR_OK;
}

int64_t dr_model_calls(const dr_model *f) { return f->calls; }
const dr_cond *dr_cond_null(dr_model *f) { return &f->null_cond; }

/* ---- the network ---------------------------------------------------------------------------------------------- */

static dr_status check_rows(const char *what, dr_tensor *t, int64_t B)
{
    const dr_view *v = dr_tensor_view(t);
    if (!v || (v->rank > 0 && v->shape[0] == B)) return DR_OK;
    return dr_fail(DR_ESHAPE, "%s: %lld rows for %lld images", what, v->rank > 0 ? (long long)v->shape[0] : 1LL,
                   (long long)B);
}

/* ---- some rows alone ------------------------------------------------------------------------------------------ */

void dr_model_all_rows(dr_model *f)
{
    if (!f->narrowed) return;
    const dr_cond some = f->cond;
    f->narrowed = false;
    set_cond(f, f->whole);
    release_cond(&some);
}

static dr_tensor *rows_of(dr_tensor *t, int64_t first, int64_t n)
{
    return t ? dr_retain(dr_slice(t, 0, first, n)) : NULL;
}

dr_status dr_model_rows(dr_model *f, int64_t first, int64_t n, int64_t of)
{
    dr_model_all_rows(f);
    const dr_cond *c = &f->cond;
    if (dr_failed() || check_rows("labels", c->label, of) || check_rows("tokens", c->tokens, of)) return dr_failed();
    f->whole = *c;
    f->narrowed = true;
    set_cond(f, (dr_cond){ .label = rows_of(c->label, first, n), .tokens = rows_of(c->tokens, first, n),
                           .tokens_mask = rows_of(c->tokens_mask, first, n) });
    return dr_failed();
}

/* ---- one call of it ------------------------------------------------------------------------------------------- */

enum { INPUT = 0, TIME, LABEL, MASK, TOKENS, TOKENS_MASK, NET_INPUTS };

static dr_status evaluate(void *ctx, dr_tensor *const *in, dr_tensor **out, int *n_out)
{
    const network *net = ctx;
    const dr_batch_cond cond = { .time = in[TIME], .label = in[LABEL], .mask = in[MASK], .tokens = in[TOKENS],
                                 .tokens_mask = in[TOKENS_MASK] };
    out[0] = dr_retain(net->fn(net->ctx, in[INPUT], &cond));
    if (!out[0] && !dr_failed()) dr_fail(DR_EINTERNAL, "the network returned nothing and did not say why");
    if (!out[0]) return dr_failed();
    *n_out = 1;
    return dr_failed();
}

static dr_tensor *run_plan(network *net, dr_tensor *const in[NET_INPUTS])
{
    dr_plan_call c = { .fn = evaluate, .ctx = net, .in = in, .n_in = NET_INPUTS,
                       .constant = 1u << LABEL | 1u << MASK | 1u << TOKENS | 1u << TOKENS_MASK };
    dr_tensor *y[DR_PLAN_OUTPUTS] = { NULL };
    int n = 0;
    const bool recording = dr_grad_mode(false);
    dr_grad_mode(recording);
    if (recording) { /* a gradient through the network is wanted */
        evaluate(net, in, y, &n);
    } else {
        if (!net->plan) net->plan = dr_plan_new("the network's evaluation", 1000);
        if (net->plan) dr_plan_run(net->plan, &c, y, &n);
    }
    if (!y[0]) return NULL;
    if (y[0]->scope > 0) {
        dr_release(y[0]); /* its scope has it */
    } else {
        dr_scope_hold(y[0]);
    }
    return dr_failed() ? NULL : y[0];
}

/* x [B,C,H,W] at t under the condition c, whose mask is [B] and whose tensors have B rows as well; or all of them n B,
 * if the network shares images. */
static dr_tensor *run_network(dr_model *f, network *net, dr_tensor *x, double t, const dr_cond *c,
                              dr_tensor *mask)
{
    const int64_t B = dr_tensor_view(mask ? mask : x)->shape[0];
    dr_coef coef;
    dr_model_coef(f, t, &coef);
    if (check_rows("labels", c->label, B) || check_rows("tokens", c->tokens, B)) return NULL;
    if (!isfinite(coef.time)) {
        dr_fail(DR_EINVAL, "process %s: the network cannot be asked at t = %g: its time would be %g",
                f->process->component->name, t, coef.time);
        return NULL;
    }
    dr_tensor *const in[NET_INPUTS] = { coef.c_in == 1.0 ? x : dr_scale(coef.c_in, x),
                                        dr_tensor_full(DR_F32, 1, &B, coef.time), c->label, mask, c->tokens,
                                        c->tokens_mask };
    if (dr_failed()) return NULL;
    f->calls++;
    return run_plan(net, in);
}

static bool is_conditioned(const dr_cond *c) { return c->label || c->tokens; }

static dr_tensor *run_one(dr_model *f, network *net, dr_tensor *x, double t, const dr_cond *c)
{
    const int64_t B = dr_tensor_view(x)->shape[0];
    dr_tensor *mask = is_conditioned(c) ? dr_tensor_full(DR_F32, 1, &B, c->dropped ? 0.0 : 1.0) : NULL;
    return run_network(f, net, x, t, c, mask);
}

static const dr_cond *given_or_own(const dr_model *f, const dr_cond *cond) { return cond ? cond : &f->cond; }

dr_tensor *dr_predict(dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    if (dr_failed() || !x) return NULL;
    const dr_cond *c = given_or_own(f, cond);
    if (f->level > 0) {
        const dr_instance *g = f->guidance[--f->level];
        dr_tensor *y = ((const dr_guidance *)g->iface)->eval(g->self, f, x, t, c);
        f->level++;
        return y;
    }
    return run_one(f, &f->net[0], x, t, c);
}

dr_tensor *dr_predict_by(dr_model *f, const char *name, dr_tensor *x, double t, const dr_cond *cond)
{
    if (dr_failed() || !x) return NULL;
    for (int i = 1; i < f->networks; i++) {
        if (strcmp(f->net[i].name, name) == 0) return run_one(f, &f->net[i], x, t, given_or_own(f, cond));
    }
    dr_fail(DR_ENOTFOUND, "the model has no network \"%s\"; give it one: networks = { %s = net }", name, name);
    return NULL;
}

static dr_tensor *twice(dr_tensor *t)
{
    return t ? dr_concat((dr_tensor *[]){ t, t }, 2, 0) : NULL;
}

/* The conditional half first, the null one after it: [2B,C,H,W]. x is not repeated for a network that shares it. */
static dr_tensor *run_both(dr_model *f, dr_tensor *x, double t, const dr_cond *c)
{
    const int64_t B = dr_tensor_view(x)->shape[0];
    dr_tensor *mask[2] = { dr_tensor_full(DR_F32, 1, &B, c->dropped ? 0.0 : 1.0), dr_tensor_full(DR_F32, 1, &B, 0.0) };
    if (check_rows("labels", c->label, B) || check_rows("tokens", c->tokens, B)) return NULL;
    const dr_cond both = { .label = twice(c->label), .tokens = twice(c->tokens), .tokens_mask = twice(c->tokens_mask) };
    dr_tensor *x2 = f->shares_images ? x : twice(x), *mask2 = dr_concat(mask, 2, 0);
    return x2 && mask2 && !dr_failed() ? run_network(f, &f->net[0], x2, t, &both, mask2) : NULL;
}

dr_tensor *dr_predict_pair(dr_model *f, dr_tensor *x, double t, const dr_cond *cond, dr_tensor **uncond)
{
    *uncond = NULL;
    if (dr_failed() || !x) return NULL;
    const dr_cond *c = given_or_own(f, cond);
    if (!is_conditioned(c)) return *uncond = dr_predict(f, x, t, c);
    if (f->level > 0) { /* guidance in between decides for itself what each half costs */
        dr_tensor *y = dr_predict(f, x, t, c);
        *uncond = dr_predict(f, x, t, &f->null_cond);
        return y;
    }
    dr_tensor *y = run_both(f, x, t, c);
    if (!y) return NULL;
    const int64_t B = dr_tensor_view(x)->shape[0];
    if (check_rows("the network's output", y, 2 * B)) return NULL;
    *uncond = dr_slice(y, 0, B, B);
    return dr_slice(y, 0, 0, B);
}

/* ---- what samplers ask for ------------------------------------------------------------------------------------ */

void dr_model_coef(dr_model *f, double t, dr_coef *c) { dr_process_coef(f->process, t, c); }

void dr_model_range(dr_model *f, double *t_noise, double *t_data, int64_t *steps)
{
    dr_process_range(f->process, t_noise, t_data, steps);
}

const dr_instance *dr_model_process(dr_model *f) { return f->process; }

static dr_tensor *estimate(dr_model *f, dr_tensor *x, double t, double wx0, double weps)
{
    dr_coef c;
    dr_model_coef(f, t, &c);
    return dr_prediction_to(&c, x, dr_predict(f, x, t, &f->cond), wx0, weps);
}

dr_tensor *dr_eval(dr_model *f, dr_tensor *x, double t)
{
    dr_coef c;
    dr_model_coef(f, t, &c);
    return estimate(f, x, t, c.dalpha, c.dsigma);
}

dr_tensor *dr_eval_x0(dr_model *f, dr_tensor *x, double t) { return estimate(f, x, t, 1.0, 0.0); }
dr_tensor *dr_eval_eps(dr_model *f, dr_tensor *x, double t) { return estimate(f, x, t, 0.0, 1.0); }

/* Knowing x0 is a prediction with p = 1, q = 0. */
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
    return !isfinite(c.time) || !dr_prediction_determines(&c, c.dalpha, c.dsigma);
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
