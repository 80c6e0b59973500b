/* ops_batch_norm.c: y = act(gamma (x - mean)/sqrt(var + eps) + beta), per channel.              Ioffe & Szegedy 2015
 * batch_norm_act takes mean and (biased) variance of the batch and gives them out; batch_norm_eval is told them.
 * Backward keeps x and the two statistics [C] only, and works the rest out again. x: [B,C,H,W], [B,C,L] or [B,C]. */
#include "ops_shape.h"

#include <math.h>

static const dr_param params[] = {
    DR_REAL(dr_batch_norm_act_attr, eps, 1e-5, 0, INFINITY, "added to the variance"),
    DR_ENUM(dr_batch_norm_act_attr, act, DR_ACT_NONE, DR_ACT_NAMES, "activation that follows"),
    DR_END,
};

/* x in[0] with its vectors in[1..last] [C] of the statistics' dtype. */
static dr_status check(const dr_infer *c, int last)
{
    const dr_view *x = &c->in[0];
    if (dr_need_float(c, 0) != DR_OK) return DR_ESHAPE;
    if (x->rank < 2 || x->rank > 4) return dr_refuse(c, "x must be [B,C], [B,C,L] or [B,C,H,W]");
    for (int i = 1; i <= last; i++) {
        if (dr_need_dtype(c, i, dr_stat_dtype(x->dtype)) != DR_OK || dr_need_shape(c, i, 1, &x->shape[1]) != DR_OK)
            return DR_ESHAPE;
    }
    return DR_OK;
}

/* All axes but the channels'. */
static int other_axes(dr_tensor *x, int64_t dims[DR_MAX_RANK])
{
    const dr_view *v = dr_tensor_view(x);
    int n = 0;
    for (int i = 0; v && i < v->rank; i++) {
        if (i != 1) dims[n++] = i;
    }
    return n;
}

static dr_tensor *normalised(dr_tensor *x, dr_tensor *mean, dr_tensor *var,
                             double eps) /* x, and mean, var [C], of one dtype */
{
    const dr_view *v = dr_tensor_view(x);
    if (!v) return NULL;
    dr_tensor *rstd = dr_rsqrt(dr_affine(1.0, var, eps));
    return dr_mul(dr_sub(x, dr_per_channel(mean, v->rank)), dr_per_channel(rstd, v->rank));
}

static dr_tensor *scaled(dr_tensor *x, dr_tensor *gamma, dr_tensor *beta)
{
    const dr_view *v = dr_tensor_view(x);
    return v ? dr_add(dr_mul(x, dr_per_channel(gamma, v->rank)), dr_per_channel(beta, v->rank)) : NULL;
}

/* ---- training: the batch's statistics ---------------------------------------------------------------------------- */

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "batch_norm_act", "x,gamma,beta", in, n_in };
    (void)attr, (void)offset;
    if (check(&c, 2) != DR_OK) return DR_ESHAPE;
    for (int i = 0; i < in->rank; i++) {
        if (i != 1 && in->shape[i] == 0) return dr_refuse(&c, "an empty batch has no statistics");
    }
    dr_shape_like(&out[0], in);
    dr_shape_like(&out[1], &in[1]);
    dr_shape_like(&out[2], &in[1]);
    return DR_OK;
}

static dr_status compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const dr_batch_norm_act_attr *a = attr;
    (void)n_in;
    const dr_view *v = dr_tensor_view(in[0]);
    dr_tensor *x = dr_to_dtype(in[0], dr_stat_dtype(v->dtype));
    int64_t dims[DR_MAX_RANK];
    const int n = other_axes(x, dims);
    dr_tensor *mean = dr_mean(x, n, dims, false); /* [C] */
    dr_tensor *var = dr_mean(dr_square(dr_sub(x, dr_per_channel(mean, v->rank))), n, dims, false);
    dr_tensor *y = dr_activate(scaled(normalised(x, mean, var, a->eps), in[1], in[2]), a->act);
    out[1] = mean;
    out[2] = var;
    return dr_yield(&out[0], dr_to_dtype(y, v->dtype));
}

static dr_status backward(const dr_backward_args *b)
{
    if (b->dout[1] || b->dout[2]) return dr_fail(DR_EUNSUPPORTED, "batch_norm_act: mean and var pass no gradient on");
    dr_tensor *grad[3] = { NULL };
    dr_apply("batch_norm_act_backward",
             (dr_tensor *[]){ b->in[0], b->in[1], b->in[2], b->out[1], b->out[2], b->dout[0] }, 6, b->attr, grad);
    for (int i = 0; i < 3; i++) b->din[i] = b->need[i] ? grad[i] : NULL;
    return dr_failed();
}

static dr_tensor *again(const dr_backward_args *b)
{
    return dr_apply1("batch_norm_eval", (dr_tensor *[]){ b->in[0], b->in[1], b->in[2], b->out[1], b->out[2] }, 5, b->attr);
}

DR_OP_COMPONENT(batch_norm_act, "batch_norm_act(x, gamma, beta) -> y, mean, var; var is the biased one", params,
                .n_in = 3, .n_out = 3, .in_layout = { DR_LAYOUT_CL }, .out_layout = { DR_LAYOUT_CL }, .infer = infer,
                .compose = compose, .backward = backward, .again = again, .save_in = 1 | 2 | 4, .save_out = 2 | 4)

