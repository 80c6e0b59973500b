/* matmul.c: products by cuBLASLt: matmul [..,M,K] [..,K,N], leading axes broadcast, and linear y = x W^T + bias. In bf16
 * linear may have its weights in f32 (the optimizer's): they are rounded into the workspace first. */
#include "matmul.h"

static size_t size_of(int32_t dtype) { return dtype == DR_BF16 ? 2 : sizeof(float); }

/* By cuBLASLt where it can, else by the kernel of our own. */
static dr_status multiply(const dr_kargs *a, const dr_cuda_product *p, const void *A, const void *B, const void *bias, void *y)
{
    const dr_cublaslt_plan *plan = p->K > 0 ? dr_cublaslt_find(a, p, A, B, bias, y) : NULL;
    if (p->K > 0 && !plan) return dr_failed();
    if (!plan || plan->refused) {
        dr_matmul_direct(a, p, A, B, bias, y);
        return dr_failed();
    }
    void *workspace = plan->workspace ? dr_cuda_workspace(a, plan->workspace) : NULL;
    if (plan->workspace && !workspace) return dr_failed();
    return dr_cublaslt_run(a, plan, A, B, bias, y, workspace);
}

/* ---- matmul ------------------------------------------------------------------------------------------------------ */

/* Leading axes, as few as possible: neighbours along which the same operands are repeated are one axis. */
typedef struct leading {
    int n;
    int64_t count[DR_MAX_RANK], stride_a[DR_MAX_RANK], stride_b[DR_MAX_RANK]; /* in elements; 0: repeated */
} leading;

static leading leading_axes(const dr_view *A, const dr_view *B, const dr_view *y)
{
    leading l = { 0 };
    int64_t step_a = dr_count(A, A->rank - 2, A->rank), step_b = dr_count(B, B->rank - 2, B->rank);
    for (int i = y->rank - 3; i >= 0; i--) { /* from the innermost */
        const int in_a = i - (y->rank - A->rank), in_b = i - (y->rank - B->rank); /* axes align at the right */
        const bool has_a = in_a >= 0 && A->shape[in_a] > 1, has_b = in_b >= 0 && B->shape[in_b] > 1;
        const int64_t count = y->shape[i];
        const int last = l.n - 1;
        if (count == 1) continue;
        if (last >= 0 && has_a == (l.stride_a[last] > 0) && has_b == (l.stride_b[last] > 0)) {
            l.count[last] *= count;
        } else {
            l.count[l.n] = count;
            l.stride_a[l.n] = has_a ? step_a : 0;
            l.stride_b[l.n] = has_b ? step_b : 0;
            l.n++;
        }
        step_a *= has_a ? count : 1;
        step_b *= has_b ? count : 1;
    }
    return l;
}

/* One batch for the innermost axis, for each index of the others. */
static void multiply_all(const dr_kargs *a, dr_cuda_product *p, const leading *l, const char *A, const char *B, char *y)
{
    const size_t size = size_of(p->dtype);
    int64_t at[DR_MAX_RANK] = { 0 }, batches = 1;
    if (l->n > 0) {
        p->batch = l->count[0];
        p->stride_a = l->stride_a[0];
        p->stride_b = l->stride_b[0];
    }
    for (int d = 1; d < l->n; d++) batches *= l->count[d];
    for (int64_t i = 0; i < batches; i++) {
        int64_t from_a = 0, from_b = 0;
        for (int d = 1; d < l->n; d++) {
            from_a += at[d] * l->stride_a[d];
            from_b += at[d] * l->stride_b[d];
        }
        char *to = y + (size_t)(i * p->batch * p->M * p->N) * size_of(p->y_dtype);
        if (multiply(a, p, A + (size_t)from_a * size, B + (size_t)from_b * size, NULL, to) != DR_OK) return;
        for (int d = 1; d < l->n && ++at[d] == l->count[d]; d++) at[d] = 0;
    }
}

