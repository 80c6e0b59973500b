/* cublaslt.c: matrix products by cuBLASLt. What it proposes for a product is asked once and kept by shape, types and
 * alignment. cuBLASLt's matrices are column-major, and a row-major y = A B is a column-major y^T = B^T A^T: so its first
 * operand is our B, its rows are our N, and a bias along its rows is a bias along our columns.
 *
 * Where K is split among blocks, the parts must be added in a fixed order, and in f32. The scheme COMPUTE_TYPE writes f32
 * parts into the workspace and adds them in a second step. INPLACE adds them in the output's type, one after another as
 * blocks come to it; OUTPUT_TYPE rounds parts to the output's type. So the latter is never allowed, and INPLACE only where
 * results may change from run to run and y is f32. */
#include "cuda_calls.h"
#include "libraries.h"
#include "matmul.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 256 };

typedef struct product_key { /* without gaps, so that memcmp compares it */
    int64_t M, N, K, batch, stride_a, stride_b;
    int32_t transpose_a, transpose_b, dtype, y_dtype;
    int32_t align_a, align_b, align_bias, align_y; /* bytes; align_bias is 0 without one */
} product_key;

struct dr_cublaslt_choice {
    dr_cublaslt_plan plan;
    product_key key;
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t A, B, y;
    cublasLtMatmulAlgo_t algorithm;
    struct dr_cublaslt_choice *next;
};
typedef struct dr_cublaslt_choice choice;

struct dr_cublaslt {
    cuda *cuda;
    cublasLtHandle_t handle;
    uint64_t most_workspace; /* bytes */
    choice *made[BUCKETS];
};

static dr_status check(const cuda *c, cublasStatus_t status, const char *op, const char *what)
{
    if (status == CUBLAS_STATUS_SUCCESS) return DR_OK;
    return dr_fail(status == CUBLAS_STATUS_ALLOC_FAILED ? DR_ENOMEM : DR_EINTERNAL, "%s: cuBLASLt's %s: %s", op, what,
                   c->calls->cublasLtGetStatusString(status));
}

/* ---- the handle -------------------------------------------------------------------------------------------------- */

dr_cublaslt *dr_cublaslt_open(cuda *c)
{
    dr_cublaslt *b = calloc(1, sizeof *b);
    if (!b) {
        dr_fail(DR_ENOMEM, "backend cuda: out of memory");
        return NULL;
    }
    b->cuda = c;
    b->most_workspace = c->major >= 9 ? 32 << 20 : 8 << 20; /* NVIDIA advises 32 MiB on Hopper */
    if (check(c, c->calls->cublasLtCreate(&b->handle), "backend cuda", "handle") == DR_OK) return b;
    free(b);
    return NULL;
}

static void free_choice(const dr_cuda_calls *f, choice *made)
{
    if (made->product) f->cublasLtMatmulDescDestroy(made->product);
    if (made->A) f->cublasLtMatrixLayoutDestroy(made->A);
    if (made->B) f->cublasLtMatrixLayoutDestroy(made->B);
    if (made->y) f->cublasLtMatrixLayoutDestroy(made->y);
    free(made);
}

void dr_cublaslt_close(dr_cublaslt *b)
{
    if (!b) return;
    const dr_cuda_calls *f = b->cuda->calls;
    for (int i = 0; i < BUCKETS; i++) {
        while (b->made[i]) {
            choice *first = b->made[i];
            b->made[i] = first->next;
            free_choice(f, first);
        }
    }
    f->cublasLtDestroy(b->handle);
    free(b);
}

/* ---- descriptions ------------------------------------------------------------------------------------------------ */

static cudaDataType_t type_of(int32_t dtype) { return dtype == DR_BF16 ? CUDA_R_16BF : CUDA_R_32F; }

/* A row-major matrix [rows,columns] as cuBLASLt has it, [columns,rows] in columns. stride: elements between a batch's. */
static cublasStatus_t make_layout(const dr_cuda_calls *f, cublasLtMatrixLayout_t *made, int32_t dtype, int64_t rows,
                                  int64_t columns, int64_t batch, int64_t stride)
{
    const int32_t count = (int32_t)batch;
    cublasStatus_t s = f->cublasLtMatrixLayoutCreate(made, type_of(dtype), (uint64_t)columns, (uint64_t)rows, columns);
    if (s != CUBLAS_STATUS_SUCCESS || batch == 1) return s;
    s = f->cublasLtMatrixLayoutSetAttribute(*made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count);
    if (s != CUBLAS_STATUS_SUCCESS) return s;
    return f->cublasLtMatrixLayoutSetAttribute(*made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride);
}

