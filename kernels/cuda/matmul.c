/* matmul.c: products by cuBLASLt: matmul [..,M,K] [..,K,N], leading axes broadcast, and linear y = x W^T + bias. Small ones
 * go to a kernel of our own, which takes 3 us where cuBLASLt takes 15. In bf16 linear may have its weights in f32 (the
 * optimizer's): they are rounded first, and a bias is added to sums in f32, so that the result is rounded once. */
#include "matmul.h"

static size_t size_of(int32_t dtype) { return dtype == DR_BF16 ? 2 : sizeof(float); }
static size_t whole_lines(int64_t bytes) { return ((size_t)bytes + 255) / 256 * 256; }

/* Does the kernel of our own take it: since it is done sooner, or since its sums have one order whatever M is? It has no
 * tensor cores, and goes through K in one block. bias: y in bf16 takes a second launch with cuBLASLt. */
static bool is_own(const dr_kargs *a, const dr_cuda_product *p, bool bias)
{
    if (dr_cuda_of(a)->batch_invariant) return true;
    const bool tensor_cores = p->dtype == DR_BF16 || dr_cuda_of(a)->tf32;
    const double terms = (double)p->M * (double)p->N * (double)p->K * (double)p->batch;
    const bool second_launch = p->dtype == DR_BF16 && bias;
    return p->K <= 1024 && terms <= (tensor_cores && !second_launch ? 1 << 22 : 1 << 24);
}

/* By cuBLASLt where it can and should, else by the kernel of our own. bias: NULL where y is bf16 */
static dr_status multiply(const dr_kargs *a, const dr_cuda_product *p, const void *A, const void *B, const void *bias, void *y)
{
    const bool own = is_own(a, p, false);
    const dr_cublaslt_plan *plan = own ? NULL : dr_cublaslt_find(a, p, A, B, bias, y);
    if (!own && !plan) return dr_failed();
    if (own || plan->refused) {
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
                          .y_dtype = y->dtype,
                          .b_dtype = A->dtype };
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

enum { SUMS_BYTES = 32 << 20 }; /* at most, so that they are still in the cache when they are rounded */

/* Large, in bf16, with a bias or weights in f32. The workspace holds the product's own, the rounded weights, and with a bias
 * the sums of some rows. */
static void linear_in_parts(const dr_kargs *a, dr_cuda_product p, const void *bias)
{
    static _Alignas(256) const char aligned[256]; /* stands for tensors that begin where a workspace does */
    const dr_view *weight = &a->in[1];
    const bool round_weight = weight->dtype == DR_F32;
    const int64_t M = p.M, most = SUMS_BYTES / 4 / p.N / 128 * 128; /* whole 256 bytes of x and y */
    char *y = dr_out(a, 0);
    const char *x = dr_in(a, 0);
    p.b_dtype = DR_BF16;
    if (bias) p.y_dtype = DR_F32;
    if (bias && M > most) p.M = most > 0 ? most : 128;
    const int64_t rows = p.M;
    const dr_cublaslt_plan *plan = dr_cublaslt_find(a, &p, x, round_weight ? aligned : weight->data, NULL, bias ? aligned : y);
    if (!plan) return;
    p.M = (M - 1) % rows + 1; /* the last part */
    const dr_cublaslt_plan *last = dr_cublaslt_find(a, &p, x, round_weight ? aligned : weight->data, NULL, bias ? aligned : y);
    if (!last) return;
    const size_t own = whole_lines((int64_t)(plan->workspace > last->workspace ? plan->workspace : last->workspace));
    const size_t weight_bytes = round_weight ? whole_lines(p.N * p.K * 2) : 0;
    char *workspace = dr_cuda_workspace(a, own + weight_bytes + (bias ? whole_lines(rows * p.N * 4) : 0));
    if (!workspace) return;
    void *rounded = workspace + own;
    float *sums = (float *)(workspace + own + weight_bytes);
    if (round_weight) dr_round_to_bf16(a, weight->data, p.N * p.K, rounded);
    const void *B = round_weight ? rounded : weight->data;
    for (int64_t row = 0; row < M && !dr_failed(); row += rows) {
        p.M = M - row < rows ? M - row : rows;
        const void *A = x + row * p.K * 2;
        void *to = y + row * p.N * 2;
        const dr_cublaslt_plan *now = p.M == rows ? plan : last;
        if (now->refused) dr_matmul_direct(a, &p, A, B, NULL, bias ? sums : to);
        else dr_cublaslt_run(a, now, A, B, NULL, bias ? sums : to, workspace);
        if (bias) dr_round_sums(a, sums, bias, a->in[2].dtype, to, p.M, p.N);
    }
}

static void linear(const dr_kargs *a) /* x [..,K], weight [N,K], bias [N] or NULL -> y [..,N] */
{
    const dr_view *x = &a->in[0], *weight = &a->in[1];
    const void *bias = dr_optional(a, 2);
    const dr_cuda_product p = { .M = dr_count(x, 0, x->rank - 1),
                                .N = weight->shape[0],
                                .K = weight->shape[1],
                                .batch = 1,
                                .transpose_b = true,
                                .dtype = x->dtype,
                                .y_dtype = a->out[0].dtype,
                                .b_dtype = weight->dtype,
                                .bias_dtype = bias ? a->in[2].dtype : x->dtype };
    if (dr_numel(&a->out[0]) == 0) return;
    if (is_own(a, &p, bias != NULL)) dr_matmul_direct(a, &p, x->data, weight->data, bias, dr_out(a, 0));
    else if (x->dtype == DR_BF16 && (bias || weight->dtype == DR_F32)) linear_in_parts(a, p, bias);
    else multiply(a, &p, x->data, weight->data, bias, dr_out(a, 0));
}

DR_KERNEL(matmul, DR_F32, matmul)
DR_KERNEL(matmul, DR_BF16, matmul)
DR_KERNEL(linear, DR_F32, linear)
DR_KERNEL(linear, DR_BF16, linear)
