/* network_call.c: one evaluation of a model's network. It is a plan, but where gradients are recorded: it is replayed
 * from the fourth time on, and what follows from its weights and the condition alone is computed once. What comes back
 * for x [B,C,H,W] is the prediction, or [B,2C,H,W]: the prediction and a variance output (Nichol & Dhariwal 2021). */
#include "model.h"
#include "tensor.h"

#include <math.h>

enum { INPUT = 0, TIME, LABEL, MASK, TOKENS, TOKENS_MASK, IMAGE, IMAGE_LEVEL, NET_INPUTS };

static const uint32_t constant_inputs =
    1u << LABEL | 1u << MASK | 1u << TOKENS | 1u << TOKENS_MASK | 1u << IMAGE | 1u << IMAGE_LEVEL;

static dr_status evaluate(void *ctx, dr_tensor *const *in, dr_tensor **out, int *n_out)
{
    const network *net = ctx;
    const dr_batch_cond cond = { .time = in[TIME], .label = in[LABEL], .mask = in[MASK], .tokens = in[TOKENS],
                                 .tokens_mask = in[TOKENS_MASK], .image = in[IMAGE], .image_level = in[IMAGE_LEVEL] };
    out[0] = dr_retain(net->fn(net->ctx, in[INPUT], &cond));
    if (!out[0] && !dr_failed()) dr_fail(DR_EINTERNAL, "the network returned nothing and did not say why");
    if (!out[0]) return dr_failed();
    *n_out = 1;
    return dr_failed();
}

static dr_tensor *run_plan(network *net, dr_tensor *const in[NET_INPUTS])
{
    dr_plan_call c = { .fn = evaluate, .ctx = net, .in = in, .n_in = NET_INPUTS, .constant = constant_inputs };
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

/* x at t with this condition of B rows; x and c->image may have fewer, if the network shares images. */
static dr_tensor *run_network(dr_model *f, network *net, dr_tensor *x, double t, const dr_batch_cond *c, int64_t B)
{
    dr_coef coef;
    dr_model_coef(f, t, &coef);
    if (!isfinite(coef.time)) {
        dr_fail(DR_EINVAL, "process %s: the network cannot be asked at t = %g: its time would be %g",
                f->process->component->name, t, coef.time);
        return NULL;
    }
    dr_tensor *const in[NET_INPUTS] = { coef.c_in == 1.0 ? x : dr_scale(coef.c_in, x),
                                        dr_tensor_full(DR_F32, 1, &B, coef.time), c->label, c->mask, c->tokens,
                                        c->tokens_mask, c->image, c->image_level };
    if (dr_failed()) return NULL;
    f->calls++;
    f->evaluating++;
    dr_tensor *y = run_plan(net, in);
    f->evaluating--;
    return y;
}

/* The prediction for x, the variance output in *variance. */
static dr_tensor *split(dr_tensor *y, dr_tensor *x, dr_tensor **variance)
{
    const dr_view *v = dr_tensor_view(y), *image = dr_tensor_view(x);
    *variance = NULL;
    if (!v || v->rank < 2 || image->rank != v->rank || v->shape[1] != 2 * image->shape[1]) return y;
    *variance = dr_slice(y, 1, image->shape[1], image->shape[1]); /* [B,C,H,W] */
    return dr_slice(y, 1, 0, image->shape[1]);
}

/* What the network gets of c. One without a mask cannot be told that its text is dropped: it would answer as if not. */
static dr_status batch_of(const dr_model *f, const network *net, const dr_cond *c, int64_t B, dr_batch_cond *out)
{
    const bool by_mask = c->dropped && dr_cond_is_given(c) && (c->v.label || !c->v.null_tokens);
    if (by_mask && f->without_mask && net == &f->net[0]) {
        return dr_fail(DR_EINVAL, "guidance asks the network without its condition, but it has no mask that could drop "
                                  "it: give condition.null = { tokens = those of the text \"\" }");
    }
    return dr_cond_batch(c, B, out);
}

dr_tensor *dr_network_one(dr_model *f, network *net, dr_tensor *x, double t, const dr_cond *c, dr_tensor **variance)
{
    const int64_t B = dr_tensor_view(x)->shape[0];
    dr_batch_cond batch;
    *variance = NULL;
    if (batch_of(f, net, c, B, &batch) != DR_OK) return NULL;
    dr_tensor *y = run_network(f, net, x, t, &batch, B);
    return y ? split(y, x, variance) : NULL;
}

/* ---- two conditions in one batch -------------------------------------------------------------------------------- */

static dr_tensor *join(dr_tensor *a, dr_tensor *b) { return a ? dr_concat((dr_tensor *[]){ a, b }, 2, 0) : NULL; }

/* The conditional half first, the null one after it: [2B,C,H,W]. A network that shares images gets them once. */
dr_tensor *dr_network_both(dr_model *f, dr_tensor *x, double t, const dr_cond *c, dr_tensor **null_half,
                           dr_tensor **variance)
{
    const int64_t B = dr_tensor_view(x)->shape[0];
    dr_batch_cond a, b;
    *null_half = *variance = NULL;
    if (batch_of(f, &f->net[0], c, B, &a) != DR_OK || batch_of(f, &f->net[0], c->null, B, &b) != DR_OK) return NULL;
    const dr_batch_cond both = { .label = join(a.label, b.label), .mask = join(a.mask, b.mask),
                                 .tokens = join(a.tokens, b.tokens),
                                 .tokens_mask = join(a.tokens_mask, b.tokens_mask),
                                 .image = f->shares_images ? a.image : join(a.image, b.image),
                                 .image_level = join(a.image_level, b.image_level) };
    dr_tensor *x2 = f->shares_images ? x : join(x, x);
    if (!x2 || dr_failed()) return NULL;
    dr_tensor *y = run_network(f, &f->net[0], x2, t, &both, 2 * B);
    const dr_view *v = dr_tensor_view(y);
    if (!v) return NULL;
    if (v->rank < 1 || v->shape[0] != 2 * B) {
        dr_fail(DR_ESHAPE, "the network's output: %lld rows for %lld images",
                v->rank > 0 ? (long long)v->shape[0] : 1LL, (long long)(2 * B));
        return NULL;
    }
    dr_tensor *null_variance;
    *null_half = split(dr_slice(y, 0, B, B), x, &null_variance);
    return split(dr_slice(y, 0, 0, B), x, variance);
}
