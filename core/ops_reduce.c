/* ops_reduce.c: sum, mean, amax over some axes (none named: all), and sum_to, which undoes broadcasting. Sums and
 * means of bf16 and f16 are f32. */
#include "ops_shape.h"

static const dr_param params[] = {
    DR_INTS(dr_reduce_attr, dims, -DR_MAX_RANK, DR_MAX_RANK - 1, "axes to reduce; none: all"),
    DR_BOOL(dr_reduce_attr, keepdim, false, "keep reduced axes, of size 1"),
    DR_END,
};

static dr_status reduced_axes(const dr_infer *c, const dr_ints *dims, bool reduced[DR_MAX_RANK])
{
    for (int i = 0; i < DR_MAX_RANK; i++) reduced[i] = dims->n == 0;
    for (int i = 0; i < dims->n; i++) {
        int axis;
        if (dr_need_axis(c, dims->v[i], &axis) != DR_OK) return DR_ESHAPE;
        if (reduced[axis]) return dr_refuse(c, "axis %d is named twice", axis);
        reduced[axis] = true;
    }
    return DR_OK;
}

static dr_status reduce_infer(const char *op, const dr_view *in, int n_in, const dr_reduce_attr *a, int32_t dtype,
                              dr_view *out)
{
    const dr_infer c = { op, "x", in, n_in };
    bool reduced[DR_MAX_RANK];
    if (dr_need_float(&c, 0) != DR_OK || reduced_axes(&c, &a->dims, reduced) != DR_OK) return DR_ESHAPE;
    *out = (dr_view){ .dtype = dtype };
    for (int i = 0; i < in->rank; i++) {
        if (!reduced[i]) out->shape[out->rank++] = in->shape[i];
        else if (a->keepdim) out->shape[out->rank++] = 1;
    }
    return DR_OK;
}

/* x's shape with reduced axes of size 1: what y and dy must have to broadcast against x. */
static dr_tensor *with_kept_axes(const dr_backward_args *b, dr_tensor *y, int64_t *count)
{
    const dr_view *x = &b->in_view[0];
    const dr_infer c = { "reduction", "x", x, 1 };
    bool reduced[DR_MAX_RANK];
    if (reduced_axes(&c, &((const dr_reduce_attr *)b->attr)->dims, reduced) != DR_OK) return NULL;
    int64_t shape[DR_MAX_RANK];
    *count = 1;
    for (int i = 0; i < x->rank; i++) {
        shape[i] = reduced[i] ? 1 : x->shape[i];
        if (reduced[i]) *count *= x->shape[i];
    }
    return dr_reshape(y, x->rank, shape);
}

/* ---- sum ---- */
static dr_status sum_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)offset;
    return reduce_infer("sum", in, n_in, attr, dr_stat_dtype(in->dtype), out);
}

static dr_status sum_backward(const dr_backward_args *b)
{
    int64_t count;
    dr_tensor *dy = dr_to_dtype(with_kept_axes(b, b->dout[0], &count), b->in_view[0].dtype);
    return dr_yield(&b->din[0], dr_expand(dy, b->in_view[0].rank, b->in_view[0].shape));
}

DR_OP_COMPONENT(sum, "sum(x) over axes", params, .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_DENSE },
                .infer = sum_infer, .backward = sum_backward)

/* ---- mean ---- */
static dr_status mean_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)offset;
    return reduce_infer("mean", in, n_in, attr, dr_stat_dtype(in->dtype), out);
}

static dr_status mean_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in;
    const dr_reduce_attr *a = attr;
    dr_tensor *total = dr_sum(in[0], (int)a->dims.n, a->dims.v, a->keepdim);
    const dr_view *x = dr_tensor_view(in[0]), *y = dr_tensor_view(total);
    if (!x || !y) return dr_failed();
    double count = 1.0; /* elements of x for each of y */
    for (int i = 0; i < x->rank; i++) count *= (double)x->shape[i];
    for (int i = 0; i < y->rank; i++) count /= (double)y->shape[i];
    return dr_yield(out, dr_scale(1.0 / count, total));
}

static dr_status mean_backward(const dr_backward_args *b)
{
    int64_t count;
    dr_tensor *dy = dr_scale(1.0 / (double)count, with_kept_axes(b, b->dout[0], &count));
    dy = dr_to_dtype(dy, b->in_view[0].dtype);
    return dr_yield(&b->din[0], dr_expand(dy, b->in_view[0].rank, b->in_view[0].shape));
}

DR_OP_COMPONENT(mean, "mean(x) over axes", params, .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_DENSE },
                .infer = mean_infer, .compose = mean_compose, .backward = mean_backward)

/* ---- amax: equal maxima share the gradient ---- */
static dr_status amax_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "amax", "x", in, n_in };
    (void)offset;
    for (int i = 0; i < in->rank; i++) {
        if (in->shape[i] == 0) return dr_refuse(&c, "an empty tensor has no maximum");
    }
    return reduce_infer("amax", in, n_in, attr, in->dtype, out);
}

static dr_status amax_backward(const dr_backward_args *b)
{
    int64_t count;
    dr_tensor *x = b->in[0], *y = with_kept_axes(b, b->out[0], &count), *dy = with_kept_axes(b, b->dout[0], &count);
    dr_tensor *is_max = dr_affine(-1.0, dr_greater(y, x), 1.0); /* 1 where x = y */
    const dr_view *kept = dr_tensor_view(y);
    if (!kept) return dr_failed();
    return dr_yield(&b->din[0], dr_mul(is_max, dr_div(dy, dr_sum_like(is_max, kept))));
}

DR_OP_COMPONENT(amax, "amax(x): the maximum over axes", params, .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_DENSE },
                .infer = amax_infer, .backward = amax_backward, .save_in = 1, .save_out = 1)

/* ---- sum_to ---- */
static const dr_param sum_to_params[] = {
    DR_INTS(dr_sum_to_attr, shape, 0, 281474976710656, "the shape to sum to; it broadcasts to x's"),
    DR_END,
};

static dr_status sum_to_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_ints *want = &((const dr_sum_to_attr *)attr)->shape;
    const dr_infer c = { "sum_to", "x", in, n_in };
    (void)offset;
    if (dr_need_float(&c, 0) != DR_OK) return DR_ESHAPE;
    bool fits = want->n <= in->rank;
    for (int64_t i = 1; fits && i <= want->n; i++)
        fits = want->v[want->n - i] == 1 || want->v[want->n - i] == in->shape[in->rank - i];
    char text[128];
    dr_shape_of(out, dr_stat_dtype(in->dtype), want->n < DR_MAX_RANK ? (int)want->n : DR_MAX_RANK, want->v);
    return fits ? DR_OK : dr_refuse(&c, "does not sum to %s", dr_view_text(out, text, sizeof text));
}

static dr_status sum_to_backward(const dr_backward_args *b)
{
    dr_tensor *dy = dr_to_dtype(b->dout[0], b->in_view[0].dtype);
    return dr_yield(&b->din[0], dr_expand(dy, b->in_view[0].rank, b->in_view[0].shape));
}

DR_OP_COMPONENT(sum_to, "sum_to(x): x summed to a shape that broadcasts to x's", sum_to_params, .n_in = 1, .n_out = 1,
                .in_layout = { DR_LAYOUT_DENSE }, .infer = sum_to_infer, .backward = sum_to_backward)
