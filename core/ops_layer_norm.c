/* ops_layer_norm.c: over the last axis.
 *   layer_norm  y = gamma (x - mean)/sqrt(var + eps) + beta; gives mean and rstd [..]                   Ba et al. 2016
 *   rms_norm    y = weight x / sqrt(mean(x^2) + eps)                                           Zhang & Sennrich 2019 */
#include "ops_shape.h"

#include <math.h>

static const dr_param params[] = {
    DR_REAL(dr_layer_norm_attr, eps, 1e-5, 0, INFINITY, "added to the variance"),
    DR_END,
};

static const int64_t LAST[] = { -1 };

static dr_status check(const dr_infer *c)
{
    if (dr_need_float(c, 0) != DR_OK) return DR_ESHAPE;
    if (c->in[0].rank < 1 || c->in[0].shape[c->in[0].rank - 1] < 1)
        return dr_refuse(c, "x must have a last axis to normalise");
    return DR_OK;
}

/* in[i] [D], of the statistics' dtype */
static dr_status check_vector(const dr_infer *c, int i)
{
    const dr_view *x = &c->in[0];
    if (dr_need_dtype(c, i, dr_stat_dtype(x->dtype)) != DR_OK) return DR_ESHAPE;
    return dr_need_shape(c, i, 1, &x->shape[x->rank - 1]);
}

static dr_tensor *one_more_axis(dr_tensor *s) /* [..] -> [..,1] */
{
    const dr_view *v = dr_tensor_view(s);
    if (!v) return NULL;
    dr_view with = *v;
    with.shape[with.rank++] = 1;
    return dr_reshape_like(s, &with);
}

/* ---- layer_norm ---- */

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "layer_norm", "x,gamma,beta", in, n_in };
    (void)attr, (void)offset;
    if (check(&c) != DR_OK || check_vector(&c, 1) != DR_OK || check_vector(&c, 2) != DR_OK) return DR_ESHAPE;
    dr_shape_like(&out[0], in);
    dr_shape_of(&out[1], dr_stat_dtype(in->dtype), in->rank - 1, in->shape);
    out[2] = out[1];
    return DR_OK;
}

static dr_status compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in;
    const dr_view *v = dr_tensor_view(in[0]);
    dr_tensor *x = dr_to_dtype(in[0], dr_stat_dtype(v->dtype));
    dr_tensor *mean = dr_mean(x, 1, LAST, false);
    dr_tensor *centred = dr_sub(x, one_more_axis(mean));
    dr_tensor *var = dr_mean(dr_square(centred), 1, LAST, false);
    dr_tensor *rstd = dr_rsqrt(dr_affine(1.0, var, ((const dr_layer_norm_attr *)attr)->eps));
    dr_tensor *y = dr_mul(centred, one_more_axis(rstd));
    if (in[1]) y = dr_mul(y, in[1]);
    if (in[2]) y = dr_add(y, in[2]);
    out[1] = mean;
    out[2] = rstd;
    return dr_yield(&out[0], dr_to_dtype(y, v->dtype));
}

static dr_status backward(const dr_backward_args *b)
{
    if (b->dout[1] || b->dout[2]) return dr_fail(DR_EUNSUPPORTED, "layer_norm: mean and rstd pass no gradient on");
    dr_tensor *grad[3] = { NULL };
    dr_apply("layer_norm_backward", (dr_tensor *[]){ b->in[0], b->out[1], b->out[2], b->dout[0], b->in[1] }, 5, b->attr,
             grad);
    for (int i = 0; i < 3 && i < b->n_in; i++) b->din[i] = b->need[i] ? grad[i] : NULL;
    return dr_failed();
}

DR_OP_COMPONENT(layer_norm, "layer_norm(x, gamma, beta) -> y, mean, rstd; gamma and beta may be nil", params, .n_in = 3,
                .n_optional = 2, .n_out = 3, .infer = infer, .compose = compose, .backward = backward, .save_in = 1 | 2,
                .save_out = 2 | 4)

