/* ops_loss.c: mse and cross_entropy. Losses are of the statistics' dtype, whatever the network computes in. */
#include "ops_shape.h"

/* ---- mse: mean or sum of weight[b] (pred - target)^2 ------------------------------------------------------------- */

static const dr_param mse_params[] = {
    DR_ENUM(dr_mse_attr, reduction, DR_REDUCE_MEAN, "mean|sum", "over all elements; weights do not enter the count"),
    DR_END,
};

static dr_status check_mse(const dr_infer *c, int weight)
{
    const dr_view *pred = &c->in[0];
    if (dr_need_float(c, 0) != DR_OK || dr_need_dtype(c, 1, (dr_dtype)pred->dtype) != DR_OK) return DR_ESHAPE;
    if (dr_need_same_shape(c, 0, 1) != DR_OK || dr_need_dtype(c, weight, dr_stat_dtype(pred->dtype)) != DR_OK)
        return DR_ESHAPE;
    if (dr_given(c->in, c->n_in, weight) && pred->rank < 1)
        return dr_refuse(c, "without a first axis there are no rows to weigh");
    return dr_need_shape(c, weight, 1, pred->shape);
}

static dr_status mse_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "mse", "pred,target,weight", in, n_in };
    (void)attr, (void)offset;
    if (check_mse(&c, 2) != DR_OK) return DR_ESHAPE;
    *out = (dr_view){ .dtype = dr_stat_dtype(in->dtype) };
    return DR_OK;
}

static dr_tensor *over_rows(dr_tensor *weight, int rank) /* [B] -> [B,1,..] */
{
    const dr_view *v = dr_tensor_view(weight);
    if (!v) return NULL;
    int64_t shape[DR_MAX_RANK] = { v->shape[0], 1, 1, 1, 1 };
    return dr_reshape(weight, rank, shape);
}

static double mse_factor(const dr_view *pred, const dr_mse_attr *a)
{
    double n = 1.0;
    for (int i = 0; i < pred->rank; i++) n *= (double)pred->shape[i];
    return a->reduction == DR_REDUCE_SUM ? 1.0 : 1.0 / n;
}

static dr_status mse_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in;
    const dr_view *v = dr_tensor_view(in[0]);
    const int stat = (int)dr_stat_dtype(v->dtype);
    dr_tensor *error = dr_square(dr_sub(dr_to_dtype(in[0], stat), dr_to_dtype(in[1], stat)));
    if (in[2]) error = dr_mul(error, over_rows(in[2], v->rank));
    return dr_yield(out, dr_scale(mse_factor(v, attr), dr_sum(error, 0, NULL, false)));
}

static dr_status mse_backward(const dr_backward_args *b)
{
    const dr_view *pred = &b->in_view[0];
    const bool weighted = dr_given(b->in_view, b->n_in, 2);
    if (b->need[0] || b->need[1]) {
        dr_tensor *dpred =
            dr_apply1("mse_backward", (dr_tensor *[]){ b->in[0], b->in[1], b->dout[0], weighted ? b->in[2] : NULL }, 4,
                      b->attr);
        if (b->need[0]) b->din[0] = dpred;
        if (b->need[1]) b->din[1] = dr_scale(-1.0, dpred);
    }
    if (weighted && b->need[2]) {
        const int stat = (int)dr_stat_dtype(pred->dtype);
        dr_tensor *error = dr_square(dr_sub(dr_to_dtype(b->in[0], stat), dr_to_dtype(b->in[1], stat)));
        int64_t rows[DR_MAX_RANK] = { pred->shape[0], 1, 1, 1, 1 };
        dr_tensor *per_row = dr_reshape(dr_sum_to(error, pred->rank, rows), 1, rows); /* [B] */
        b->din[2] = dr_scale(mse_factor(pred, b->attr), dr_mul(per_row, b->dout[0]));
    }
    return dr_failed();
}

DR_OP_COMPONENT(mse, "mse(pred, target, weight): weight [B] of the rows may be nil", mse_params, .n_in = 3,
                .n_optional = 1, .n_out = 1, .in_layout = { DR_LAYOUT_DENSE, DR_LAYOUT_DENSE, DR_LAYOUT_ROW },
                .infer = mse_infer, .compose = mse_compose, .backward = mse_backward, .save_in = 1 | 2 | 4)

static dr_status mse_backward_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "mse_backward", "pred,target,dloss,weight", in, n_in };
    (void)attr, (void)offset;
    if (check_mse(&c, 3) != DR_OK || dr_need_dtype(&c, 2, dr_stat_dtype(in->dtype)) != DR_OK ||
        dr_need_rank(&c, 2, 0) != DR_OK)
        return DR_ESHAPE;
    dr_shape_like(out, in);
    return DR_OK;
}

/* 2 weight (pred - target) dloss, over n where the loss is a mean */
static dr_status mse_backward_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in;
    const dr_view *v = dr_tensor_view(in[0]);
    const int stat = (int)dr_stat_dtype(v->dtype);
    dr_tensor *d = dr_sub(dr_to_dtype(in[0], stat), dr_to_dtype(in[1], stat));
    if (in[3]) d = dr_mul(d, over_rows(in[3], v->rank));
    d = dr_mul(d, dr_scale(2.0 * mse_factor(v, attr), in[2]));
    return dr_yield(out, dr_to_dtype(d, v->dtype));
}

