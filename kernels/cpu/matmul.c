/* matmul.c: products by oneDNN: matmul [..,M,K] [..,K,N], leading axes broadcast, and linear y = x W^T + bias. In bf16
 * linear takes its weights in f32 (the optimizer's) and rounds them on the way in; f16 or bf16 ones are widened. */
#include "matmul.h"
#include "bf16.h"
#include "onednn.h"
#include <string.h>

/* [lead.., rows, columns], dense; transposed: memory holds [lead.., columns, rows] */
static dnnl_status_t matrix_desc(dnnl_memory_desc_t *d, int32_t dtype, int leading, const int64_t *lead, int64_t rows,
                                 int64_t columns, bool transposed)
{
    dnnl_dims_t dims = { 0 }, strides = { 0 };
    for (int i = 0; i < leading; i++) dims[i] = lead[i];
    dims[leading] = rows;
    dims[leading + 1] = columns;
    strides[leading] = transposed ? 1 : columns;
    strides[leading + 1] = transposed ? rows : 1;
    int64_t stride = rows * columns;
    for (int i = leading - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= dims[i];
    }
    return dnnl_memory_desc_create_with_strides(d, leading + 2, dims, dtype == DR_BF16 ? dnnl_bf16 : dnnl_f32, strides);
}

/* A frozen weight that has to be rounded, widened or in bf16 arranged anyway is kept as oneDNN likes it best. One in
 * f32 is read where it lies, which costs it no second memory. */
static bool is_kept(const dr_product *p) { return p->frozen && (p->dtype == DR_BF16 || p->b_dtype != DR_F32); }

static dnnl_status_t best_desc(dnnl_memory_desc_t *d, const dr_product *p)
{
    const dnnl_dims_t dims = { p->K, p->N };
    return dnnl_memory_desc_create_with_tag(d, 2, dims, p->dtype == DR_BF16 ? dnnl_bf16 : dnnl_f32, dnnl_format_tag_any);
}

static dr_onednn_plan *product_plan(const dr_kargs *a, const dr_product *p, bool has_bias)
{
    dr_onednn *o = ((cpu *)a->backend)->onednn;
    dr_onednn_key key = { { DR_ONEDNN_MATMUL, p->M, p->N, p->K, p->transpose_a, p->transpose_b, has_bias,
                            p->leading } };
    int64_t lead_y[3];
    for (int i = 0; i < p->leading; i++) {
        key.v[8 + i] = p->lead_a[i];
        key.v[11 + i] = p->lead_b[i];
        lead_y[i] = p->lead_a[i] > p->lead_b[i] ? p->lead_a[i] : p->lead_b[i];
    }
    const int32_t dtypes[] = { p->dtype, p->b_dtype, p->bias_dtype, p->y_dtype };
    for (int i = 0; i < 4; i++) key.v[14 + i] = dtypes[i];
    key.v[18] = is_kept(p);
    dr_onednn_plan *plan = dr_onednn_find(o, &key);
    if (plan) return plan;

    static const int64_t ones[3] = { 1, 1, 1 };
    dnnl_memory_desc_t A = NULL, B = NULL, inner_B = NULL, bias = NULL, y = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t s = matrix_desc(&A, p->dtype, p->leading, p->lead_a, p->M, p->K, p->transpose_a);
    const int32_t first = p->b_dtype == DR_F16 ? p->dtype : p->b_dtype; /* what f16 is made of, to begin with */
    if (s == dnnl_success) s = matrix_desc(&B, first, p->leading, p->lead_b, p->K, p->N, p->transpose_b);
    if (s == dnnl_success && is_kept(p)) s = best_desc(&inner_B, p);
    else if (s == dnnl_success) s = matrix_desc(&inner_B, p->dtype, p->leading, p->lead_b, p->K, p->N, p->transpose_b);
    if (s == dnnl_success && has_bias) s = matrix_desc(&bias, p->bias_dtype, p->leading, ones, 1, p->N, false);
    if (s == dnnl_success) s = matrix_desc(&y, p->y_dtype, p->leading, lead_y, p->M, p->N, false);
    if (s == dnnl_success)
        s = dnnl_matmul_primitive_desc_create(&pd, dr_onednn_engine(o), A, inner_B, bias, y, dr_onednn_attr(o));
    if (inner_B) dnnl_memory_desc_destroy(inner_B);
    if (dr_onednn_check(a, s, "primitive descriptor") != DR_OK) {
        const dnnl_memory_desc_t made[] = { A, B, bias, y };
        for (int i = 0; i < 4; i++) {
            if (made[i]) dnnl_memory_desc_destroy(made[i]);
        }
        return NULL;
    }
    const int32_t narrow = p->b_dtype == DR_F16 || (p->b_dtype == DR_BF16 && p->dtype == DR_F32) ? p->b_dtype : 0;
    const dr_onednn_arg args[] = { { DNNL_ARG_SRC, false, A, 0, 0 },
                                   { DNNL_ARG_WEIGHTS, false, B, narrow, p->K * p->N },
                                   { DNNL_ARG_BIAS, false, bias, 0, 0 },
                                   { DNNL_ARG_DST, true, y, 0, 0 } };
    return dr_onednn_add(o, a, &key, pd, args, 4);
}

