/* ops_matmul.c: matmul over the last two axes, leading axes broadcast; and linear, y = x weight^T + bias. Beside
 * half matrices others may be f32: the result is half, but for the gradients of those, which are f32. */
#include "ops_shape.h"

static const dr_param params[] = {
    DR_BOOL(dr_matmul_attr, transpose_a, false, "a is [..,K,M]"),
    DR_BOOL(dr_matmul_attr, transpose_b, false, "b is [..,N,K]"),
    DR_BOOL(dr_matmul_attr, wide, false, "the result of bf16 or f16 matrices is f32"),
    DR_END,
};

static dr_status matmul_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "matmul", "a,b", in, n_in };
    const dr_matmul_attr *t = attr;
    int32_t dtype;
    (void)offset;
    if (dr_need_mixable(&c, &dtype) != DR_OK) return DR_ESHAPE;
    if (in[0].rank < 2 || in[1].rank < 2) return dr_refuse(&c, "a and b must have two axes or more");
    const int64_t *a = &in[0].shape[in[0].rank - 2], *b = &in[1].shape[in[1].rank - 2];
    const int64_t M = a[t->transpose_a], K = a[!t->transpose_a], N = b[!t->transpose_b];
    if (b[t->transpose_b] != K) {
        return dr_refuse(&c, "inner sizes %lld and %lld differ%s%s", (long long)K, (long long)b[t->transpose_b],
                         t->transpose_a ? ", a transposed" : "", t->transpose_b ? ", b transposed" : "");
    }
    dr_view lead[2] = { in[0], in[1] };
    lead[0].rank -= 2;
    lead[1].rank -= 2;
    if (dr_broadcast(&(dr_infer){ "matmul", "leading axes of a,of b", lead, 2 }, out) != DR_OK) return DR_ESHAPE;
    out->shape[out->rank++] = M;
    out->shape[out->rank++] = N;
    out->dtype = t->wide ? (int32_t)dr_stat_dtype(dtype) : dtype;
    return DR_OK;
}

/* a b, in f32 where `like` is: the gradient of an f32 weight in a network that computes in half precision */
static dr_tensor *product_like(dr_tensor *a, dr_tensor *b, bool transpose_a, bool transpose_b, const dr_view *like)
{
    const dr_matmul_attr attr = { transpose_a, transpose_b, like->dtype == DR_F32 };
    return dr_apply1("matmul", (dr_tensor *[]){ a, b }, 2, &attr);
}

/* With A = op(a), B = op(b): dA = dy B^T, dB = A^T dy; each written so that no transpose is made in memory. */
static dr_status matmul_backward(const dr_backward_args *args)
{
    const dr_matmul_attr *t = args->attr;
    dr_tensor *a = args->in[0], *b = args->in[1], *dy = args->dout[0];
    const dr_view *like = args->in_view;
    if (args->need[0]) {
        dr_tensor *da = t->transpose_a ? product_like(b, dy, t->transpose_b, true, &like[0])
                                       : product_like(dy, b, false, !t->transpose_b, &like[0]);
        args->din[0] = dr_sum_like(da, &like[0]);
    }
    if (args->need[1]) {
        dr_tensor *db = t->transpose_b ? product_like(dy, a, true, t->transpose_a, &like[1])
                                       : product_like(a, dy, !t->transpose_a, false, &like[1]);
        args->din[1] = dr_sum_like(db, &like[1]);
    }
    return dr_failed();
}

DR_OP_COMPONENT(matmul, "matmul(a, b): [..,M,K] [..,K,N] -> [..,M,N]", params, .flags = DR_OP_ONE_DTYPE, .n_in = 2,
                .n_out = 1,
                .in_layout = { DR_LAYOUT_ROW, DR_LAYOUT_ROW }, .infer = matmul_infer, .backward = matmul_backward,
                .save_in = 1 | 2)

/* ---- linear: x [..,K], weight [N,K], bias [N] or NULL -> [..,N] -------------------------------------------------- */

static dr_status linear_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "linear", "x,weight,bias", in, n_in };
    const dr_view *x = &in[0], *weight = &in[1];
    (void)attr, (void)offset;
    if (dr_need_any_weight(&c) != DR_OK || dr_need_rank(&c, 1, 2) != DR_OK ||
        dr_need_shape(&c, 2, 1, weight->shape) != DR_OK)
        return DR_ESHAPE;
    if (x->rank < 1) return dr_refuse(&c, "x must have an axis of features");
    if (x->shape[x->rank - 1] != weight->shape[1]) {
        return dr_refuse(&c, "weight expects %lld features, got %lld", (long long)weight->shape[1],
                         (long long)x->shape[x->rank - 1]);
    }
    dr_shape_like(out, x);
    out->shape[x->rank - 1] = weight->shape[0];
    return DR_OK;
}

/* [..,n] -> [M,n] */
static dr_tensor *rows_of(dr_tensor *x)
{
    const dr_view *v = dr_tensor_view(x);
    if (!v || v->rank == 2) return x;
    int64_t rows = 1;
    for (int i = 0; i + 1 < v->rank; i++) rows *= v->shape[i];
    return dr_reshape(x, 2, (int64_t[]){ rows, v->shape[v->rank - 1] });
}

static dr_status linear_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in, (void)attr;
    const dr_view *x = dr_tensor_view(in[0]), *weight = dr_tensor_view(in[1]);
    dr_tensor *y = dr_matmul(rows_of(in[0]), dr_weight_beside(in[1], x->dtype), false, true); /* [M,N] */
    if (in[2]) y = dr_add(y, in[2]);
    dr_view full = *x;
    full.shape[x->rank - 1] = weight->shape[0];
    return dr_yield(out, dr_reshape_like(y, &full));
}

static dr_status linear_backward(const dr_backward_args *b)
{
    dr_tensor *dy = rows_of(b->dout[0]); /* [M,N] */
    if (b->need[0]) {
        dr_tensor *weight = dr_weight_beside(b->in[1], b->in_view[0].dtype);
        b->din[0] = dr_reshape_like(dr_matmul(dy, weight, false, false), &b->in_view[0]);
    }
    if (b->need[1]) b->din[1] = product_like(dy, rows_of(b->in[0]), true, false, &b->in_view[1]);
    if (dr_given(b->in_view, b->n_in, 2) && b->need[2])
        b->din[2] = dr_to_dtype(dr_sum(dy, 1, (int64_t[]){ 0 }, false), b->in_view[2].dtype);
    return dr_failed();
}

DR_OP_COMPONENT(linear, "linear(x, weight, bias) = x weight^T + bias over the last axis; bias may be nil", NULL,
                .flags = DR_OP_ANY_WEIGHT, .n_in = 3, .n_optional = 1, .n_out = 1, .in_layout = { DR_LAYOUT_ROW, DR_LAYOUT_ROW, DR_LAYOUT_ROW },
                .infer = linear_infer, .compose = linear_compose, .backward = linear_backward, .save_in = 1 | 2)