DR_OP_COMPONENT(mse_backward, "mse_backward(pred, target, dloss, weight) -> dpred; weight may be nil", mse_params,
                .flags = DR_OP_NONDIFF, .n_in = 4, .n_optional = 1, .n_out = 1,
                .in_layout = { DR_LAYOUT_DENSE, DR_LAYOUT_DENSE, DR_LAYOUT_ROW, DR_LAYOUT_ROW },
                .out_layout = { DR_LAYOUT_DENSE }, .infer = mse_backward_infer, .compose = mse_backward_compose)

/* ---- cross_entropy: mean over b of -log softmax(logits[b])[label[b]]; the log-probabilities are kept for backward  */

static dr_status cross_entropy_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "cross_entropy", "logits,label", in, n_in };
    (void)attr, (void)offset;
    if (dr_need_float(&c, 0) != DR_OK || dr_need_rank(&c, 0, 2) != DR_OK || dr_need_dtype(&c, 1, DR_I32) != DR_OK)
        return DR_ESHAPE;
    if (dr_need_shape(&c, 1, 1, in->shape) != DR_OK) return DR_ESHAPE;
    if (in->shape[0] < 1 || in->shape[1] < 1) return dr_refuse(&c, "an empty batch has no loss");
    out[0] = (dr_view){ .dtype = dr_stat_dtype(in->dtype) };
    dr_shape_of(&out[1], dr_stat_dtype(in->dtype), 2, in->shape);
    return DR_OK;
}

static dr_tensor *labels_as(dr_tensor *label, const dr_view *logits) /* [B] -> one-hot [B,K] */
{
    return dr_to_dtype(dr_one_hot(label, logits->shape[1]), dr_stat_dtype(logits->dtype));
}

static dr_status cross_entropy_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in, (void)attr;
    const dr_view *v = dr_tensor_view(in[0]);
    dr_tensor *z = dr_to_dtype(in[0], dr_stat_dtype(v->dtype));
    z = dr_sub(z, dr_amax(z, 1, (int64_t[]){ 1 }, true));
    dr_tensor *log_probability = dr_sub(z, dr_log(dr_sum(dr_exp(z), 1, (int64_t[]){ 1 }, true))); /* [B,K] */
    out[1] = log_probability;
    dr_tensor *of_label = dr_sum(dr_mul(log_probability, labels_as(in[1], v)), 0, NULL, false);
    return dr_yield(&out[0], dr_scale(-1.0 / (double)v->shape[0], of_label));
}

static dr_status cross_entropy_backward(const dr_backward_args *b)
{
    if (b->dout[1]) return dr_fail(DR_EUNSUPPORTED, "cross_entropy: its log-probabilities pass no gradient on");
    if (!b->need[0]) return DR_OK;
    dr_tensor *dlogits =
        dr_apply1("cross_entropy_backward", (dr_tensor *[]){ b->out[1], b->in[1], b->dout[0] }, 3, b->attr);
    return dr_yield(&b->din[0], dr_to_dtype(dlogits, b->in_view[0].dtype));
}

DR_OP_COMPONENT(cross_entropy, "cross_entropy(logits, label) -> mean loss, log-probabilities", NULL, .n_in = 2,
                .n_out = 2, .infer = cross_entropy_infer, .compose = cross_entropy_compose,
                .backward = cross_entropy_backward, .save_in = 2, .save_out = 2)

static dr_status cross_entropy_backward_infer(const dr_view *in, int n_in, const void *attr, dr_view *out,
                                              int64_t *offset)
{
    const dr_infer c = { "cross_entropy_backward", "log_probabilities,label,dloss", in, n_in };
    (void)attr, (void)offset;
    if (dr_need_float(&c, 0) != DR_OK || dr_need_rank(&c, 0, 2) != DR_OK || dr_need_dtype(&c, 1, DR_I32) != DR_OK)
        return DR_ESHAPE;
    if (dr_need_shape(&c, 1, 1, in->shape) != DR_OK || dr_need_dtype(&c, 2, (dr_dtype)in->dtype) != DR_OK)
        return DR_ESHAPE;
    if (dr_need_rank(&c, 2, 0) != DR_OK) return DR_ESHAPE;
    dr_shape_like(out, in);
    return DR_OK;
}

/* (softmax - one_hot) dloss / B */
static dr_status cross_entropy_backward_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in, (void)attr;
    const dr_view *v = dr_tensor_view(in[0]);
    dr_tensor *d = dr_sub(dr_exp(in[0]), labels_as(in[1], v));
    return dr_yield(out, dr_mul(d, dr_scale(1.0 / (double)v->shape[0], in[2])));
}

DR_OP_COMPONENT(cross_entropy_backward, "cross_entropy_backward(log_probabilities, label, dloss) -> dlogits", NULL,
                .flags = DR_OP_NONDIFF, .n_in = 3, .n_out = 1, .infer = cross_entropy_backward_infer,
                .compose = cross_entropy_backward_compose)