dr_status dr_multiply(const dr_kargs *a, const dr_product *p, void *A, void *B, void *bias, void *y)
{
    dr_onednn_plan *plan = product_plan(a, p, bias != NULL);
    const dr_onednn_weight weight = is_kept(p) ? DR_WEIGHT_KEPT : p->frozen ? DR_WEIGHT_FROZEN : DR_WEIGHT_CHANGES;
    return plan ? dr_onednn_run(((cpu *)a->backend)->onednn, a, plan, (void *[]){ A, B, bias, y }, weight) : dr_failed();
}

/* Leading axes as few as possible: where B is repeated along all of them, they are more rows of A; where A and B have
 * the same ones, they are one axis. */
static void fold(dr_product *p)
{
    int64_t count_a = 1, count_b = 1;
    bool same = true;
    for (int i = 0; i < p->leading; i++) {
        count_a *= p->lead_a[i];
        count_b *= p->lead_b[i];
        same = same && p->lead_a[i] == p->lead_b[i];
    }
    if (count_b == 1 && !p->transpose_a) {
        p->M *= count_a;
        p->leading = 0;
    } else if (same) {
        p->leading = 1;
        p->lead_a[0] = p->lead_b[0] = count_a;
    }
}

/* ---- kernels ----------------------------------------------------------------------------------------------------- */

static void matmul_any(const dr_kargs *a) /* a [..,M,K], b [..,K,N] -> y [..,M,N] */
{
    const dr_matmul_attr *attr = a->attr;
    const dr_view *A = &a->in[0], *B = &a->in[1], *y = &a->out[0];
    dr_product p = { .M = y->shape[y->rank - 2],
                     .N = y->shape[y->rank - 1],
                     .K = A->shape[attr->transpose_a ? A->rank - 2 : A->rank - 1],
                     .transpose_a = attr->transpose_a,
                     .transpose_b = attr->transpose_b,
                     .leading = y->rank - 2,
                     .dtype = A->dtype,
                     .b_dtype = B->dtype,
                     .y_dtype = y->dtype };
    for (int i = 0; i < p.leading; i++) {
        const int in_a = i - (y->rank - A->rank), in_b = i - (y->rank - B->rank); /* axes align at the right */
        p.lead_a[i] = in_a < 0 ? 1 : A->shape[in_a];
        p.lead_b[i] = in_b < 0 ? 1 : B->shape[in_b];
    }
    if (dr_numel(y) == 0) return;
    if (p.K == 0) {
        memset(y->data, 0, (size_t)dr_numel(y) * (y->dtype == DR_BF16 ? 2 : sizeof(float)));
        return;
    }
    fold(&p);
    dr_multiply(a, &p, A->data, B->data, NULL, y->data);
}

static void matmul_f32(const dr_kargs *a) { matmul_any(a); }

static dr_product linear_product(const dr_kargs *a)
{
    const dr_view *x = &a->in[0], *weight = &a->in[1];
    return (dr_product){ .M = dr_count(x, 0, x->rank - 1),
                         .N = weight->shape[0],
                         .K = weight->shape[1],
                         .transpose_b = true,
                         .dtype = x->dtype,
                         .b_dtype = weight->dtype,
                         .bias_dtype = dr_optional(a, 2) ? a->in[2].dtype : DR_F32,
                         .y_dtype = a->out[0].dtype,
                         .frozen = a->frozen >> 1 & 1 };
}

static void linear_f32(const dr_kargs *a) /* x [..,K], weight [N,K], bias [N] or NULL -> y [..,N] */
{
    const dr_view *x = &a->in[0], *y = &a->out[0];
    const dr_product p = linear_product(a);
    const int64_t N = p.N, K = p.K;
    const float *bias = dr_optional(a, 2);
    if (dr_numel(y) == 0) return;
    if (K == 0) {
        for (int64_t i = 0; i < p.M; i++)
            for (int64_t n = 0; n < N; n++) ((float *)y->data)[i * N + n] = bias ? bias[n] : 0.0f;
        return;
    }
    dr_multiply(a, &p, x->data, dr_in(a, 1), dr_optional(a, 2), y->data);
}

#if defined(__AVX512BF16__) || defined(__AMX_BF16__)
static void matmul_bf16(const dr_kargs *a) { matmul_any(a); }

static void linear_bf16(const dr_kargs *a)
{
    const dr_product p = linear_product(a);
    if (dr_numel(&a->out[0]) == 0) return;
    if (p.K > 0) {
        dr_multiply(a, &p, dr_in(a, 0), dr_in(a, 1), dr_optional(a, 2), dr_out(a, 0));
        return;
    }
    const void *bias = dr_optional(a, 2); /* no features: the bias is all there is */
    for (int64_t i = 0; i < p.M; i++)
        for (int64_t n = 0; n < p.N; n++)
            dr_store(DR_BF16, dr_out(a, 0), i * p.N + n, bias ? dr_load(p.bias_dtype, bias, n) : 0.0f);
}

DR_KERNEL(matmul, DR_BF16, matmul_bf16)
DR_KERNEL(linear, DR_BF16, linear_bf16)
#endif

DR_KERNEL(matmul, DR_F32, matmul_f32)
DR_KERNEL(linear, DR_F32, linear_f32)
