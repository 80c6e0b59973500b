/* ops_group_norm.c: y = act(gamma (x - mean)/sqrt(var + eps) + beta), mean and variance per sample and group of
 * C/groups channels, over all positions. x [B,C,..]; gives mean and rstd = 1/sqrt(var + eps), [B,G].   Wu & He 2018
 * gamma and beta are [C], or [B,C] where each sample has its own (AdaGN). */
#include "ops_shape.h"

#include <math.h>

static const dr_param params[] = {
    DR_INT(dr_group_norm_act_attr, groups, 32, 1, 1048576, "groups of channels"),
    DR_REAL(dr_group_norm_act_attr, eps, 1e-5, 0, INFINITY, "added to the variance"),
    DR_ENUM(dr_group_norm_act_attr, act, DR_ACT_NONE, DR_ACT_NAMES, "activation that follows"),
    DR_END,
};

static dr_status check(const dr_infer *c, const dr_group_norm_act_attr *a)
{
    const dr_view *x = &c->in[0];
    if (dr_need_float(c, 0) != DR_OK) return DR_ESHAPE;
    if (x->rank < 2) return dr_refuse(c, "x must be [B,C,..]");
    if (a->groups < 1 || x->shape[1] % a->groups != 0) {
        return dr_refuse(c, "%lld channels do not divide into %lld groups", (long long)x->shape[1],
                         (long long)a->groups);
    }
    const int rank = c->in[1].rank == 2 ? 2 : 1; /* of gamma, and so of beta */
    for (int i = 1; i < 3; i++) {
        if (dr_need_dtype(c, i, dr_stat_dtype(x->dtype)) != DR_OK) return DR_ESHAPE;
        if (dr_need_shape(c, i, rank, rank == 2 ? x->shape : x->shape + 1) != DR_OK) return DR_ESHAPE;
    }
    return DR_OK;
}

static dr_tensor *grouped(dr_tensor *x, int64_t groups) /* [B,C,..] -> [B,G,(C/G) positions] */
{
    const dr_view *v = dr_tensor_view(x);
    return v ? dr_reshape(x, 3, (int64_t[]){ v->shape[0], groups, -1 }) : NULL;
}

static dr_tensor *of_groups(dr_tensor *s) /* [B,G] -> [B,G,1] */
{
    const dr_view *v = dr_tensor_view(s);
    return v ? dr_reshape(s, 3, (int64_t[]){ v->shape[0], v->shape[1], 1 }) : NULL;
}

static dr_tensor *broadcast(dr_tensor *gamma, int rank) /* [C] -> [1,C,1,..], [B,C] -> [B,C,1,..] */
{
    const dr_view *g = dr_tensor_view(gamma);
    if (!g || g->rank == 1) return dr_per_channel(gamma, rank);
    int64_t shape[DR_MAX_RANK] = { g->shape[0], g->shape[1], 1, 1, 1 };
    return dr_reshape(gamma, rank, shape);
}

static dr_tensor *scaled(dr_tensor *x, dr_tensor *gamma, dr_tensor *beta)
{
    const dr_view *v = dr_tensor_view(x);
    return v ? dr_add(dr_mul(x, broadcast(gamma, v->rank)), broadcast(beta, v->rank)) : NULL;
}

/* Over positions, and over samples where they share gamma: of its shape. */
static dr_tensor *sum_to_gamma(dr_tensor *x, const dr_view *gamma)
{
    const dr_view *v = dr_tensor_view(x);
    if (!v) return NULL;
    const int shared = gamma->rank == 1;
    int64_t dims[DR_MAX_RANK] = { 0 };
    int n = shared;
    for (int i = 2; i < v->rank; i++) dims[n++] = i;
    return n > 0 ? dr_sum(x, n, dims, false) : x; /* no axes would mean all */
}

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "group_norm_act", "x,gamma,beta", in, n_in };
    const dr_group_norm_act_attr *a = attr;
    (void)offset;
    if (check(&c, a) != DR_OK) return DR_ESHAPE;
    for (int i = 0; i < in->rank; i++) {
        if (in->shape[i] == 0) return dr_refuse(&c, "an empty tensor has no statistics");
    }
    dr_shape_like(&out[0], in);
    dr_shape_of(&out[1], dr_stat_dtype(in->dtype), 2, (int64_t[]){ in->shape[0], a->groups });
    out[2] = out[1];
    return DR_OK;
}