static dr_status backward_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "layer_norm_backward", "x,mean,rstd,dy,gamma", in, n_in };
    (void)attr, (void)offset;
    if (check(&c) != DR_OK || check_vector(&c, 4) != DR_OK || dr_need_same_shape(&c, 0, 3) != DR_OK) return DR_ESHAPE;
    if (dr_need_dtype(&c, 3, (dr_dtype)in->dtype) != DR_OK) return DR_ESHAPE;
    for (int i = 1; i < 3; i++) {
        if (dr_need_dtype(&c, i, dr_stat_dtype(in->dtype)) != DR_OK ||
            dr_need_shape(&c, i, in->rank - 1, in->shape) != DR_OK)
            return DR_ESHAPE;
    }
    dr_shape_like(&out[0], in);
    dr_shape_of(&out[1], dr_stat_dtype(in->dtype), 1, &in->shape[in->rank - 1]);
    out[2] = out[1];
    return DR_OK;
}

/* xh = (x - mean) rstd, g = gamma dy:  dx = rstd (g - mean(g) - xh mean(g xh)), dgamma = sum dy xh, dbeta = sum dy */
static dr_status backward_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in, (void)attr;
    const dr_view *v = dr_tensor_view(in[0]);
    const dr_dtype stat = dr_stat_dtype(v->dtype);
    dr_view D;
    dr_shape_of(&D, stat, 1, &v->shape[v->rank - 1]);
    dr_tensor *rstd = one_more_axis(in[2]), *dy = dr_to_dtype(in[3], stat);
    dr_tensor *xh = dr_mul(dr_sub(dr_to_dtype(in[0], stat), one_more_axis(in[1])), rstd);
    dr_tensor *g = in[4] ? dr_mul(dy, in[4]) : dy;
    dr_tensor *mean_g = dr_mean(g, 1, LAST, true), *mean_gx = dr_mean(dr_mul(g, xh), 1, LAST, true);
    dr_tensor *dx = dr_mul(rstd, dr_sub(dr_sub(g, mean_g), dr_mul(xh, mean_gx)));
    out[1] = dr_sum_to(dr_mul(dy, xh), D.rank, D.shape);
    out[2] = dr_sum_to(dy, D.rank, D.shape);
    return dr_yield(&out[0], dr_to_dtype(dx, v->dtype));
}

DR_OP_COMPONENT(layer_norm_backward,
                "layer_norm_backward(x, mean, rstd, dy, gamma) -> dx, dgamma, dbeta; gamma may be nil", params,
                .flags = DR_OP_NONDIFF, .n_in = 5, .n_optional = 1, .n_out = 3, .infer = backward_infer,
                .compose = backward_compose)

/* ---- rms_norm: weight [D]; its gradient is that of its parts ---- */

static const dr_param rms_params[] = {
    DR_REAL(dr_rms_norm_attr, eps, 1e-6, 0, INFINITY, "added to the mean square"),
    DR_END,
};

static dr_status rms_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "rms_norm", "x,weight", in, n_in };
    (void)attr, (void)offset;
    if (check(&c) != DR_OK || check_vector(&c, 1) != DR_OK) return DR_ESHAPE;
    dr_shape_like(out, in);
    return DR_OK;
}

static dr_status rms_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in;
    const dr_view *v = dr_tensor_view(in[0]);
    dr_tensor *x = dr_to_dtype(in[0], dr_stat_dtype(v->dtype));
    dr_tensor *mean_square = dr_mean(dr_square(x), 1, LAST, true); /* [..,1] */
    dr_tensor *rstd = dr_rsqrt(dr_affine(1.0, mean_square, ((const dr_rms_norm_attr *)attr)->eps));
    return dr_yield(out, dr_to_dtype(dr_mul(dr_mul(x, rstd), in[1]), v->dtype));
}

DR_OP_COMPONENT(rms_norm, "rms_norm(x, weight) = weight x / sqrt(mean(x^2) + eps)", rms_params, .n_in = 2, .n_out = 1,
                .infer = rms_infer, .compose = rms_compose)