static cublasStatus_t set_bias(const dr_cuda_calls *f, cublasLtMatmulDesc_t product, const void *bias)
{
    return f->cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
}

static cublasStatus_t make_product(const cuda *c, cublasLtMatmulDesc_t *made, const product_key *k, const void *bias)
{
    const dr_cuda_calls *f = c->calls;
    const bool tf32 = c->tf32 && k->dtype == DR_F32;
    const int32_t bias_type = type_of(k->dtype), transpose = CUBLAS_OP_T;
    const uint32_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    cublasStatus_t s = f->cublasLtMatmulDescCreate(made, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (s == CUBLAS_STATUS_SUCCESS && k->transpose_b)
        s = f->cublasLtMatmulDescSetAttribute(*made, CUBLASLT_MATMUL_DESC_TRANSA, &transpose, sizeof transpose);
    if (s == CUBLAS_STATUS_SUCCESS && k->transpose_a)
        s = f->cublasLtMatmulDescSetAttribute(*made, CUBLASLT_MATMUL_DESC_TRANSB, &transpose, sizeof transpose);
    if (s != CUBLAS_STATUS_SUCCESS || k->align_bias == 0) return s;
    s = f->cublasLtMatmulDescSetAttribute(*made, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = f->cublasLtMatmulDescSetAttribute(*made, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias_type, sizeof bias_type);
    return s == CUBLAS_STATUS_SUCCESS ? set_bias(f, *made, bias) : s; /* its alignment counts in the choice */
}

static cublasStatus_t make_descriptions(const cuda *c, choice *made, const void *bias)
{
    const product_key *k = &made->key;
    const dr_cuda_calls *f = c->calls;
    cublasStatus_t s = make_product(c, &made->product, k, bias);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = make_layout(f, &made->A, k->dtype, k->transpose_a ? k->K : k->M, k->transpose_a ? k->M : k->K, k->batch, k->stride_a);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = make_layout(f, &made->B, k->dtype, k->transpose_b ? k->N : k->K, k->transpose_b ? k->K : k->N, k->batch, k->stride_b);
    if (s == CUBLAS_STATUS_SUCCESS) s = make_layout(f, &made->y, k->y_dtype, k->M, k->N, k->batch, k->M * k->N);
    return s;
}

/* ---- which algorithm --------------------------------------------------------------------------------------------- */

static cublasStatus_t set_preferences(const dr_cublaslt *b, const product_key *k, cublasLtMatmulPreference_t preference)
{
    const bool in_place = !b->cuda->deterministic && k->y_dtype == DR_F32;
    const uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | (in_place ? CUBLASLT_REDUCTION_SCHEME_INPLACE : 0);
    const uint32_t align_first = (uint32_t)k->align_b, align_second = (uint32_t)k->align_a, align_y = (uint32_t)k->align_y;
    const struct {
        cublasLtMatmulPreferenceAttributes_t name;
        const void *value;
        size_t bytes;
    } set[] = {
        { CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &b->most_workspace, sizeof b->most_workspace },
        { CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes, sizeof schemes },
        { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &align_first, sizeof align_first },
        { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &align_second, sizeof align_second },
        { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &align_y, sizeof align_y },
        { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &align_y, sizeof align_y },
    };
    cublasStatus_t s = CUBLAS_STATUS_SUCCESS;
    for (size_t i = 0; i < sizeof set / sizeof *set && s == CUBLAS_STATUS_SUCCESS; i++)
        s = b->cuda->calls->cublasLtMatmulPreferenceSetAttribute(preference, set[i].name, set[i].value, set[i].bytes);
    return s;
}

/* The heuristic's first proposal. Nothing proposed is no error: the plan is refused. */
static cublasStatus_t choose(const dr_cublaslt *b, choice *made)
{
    const dr_cuda_calls *f = b->cuda->calls;
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t proposal = { 0 };
    int n = 0;
    cublasStatus_t s = f->cublasLtMatmulPreferenceCreate(&preference);
    if (s != CUBLAS_STATUS_SUCCESS) return s;
    s = set_preferences(b, &made->key, preference);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = f->cublasLtMatmulAlgoGetHeuristic(b->handle, made->product, made->B, made->A, made->y, made->y, preference, 1,
                                              &proposal, &n);
    f->cublasLtMatmulPreferenceDestroy(preference);
    if (s == CUBLAS_STATUS_NOT_SUPPORTED || s == CUBLAS_STATUS_INVALID_VALUE) n = 0;
    else if (s != CUBLAS_STATUS_SUCCESS) return s;
    made->plan.refused = n == 0 || proposal.state != CUBLAS_STATUS_SUCCESS;
    made->plan.workspace = made->plan.refused ? 0 : proposal.workspaceSize;
    made->algorithm = proposal.algo;
    return CUBLAS_STATUS_SUCCESS;
}

/* The power of two, 256 at most, that divides where a tensor begins and each of its batch's strides. */
static int32_t alignment(const void *data, int64_t stride, int32_t dtype)
{
    const uintptr_t all = (uintptr_t)data | (uintptr_t)stride * (dtype == DR_BF16 ? 2 : 4) | 256;
    return (int32_t)(all & -all);
}

static size_t bucket_of(const product_key *k)
{
    const unsigned char *bytes = (const unsigned char *)k;
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < sizeof *k; i++) hash = (hash ^ bytes[i]) * 16777619u;
    return hash % BUCKETS;
}

const dr_cublaslt_plan *dr_cublaslt_find(const dr_kargs *a, const dr_cuda_product *p, const void *A, const void *B,
                                         const void *bias, const void *y)
{
    dr_cublaslt *b = dr_cuda_of(a)->cublaslt;
    const product_key key = { .M = p->M, .N = p->N, .K = p->K, .batch = p->batch,
                              .stride_a = p->stride_a, .stride_b = p->stride_b,
                              .transpose_a = p->transpose_a, .transpose_b = p->transpose_b,
                              .dtype = p->dtype, .y_dtype = p->y_dtype,
                              .align_a = alignment(A, p->batch > 1 ? p->stride_a : 0, p->dtype),
                              .align_b = alignment(B, p->batch > 1 ? p->stride_b : 0, p->dtype),
                              .align_bias = bias ? alignment(bias, 0, p->dtype) : 0,
                              .align_y = alignment(y, p->batch > 1 ? p->M * p->N : 0, p->y_dtype) };
    choice **first = &b->made[bucket_of(&key)];
    for (choice *found = *first; found; found = found->next) {
        if (memcmp(&found->key, &key, sizeof key) == 0) return &found->plan;
    }
    choice *made = calloc(1, sizeof *made);
    if (!made) {
        dr_fail(DR_ENOMEM, "%s: out of memory", a->op);
        return NULL;
    }
    made->key = key;
    made->plan.choice = made;
    made->plan.refused = p->batch > INT32_MAX;
    cublasStatus_t s = made->plan.refused ? CUBLAS_STATUS_SUCCESS : make_descriptions(b->cuda, made, bias);
    if (s == CUBLAS_STATUS_SUCCESS && !made->plan.refused) s = choose(b, made);
    if (check(b->cuda, s, a->op, "description of a product") != DR_OK) {
        free_choice(b->cuda->calls, made);
        return NULL;
    }
    made->next = *first;
    *first = made;
    return &made->plan;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

dr_status dr_cublaslt_run(const dr_kargs *a, const dr_cublaslt_plan *plan, const void *A, const void *B, const void *bias,
                          void *y, void *workspace)
{
    static const float one = 1.0f, zero = 0.0f;
    dr_cublaslt *b = dr_cuda_of(a)->cublaslt;
    const dr_cuda_calls *f = b->cuda->calls;
    choice *made = plan->choice;
    cublasStatus_t s = bias ? set_bias(f, made->product, bias) : CUBLAS_STATUS_SUCCESS;
    if (s == CUBLAS_STATUS_SUCCESS)
        s = f->cublasLtMatmul(b->handle, made->product, &one, B, made->B, A, made->A, &zero, y, made->y, y, made->y,
                              &made->algorithm, workspace, plan->workspace, b->cuda->stream);
    if (check(b->cuda, s, a->op, "product") != DR_OK) return dr_failed();
    dr_cuda_launched(a, "cublasLtMatmul");
    return dr_failed();
}
