/* ops_optimizer.c: one step for all weights in one launch, in place. Numbers that change from step to step come in a
 * tensor, so that a recorded step can be replayed. All tensors of one weight have its shape and memory order.
 *   adam_step    decoupled: p -= lr wd p, else g += wd p; m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
 *                p -= lr (m/(1-b1^t)) / (sqrt(v/(1-b2^t)) + eps)            Kingma & Ba 2014, Loshchilov & Hutter 2017
 *                then as many averages of p as are asked for, as ema_step, in the same pass over memory
 *   sgd_step     g += wd p; m = momentum m + g (m = g at step 1); p -= lr (nesterov: g + momentum m, else m)
 *   ema_step     average = decay average + (1-decay) p, decay f64 []
 *   square_norm  sum of all squares, f64;   clip_step  g *= min(1, max_norm/(norm + 1e-6)) */
#include "ops_shape.h"

#include <math.h>

/* in[first..] in groups of `group` tensors, each group of one shape, dtype and memory order, dense. */
static dr_status check_groups(const dr_infer *c, int first, int group)
{
    if ((c->n_in - first) % group != 0) {
        return dr_refuse(c, "%d tensors are not in groups of %d", c->n_in - first, group);
    }
    for (int i = first; i < c->n_in; i++) {
        const dr_view *v = &c->in[i], *leader = &c->in[i - (i - first) % group];
        const dr_infer pair = { c->op, "tensor,of a weight", (const dr_view[]){ *v, *leader }, 2 };
        if (v->dtype != c->in[first].dtype || !dr_is_float(v->dtype)) {
            return dr_refuse(&pair, "tensor %d is not of the first one's dtype, %s", i + 1,
                             dr_dtype_name((dr_dtype)c->in[first].dtype));
        }
        if (!dr_same_shape(v, leader)) return dr_refuse(&pair, "tensor %d has not the shape of its weight", i + 1);
        if (!dr_view_is(v, DR_LAYOUT_DENSE)) return dr_refuse(&pair, "tensor %d is a view with holes", i + 1);
        for (int a = 0; a < v->rank; a++) {
            if (v->shape[a] > 1 && v->stride[a] != leader->stride[a]) {
                return dr_refuse(&pair, "tensor %d has not the memory order of its weight", i + 1);
            }
        }
    }
    return DR_OK;
}

static dr_status check_scalars(const dr_infer *c, int n) /* n = 0: one, as a tensor of rank 0 */
{
    const int rank = n == 0 ? 0 : 1;
    if (dr_need_dtype(c, 0, DR_F64) != DR_OK || dr_need_rank(c, 0, rank) != DR_OK) return DR_ESHAPE;
    return rank == 0 ? DR_OK : dr_need_shape(c, 0, 1, (int64_t[]){ n });
}

#define IN_PLACE \
    .flags = DR_OP_MUTATES | DR_OP_VARIADIC | DR_OP_NONDIFF, \
    .in_layout = { DR_LAYOUT_ANY, DR_LAYOUT_ANY, DR_LAYOUT_ANY, DR_LAYOUT_ANY, DR_LAYOUT_ANY }

/* ---- Adam, AdamW ---- */
static const dr_param adam_params[] = {
    DR_REAL(dr_adam_step_attr, beta1, 0.9, 0, 1, "memory of the mean"),
    DR_REAL(dr_adam_step_attr, beta2, 0.999, 0, 1, "memory of the mean square"),
    DR_REAL(dr_adam_step_attr, eps, 1e-8, 0, INFINITY, "added to the root"),
    DR_REAL(dr_adam_step_attr, weight_decay, 0.0, 0, INFINITY, "pull to 0"),
    DR_BOOL(dr_adam_step_attr, decoupled, false, "AdamW: the decay acts on weights, not through gradients"),
    DR_INT(dr_adam_step_attr, averages, 0, 0, 4, "of each weight that are moved with it"),
    DR_END,
};

static dr_status adam_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "adam_step", "lr_and_step,param,grad,exp_avg,exp_avg_sq", in, n_in };
    const int averages = (int)((const dr_adam_step_attr *)attr)->averages;
    (void)out, (void)offset;
    return check_scalars(&c, 2 + averages) == DR_OK ? check_groups(&c, 1, 4 + averages) : DR_ESHAPE;
}

DR_OP_COMPONENT(adam_step, "adam_step({lr, step}, param, grad, exp_avg, exp_avg_sq, ...): in place", adam_params,
                IN_PLACE, .n_in = 5, .infer = adam_infer)

/* ---- SGD ---- */
static const dr_param sgd_params[] = {
    DR_REAL(dr_sgd_step_attr, momentum, 0.0, 0, 1, "memory of earlier gradients"),
    DR_REAL(dr_sgd_step_attr, weight_decay, 0.0, 0, INFINITY, "pull to 0"),
    DR_BOOL(dr_sgd_step_attr, nesterov, false, "look ahead along the momentum"),
    DR_END,
};

static dr_status sgd_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "sgd_step", "lr_and_step,param,grad,momentum_buffer", in, n_in };
    (void)attr, (void)out, (void)offset;
    return check_scalars(&c, 2) == DR_OK ? check_groups(&c, 1, 3) : DR_ESHAPE;
}

DR_OP_COMPONENT(sgd_step, "sgd_step({lr, step}, param, grad, momentum_buffer, ...): in place", sgd_params, IN_PLACE,
                .n_in = 4, .infer = sgd_infer)

/* ---- moving average of the weights ---- */
static dr_status ema_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "ema_step", "decay,average,param", in, n_in };
    (void)attr, (void)out, (void)offset;
    return check_scalars(&c, 0) == DR_OK ? check_groups(&c, 1, 2) : DR_ESHAPE;
}

DR_OP_COMPONENT(ema_step, "ema_step(decay, average, param, ...): in place", NULL, IN_PLACE, .n_in = 3,
                .infer = ema_infer)

/* ---- clipping by the norm of all gradients together ---- */
static dr_status square_norm_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "square_norm", "x", in, n_in };
    (void)attr, (void)offset;
    *out = (dr_view){ .dtype = DR_F64 };
    return dr_need_floats(&c);
}

DR_OP_COMPONENT(square_norm, "square_norm(x, ...): f64, the sum of all squares", NULL,
                .flags = DR_OP_VARIADIC | DR_OP_NONDIFF, .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_DENSE },
                .infer = square_norm_infer)

static const dr_param clip_params[] = {
    DR_REAL(dr_clip_step_attr, max_norm, 1.0, 0, INFINITY, "longest norm that is left as it is"),
    DR_END,
};

static dr_status clip_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "clip_step", "square_norm,grad", in, n_in };
    (void)attr, (void)out, (void)offset;
    return check_scalars(&c, 0) == DR_OK ? check_groups(&c, 1, 1) : DR_ESHAPE;
}

DR_OP_COMPONENT(clip_step, "clip_step(square_norm, grad, ...): in place", clip_params, IN_PLACE, .n_in = 2,
                .infer = clip_infer)