static void matmul(const dr_kargs *a) /* a [..,M,K], b [..,K,N] -> y [..,M,N] */
{
    const dr_matmul_attr *attr = a->attr;
    const dr_view *A = &a->in[0], *B = &a->in[1], *y = &a->out[0];
    dr_cuda_product p = { .M = y->shape[y->rank - 2],
                          .N = y->shape[y->rank - 1],
                          .K = A->shape[attr->transpose_a ? A->rank - 2 : A->rank - 1],
                          .batch = 1,
                          .transpose_a = attr->transpose_a,
                          .transpose_b = attr->transpose_b,
                          .dtype = A->dtype,
                          .y_dtype = y->dtype };
    if (dr_numel(y) == 0) return;
    leading l = leading_axes(A, B, y);
    if (l.n > 0 && !p.transpose_a && l.stride_a[0] > 0 && l.stride_b[0] == 0) { /* B repeated: more rows of A */
        p.M *= l.count[0];
        l.n--;
        for (int d = 0; d < l.n; d++) {
            l.count[d] = l.count[d + 1];
            l.stride_a[d] = l.stride_a[d + 1];
            l.stride_b[d] = l.stride_b[d + 1];
        }
    }
    multiply_all(a, &p, &l, A->data, B->data, y->data);
}

/* ---- linear ------------------------------------------------------------------------------------------------------ */

/* bf16 x beside weights in f32: what is rounded lies behind the product's own workspace, whose size the plan says. */
static void linear_rounding(const dr_kargs *a, const dr_cuda_product *p)
{
    const dr_view *weight = &a->in[1], *bias = dr_optional(a, 2) ? &a->in[2] : NULL;
    const bool round_weight = weight->dtype == DR_F32, round_bias = bias && bias->dtype == DR_F32;
    const size_t weight_bytes = round_weight ? ((size_t)(p->N * p->K) * 2 + 255) / 256 * 256 : 0;
    const size_t bias_bytes = round_bias ? ((size_t)p->N * 2 + 255) / 256 * 256 : 0;
    static _Alignas(256) const char aligned[256]; /* stands for tensors that begin where a workspace does */
    const dr_cublaslt_plan *plan = NULL;
    if (p->K > 0) {
        const void *bias_at = bias ? round_bias ? aligned : bias->data : NULL;
        plan = dr_cublaslt_find(a, p, dr_in(a, 0), round_weight ? aligned : weight->data, bias_at, dr_out(a, 0));
        if (!plan) return;
    }
    const size_t own = plan ? (plan->workspace + 255) / 256 * 256 : 0;
    char *workspace = dr_cuda_workspace(a, own + weight_bytes + bias_bytes);
    if (!workspace) return;
    void *rounded_weight = workspace + own, *rounded_bias = workspace + own + weight_bytes;
    dr_round_to_bf16(a, weight->data, round_weight ? p->N * p->K : 0, rounded_weight, bias ? bias->data : NULL,
                     round_bias ? p->N : 0, rounded_bias);
    const void *B = round_weight ? rounded_weight : weight->data;
    const void *b = bias ? round_bias ? rounded_bias : bias->data : NULL;
    if (plan && !plan->refused) dr_cublaslt_run(a, plan, dr_in(a, 0), B, b, dr_out(a, 0), workspace);
    else dr_matmul_direct(a, p, dr_in(a, 0), B, b, dr_out(a, 0));
}

static void linear(const dr_kargs *a) /* x [..,K], weight [N,K], bias [N] or NULL -> y [..,N] */
{
    const dr_view *x = &a->in[0], *weight = &a->in[1];
    const dr_cuda_product p = { .M = dr_count(x, 0, x->rank - 1),
                                .N = weight->shape[0],
                                .K = weight->shape[1],
                                .batch = 1,
                                .transpose_b = true,
                                .dtype = x->dtype,
                                .y_dtype = a->out[0].dtype };
    if (dr_numel(&a->out[0]) == 0) return;
    const bool rounding = x->dtype == DR_BF16 && (weight->dtype == DR_F32 || (dr_optional(a, 2) && a->in[2].dtype == DR_F32));
    if (rounding) linear_rounding(a, &p);
    else multiply(a, &p, x->data, weight->data, dr_optional(a, 2), dr_out(a, 0));
}

DR_KERNEL(matmul, DR_F32, matmul)
DR_KERNEL(matmul, DR_BF16, matmul)
DR_KERNEL(linear, DR_F32, linear)
DR_KERNEL(linear, DR_BF16, linear)