static dr_status backward_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "batch_norm_act_backward", "x,gamma,beta,mean,var,dy", in, n_in };
    (void)attr, (void)offset;
    if (check(&c, 4) != DR_OK || dr_need_dtype(&c, 5, (dr_dtype)in->dtype) != DR_OK ||
        dr_need_same_shape(&c, 0, 5) != DR_OK)
        return DR_ESHAPE;
    dr_shape_like(&out[0], in);
    dr_shape_like(&out[1], &in[1]);
    dr_shape_like(&out[2], &in[1]);
    return DR_OK;
}

/* xh = (x - mean) rstd, z = gamma xh + beta, y = act(z):  dz = dy act'(z), dgamma = sum dz xh, dbeta = sum dz,
 * dx = gamma rstd (dz - dbeta/N - xh dgamma/N), N = elements of a channel. */
static dr_status backward_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const dr_batch_norm_act_attr *a = attr;
    (void)n_in;
    const dr_view *v = dr_tensor_view(in[0]);
    const int stat = (int)dr_stat_dtype(v->dtype);
    dr_tensor *xh = normalised(dr_to_dtype(in[0], stat), in[3], in[4], a->eps);
    dr_tensor *dz = dr_activate_backward(scaled(xh, in[1], in[2]), dr_to_dtype(in[5], stat), a->act);
    int64_t dims[DR_MAX_RANK];
    const int n = other_axes(in[0], dims);
    double N = 1.0;
    for (int i = 0; i < n; i++) N *= (double)v->shape[dims[i]];
    dr_tensor *dgamma = dr_sum(dr_mul(dz, xh), n, dims, false), *dbeta = dr_sum(dz, n, dims, false);
    dr_tensor *centred = dr_axpy(-1.0 / N, dr_per_channel(dbeta, v->rank), dz);
    centred = dr_axpy(-1.0 / N, dr_mul(xh, dr_per_channel(dgamma, v->rank)), centred);
    dr_tensor *factor = dr_mul(in[1], dr_rsqrt(dr_affine(1.0, in[4], a->eps)));
    out[1] = dgamma;
    out[2] = dbeta;
    return dr_yield(&out[0], dr_to_dtype(dr_mul(centred, dr_per_channel(factor, v->rank)), v->dtype));
}

DR_OP_COMPONENT(batch_norm_act_backward, "batch_norm_act_backward(x, gamma, beta, mean, var, dy) -> dx, dgamma, dbeta",
                params, .flags = DR_OP_NONDIFF, .n_in = 6, .n_out = 3,
                .in_layout = { DR_LAYOUT_CL, DR_LAYOUT_ROW, DR_LAYOUT_ROW, DR_LAYOUT_ROW, DR_LAYOUT_ROW, DR_LAYOUT_PIXELS },
                .out_layout = { DR_LAYOUT_CL }, .infer = backward_infer, .compose = backward_compose)

/* ---- evaluation: running statistics ------------------------------------------------------------------------------ */

static dr_status eval_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "batch_norm_eval", "x,gamma,beta,running_mean,running_var", in, n_in };
    (void)attr, (void)offset;
    if (check(&c, 4) != DR_OK) return DR_ESHAPE;
    dr_shape_like(out, in);
    return DR_OK;
}

static dr_status eval_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const dr_batch_norm_eval_attr *a = attr;
    (void)n_in;
    const dr_view *v = dr_tensor_view(in[0]);
    dr_tensor *x = dr_to_dtype(in[0], dr_stat_dtype(v->dtype));
    dr_tensor *y = dr_activate(scaled(normalised(x, in[3], in[4], a->eps), in[1], in[2]), a->act);
    return dr_yield(out, dr_to_dtype(y, v->dtype));
}

DR_OP_COMPONENT(batch_norm_eval, "batch_norm_eval(x, gamma, beta, running_mean, running_var) -> y", params, .n_in = 5,
                .n_out = 1, .in_layout = { DR_LAYOUT_CL }, .out_layout = { DR_LAYOUT_CL }, .infer = eval_infer,
                .compose = eval_compose)

/* ---- running = (1 - momentum) running + momentum new; the variance enters as the unbiased one -------------------- */

static const dr_param update_params[] = {
    DR_REAL(dr_batch_norm_update_attr, momentum, 0.1, 0, 1, "weight of the new statistics"),
    DR_INT_REQUIRED(dr_batch_norm_update_attr, count, 1, 281474976710656, "elements that mean and var were taken over"),
    DR_END,
};

static dr_status update_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "batch_norm_update", "running_mean,running_var,mean,var,num_batches_tracked", in, n_in };
    (void)out, (void)offset;
    if (((const dr_batch_norm_update_attr *)attr)->count < 1)
        return dr_fail(DR_EINVAL, "batch_norm_update: count must be at least 1");
    if (dr_need_float(&c, 0) != DR_OK || dr_need_rank(&c, 0, 1) != DR_OK) return DR_ESHAPE;
    for (int i = 1; i < 4; i++) {
        if (dr_need_dtype(&c, i, (dr_dtype)in->dtype) != DR_OK || dr_need_same_shape(&c, 0, i) != DR_OK)
            return DR_ESHAPE;
    }
    if (dr_need_dtype(&c, 4, DR_I64) != DR_OK || dr_need_rank(&c, 4, 0) != DR_OK) return DR_ESHAPE;
    return DR_OK;
}

DR_OP_COMPONENT(batch_norm_update,
                "batch_norm_update(running_mean, running_var, mean, var, num_batches_tracked): in place", update_params,
                .flags = DR_OP_MUTATES | DR_OP_NONDIFF, .n_in = 5, .n_optional = 1, .infer = update_infer)