static dr_status compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const dr_group_norm_act_attr *a = attr;
    (void)n_in;
    const dr_view *v = dr_tensor_view(in[0]);
    dr_tensor *x = grouped(dr_to_dtype(in[0], dr_stat_dtype(v->dtype)), a->groups); /* [B,G,n] */
    dr_tensor *mean = dr_mean(x, 1, (int64_t[]){ 2 }, false);                       /* [B,G] */
    dr_tensor *centred = dr_sub(x, of_groups(mean));
    dr_tensor *var = dr_mean(dr_square(centred), 1, (int64_t[]){ 2 }, false);
    dr_tensor *rstd = dr_rsqrt(dr_affine(1.0, var, a->eps));
    dr_tensor *xh = dr_reshape_like(dr_mul(centred, of_groups(rstd)), v); /* [B,C,..] */
    out[1] = mean;
    out[2] = rstd;
    return dr_yield(&out[0], dr_to_dtype(dr_activate(scaled(xh, in[1], in[2]), a->act), v->dtype));
}

static dr_status backward(const dr_backward_args *b)
{
    if (b->dout[1] || b->dout[2]) return dr_fail(DR_EUNSUPPORTED, "group_norm_act: mean and rstd pass no gradient on");
    dr_tensor *grad[3] = { NULL };
    dr_apply("group_norm_act_backward",
             (dr_tensor *[]){ b->in[0], b->in[1], b->in[2], b->out[1], b->out[2], b->dout[0] }, 6, b->attr, grad);
    for (int i = 0; i < 3; i++) b->din[i] = b->need[i] ? grad[i] : NULL;
    return dr_failed();
}

DR_OP_COMPONENT(group_norm_act, "group_norm_act(x, gamma, beta) -> y, mean, rstd", params, .n_in = 3, .n_out = 3,
                .in_layout = { DR_LAYOUT_CL }, .out_layout = { DR_LAYOUT_CL }, .infer = infer, .compose = compose,
                .backward = backward, .save_in = 1 | 2 | 4, .save_out = 2 | 4)

static dr_status backward_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "group_norm_act_backward", "x,gamma,beta,mean,rstd,dy", in, n_in };
    const dr_group_norm_act_attr *a = attr;
    (void)offset;
    if (check(&c, a) != DR_OK || dr_need_dtype(&c, 5, (dr_dtype)in->dtype) != DR_OK ||
        dr_need_same_shape(&c, 0, 5) != DR_OK)
        return DR_ESHAPE;
    for (int i = 3; i < 5; i++) {
        if (dr_need_dtype(&c, i, dr_stat_dtype(in->dtype)) != DR_OK) return DR_ESHAPE;
        if (dr_need_shape(&c, i, 2, (int64_t[]){ in->shape[0], a->groups }) != DR_OK) return DR_ESHAPE;
    }
    dr_shape_like(&out[0], in);
    dr_shape_like(&out[1], &in[1]);
    dr_shape_like(&out[2], &in[1]);
    return DR_OK;
}

/* xh = (x - mean) rstd, z = gamma xh + beta, y = act(z):  dz = dy act'(z), dgamma = sum dz xh, dbeta = sum dz over
 * positions, and samples where gamma is [C]; with g = gamma dz, dx = rstd (g - mean(g) - xh mean(g xh)), means over a group. */
static dr_status backward_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const dr_group_norm_act_attr *a = attr;
    (void)n_in;
    const dr_view *v = dr_tensor_view(in[0]);
    const int stat = (int)dr_stat_dtype(v->dtype);
    dr_tensor *rstd = of_groups(in[4]);
    dr_tensor *xh = dr_mul(dr_sub(grouped(dr_to_dtype(in[0], stat), a->groups), of_groups(in[3])), rstd); /* [B,G,n] */
    dr_tensor *xh_full = dr_reshape_like(xh, v);
    dr_tensor *dz = dr_activate_backward(scaled(xh_full, in[1], in[2]), dr_to_dtype(in[5], stat), a->act);
    out[1] = sum_to_gamma(dr_mul(dz, xh_full), dr_tensor_view(in[1]));
    out[2] = sum_to_gamma(dz, dr_tensor_view(in[1]));
    dr_tensor *g = grouped(dr_mul(dz, broadcast(in[1], v->rank)), a->groups); /* [B,G,n] */
    dr_tensor *mean_g = dr_mean(g, 1, (int64_t[]){ 2 }, true),
              *mean_gx = dr_mean(dr_mul(g, xh), 1, (int64_t[]){ 2 }, true);
    dr_tensor *dx = dr_mul(rstd, dr_sub(dr_sub(g, mean_g), dr_mul(xh, mean_gx)));
    return dr_yield(&out[0], dr_to_dtype(dr_reshape_like(dx, v), v->dtype));
}

DR_OP_COMPONENT(group_norm_act_backward, "group_norm_act_backward(x, gamma, beta, mean, rstd, dy) -> dx, dgamma, dbeta",
                params, .flags = DR_OP_NONDIFF, .n_in = 6, .n_out = 3,
                .in_layout = { DR_LAYOUT_CL, DR_LAYOUT_ROW, DR_LAYOUT_ROW, DR_LAYOUT_ROW, DR_LAYOUT_ROW, DR_LAYOUT_CL },
                .out_layout = { DR_LAYOUT_CL }, .infer = backward_infer, .compose = backward_compose)
