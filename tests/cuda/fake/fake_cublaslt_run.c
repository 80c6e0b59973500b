/* fake_cublaslt_run.c: cuBLASLt's heuristic and its product for tests, by plain loops.
 *
 * The heuristic proposes nothing for bf16 matrices that are aligned to 2 bytes alone, nor for f32 results of one row: what
 * takes over there is tested thereby. With K of 64 or more it splits K in three wherever it may: with OUTPUT_TYPE parts
 * are rounded to the output's type, and with INPLACE their order alternates from call to call, so that tests see that neither
 * is allowed where it must not be. A bias beside a bf16 output is added to what has been rounded already, as on an H100. */
#include "fake_cublaslt.h"

#include <math.h>

static bool is_bf16(cudaDataType_t type) { return type == CUDA_R_16BF; }
static int64_t size_of(cudaDataType_t type) { return is_bf16(type) ? 2 : 4; }

/* ---- what cuBLASLt takes ----------------------------------------------------------------------------------------- */

static bool layout_is_right(const lt_layout *l, const char *name)
{
    const int64_t least = l->order == CUBLASLT_ORDER_COL ? l->rows : l->columns;
    const int64_t extent = l->ld * (l->order == CUBLASLT_ORDER_COL ? l->columns : l->rows);
    if (l->order != CUBLASLT_ORDER_COL && l->order != CUBLASLT_ORDER_ROW) fake_violation("matmul: %s has order %d", name, l->order);
    else if (l->ld < least) fake_violation("matmul: %s has ld %lld, less than %lld", name, (long long)l->ld, (long long)least);
    else if (l->batch < 1) fake_violation("matmul: %s has a batch of %d", name, l->batch);
    else if (l->batch > 1 && name[0] == 'D' && l->batch_stride < extent - l->ld + least)
        fake_violation("matmul: the matrices of D's batch overlap: stride %lld", (long long)l->batch_stride);
    else return true;
    return false;
}

/* Types that the table of cublasLtMatmul() has, of f32 and bf16. */
static bool types_are_right(const lt_product *p, const lt_layout *A, const lt_layout *B, const lt_layout *C, const lt_layout *D)
{
    const int32_t bias = p->bias_type < 0 ? (int32_t)D->type : p->bias_type;
    const bool f32 = A->type == CUDA_R_32F && D->type == CUDA_R_32F, half = is_bf16(A->type) && (is_bf16(D->type) || D->type == CUDA_R_32F);
    const bool compute = p->compute == CUBLAS_COMPUTE_32F || (f32 && p->compute == CUBLAS_COMPUTE_32F_FAST_TF32);
    if (A->type != B->type || C->type != D->type || !(f32 || half) || !compute || p->scale != CUDA_R_32F)
        fake_violation("matmul: types %d %d -> %d %d, compute %d, scale %d are no row of its table", A->type, B->type, C->type, D->type,
                       p->compute, p->scale);
    else if ((p->epilogue & CUBLASLT_EPILOGUE_BIAS) && bias != (int32_t)D->type)
        fake_violation("matmul: a bias of type %d beside an output of type %d", bias, D->type);
    else return true;
    return false;
}

static bool epilogue_is_right(const lt_product *p)
{
    switch (p->epilogue) {
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
    case CUBLASLT_EPILOGUE_GELU_BIAS:
        if (p->bias) return true;
        fake_violation("matmul: an epilogue with a bias, and no pointer to it");
        return false;
    case CUBLASLT_EPILOGUE_DEFAULT:
    case CUBLASLT_EPILOGUE_RELU:
    case CUBLASLT_EPILOGUE_GELU: return true;
    default: fake_violation("matmul: epilogue %u is not one that this fake knows", p->epilogue); return false;
    }
}

static bool product_is_right(const lt_product *p, const lt_layout *A, const lt_layout *B, const lt_layout *C, const lt_layout *D)
{
    const bool ta = p->transpose_a == CUBLAS_OP_T, tb = p->transpose_b == CUBLAS_OP_T;
    const int64_t M = ta ? A->columns : A->rows, K = ta ? A->rows : A->columns;
    const int64_t K_of_b = tb ? B->columns : B->rows, N = tb ? B->rows : B->columns;
    if (!layout_is_right(A, "A") || !layout_is_right(B, "B") || !layout_is_right(C, "C") || !layout_is_right(D, "D")) return false;
    if (K != K_of_b || D->rows != M || D->columns != N || C->rows != M || C->columns != N)
        fake_violation("matmul: [%lld,%lld] [%lld,%lld] -> [%lld,%lld]", (long long)M, (long long)K, (long long)K_of_b, (long long)N,
                       (long long)D->rows, (long long)D->columns);
    else if (A->batch != D->batch || B->batch != D->batch || C->batch != D->batch)
        fake_violation("matmul: batches of %d, %d, %d and %d", A->batch, B->batch, C->batch, D->batch);
    else return types_are_right(p, A, B, C, D) && epilogue_is_right(p);
    return false;
}

static uint32_t hash_of(uint32_t hash, const void *data, size_t bytes)
{
    const unsigned char *b = data;
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ b[i]) * 16777619u;
    return hash;
}

/* Of all that an algorithm is chosen for: not of where the bias lies. */
static uint32_t hash_of_product(const lt_product *p, const lt_layout *const *layouts)
{
    const int32_t parts[] = { p->compute, p->transpose_a, p->transpose_b, (int32_t)p->epilogue, p->bias_type };
    uint32_t hash = hash_of(2166136261u, parts, sizeof parts);
    for (int i = 0; i < 4; i++) {
        const lt_layout *l = layouts[i];
        const int64_t all[] = { l->type, l->rows, l->columns, l->ld, l->batch_stride, l->order, l->batch };
        hash = hash_of(hash, all, sizeof all);
    }
    return hash;
}

static bool are_layouts(const lt_layout *const *layouts, const char *call)
{
    for (int i = 0; i < 4; i++) {
        if (!fake_object_is(layouts[i], LT_LAYOUT, call)) return false;
    }
    return true;
}

/* ---- the heuristic ----------------------------------------------------------------------------------------------- */

cublasStatus_t fake_cublaslt_heuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t product, cublasLtMatrixLayout_t A,
                                       cublasLtMatrixLayout_t B, cublasLtMatrixLayout_t C, cublasLtMatrixLayout_t D,
                                       cublasLtMatmulPreference_t preference, int n_wanted,
                                       cublasLtMatmulHeuristicResult_t results[], int *n)
{
    static const char call[] = "cublasLtMatmulAlgoGetHeuristic";
    const lt_layout *const l[] = { (lt_layout *)A, (lt_layout *)B, (lt_layout *)C, (lt_layout *)D };
    const lt_product *p = (lt_product *)product;
    const lt_preference *want = (lt_preference *)preference;
    if (fake_call(call)) return CUBLAS_STATUS_INTERNAL_ERROR;
    if (!fake_object_is(handle, LT_HANDLE, call) || !fake_object_is(product, LT_PRODUCT, call) ||
        !fake_object_is(preference, LT_PREFERENCE, call) || !are_layouts(l, call))
        return CUBLAS_STATUS_INVALID_VALUE;
    *n = 0;
    if (n_wanted < 1 || !product_is_right(p, l[0], l[1], l[2], l[3])) return CUBLAS_STATUS_INVALID_VALUE;
    if (is_bf16(l[0]->type) && (want->align_a < 4 || want->align_b < 4)) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (!is_bf16(l[0]->type) && l[3]->columns == 1) return CUBLAS_STATUS_NOT_SUPPORTED;
    const int64_t K = p->transpose_a == CUBLAS_OP_T ? l[0]->rows : l[0]->columns;
    const uint64_t part = (uint64_t)l[3]->rows * (uint64_t)l[3]->columns * (uint64_t)l[3]->batch * sizeof(float);
    lt_algorithm made = { .magic = LT_MAGIC, .hash = hash_of_product(p, l), .align_a = (uint16_t)want->align_a,
                          .align_b = (uint16_t)want->align_b, .align_c = (uint16_t)want->align_c, .align_d = (uint16_t)want->align_d };
    if (K >= 64 && part <= want->workspace) { /* the worst that is allowed */
        made.scheme = want->schemes & CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE    ? CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE
                      : want->schemes & CUBLASLT_REDUCTION_SCHEME_INPLACE      ? CUBLASLT_REDUCTION_SCHEME_INPLACE
                      : want->schemes & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE ? CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE
                                                                               : CUBLASLT_REDUCTION_SCHEME_NONE;
    }
    made.workspace = made.scheme ? part : 0;
    memset(&results[0], 0, sizeof results[0]);
    memcpy(&results[0].algo, &made, sizeof made);
    results[0].workspaceSize = made.workspace;
    results[0].state = CUBLAS_STATUS_SUCCESS;
    results[0].wavesCount = 1.0f;
    *n = 1;
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- the product ------------------------------------------------------------------------------------------------- */

typedef struct matrix { /* element (r, c) of batch b lies at b stride + r row + c column */
    const void *data;
    bool bf16;
    int64_t stride, row, column;
} matrix;

typedef struct task {
    matrix A, B, C;
    void *D;
    int64_t M, N, K, batch;
    float alpha, beta;
    const void *bias;
    bool bias_bf16;
    uint32_t epilogue, scheme;
    float *workspace;
    size_t workspace_bytes;
} task;

static matrix matrix_of(const void *data, const lt_layout *l, bool transposed)
{
    const bool by_column = (l->order == CUBLASLT_ORDER_COL) != transposed;
    return (matrix){ data, is_bf16(l->type), l->batch > 1 ? l->batch_stride : 0, by_column ? 1 : l->ld, by_column ? l->ld : 1 };
}

static int64_t place(const matrix *m, int64_t b, int64_t r, int64_t c) { return b * m->stride + r * m->row + c * m->column; }

static float part_of(const task *t, int64_t b, int64_t m, int64_t n, int64_t from, int64_t to)
{
    float sum = 0.0f;
    const bool backward = (t->M + t->N) % 3 == 2; /* as the size decides on what is best */
    for (int64_t i = from; i < to; i++) {
        const int64_t k = backward ? from + to - 1 - i : i;
        sum += fake_load(t->A.data, t->A.bf16, place(&t->A, b, m, k)) * fake_load(t->B.data, t->B.bf16, place(&t->B, b, k, n));
    }
    return sum;
}

static float finish(uint32_t epilogue, float v)
{
    if (epilogue == CUBLASLT_EPILOGUE_RELU || epilogue == CUBLASLT_EPILOGUE_RELU_BIAS) return v > 0.0f ? v : 0.0f;
    if (epilogue == CUBLASLT_EPILOGUE_GELU || epilogue == CUBLASLT_EPILOGUE_GELU_BIAS) /* cuBLASLt's is the tanh form */
        return 0.5f * v * (1.0f + tanhf(0.79788456f * (v + 0.044715f * v * v * v)));
    return v;
}

static float sum_of(const task *t, int64_t b, int64_t m, int64_t n, bool backward)
{
    const bool narrow = t->scheme == CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE && t->C.bf16;
    float part[3], sum;
    if (!t->scheme) return part_of(t, b, m, n, 0, t->K);
    for (int i = 0; i < 3; i++) part[i] = fake_rounded(part_of(t, b, m, n, t->K * i / 3, t->K * (i + 1) / 3), narrow);
    sum = backward ? part[2] + part[1] : part[0] + part[1];
    return sum + part[backward ? 0 : 2];
}

static void multiply(void *closure)
{
    static bool other_order;
    const task *t = closure;
    other_order = !other_order;
    const bool backward = t->scheme == CUBLASLT_REDUCTION_SCHEME_INPLACE && other_order;
    if (t->workspace_bytes) memset(t->workspace, 0xff, t->workspace_bytes); /* NaN */
    for (int64_t b = 0; b < t->batch; b++)
        for (int64_t n = 0; n < t->N; n++)
            for (int64_t m = 0; m < t->M; m++) {
                const int64_t at = place(&t->C, b, m, n);
                float v = sum_of(t, b, m, n, backward);
                v *= t->alpha;
                if (t->beta != 0.0f) v += t->beta * fake_load(t->C.data, t->C.bf16, at);
                if (t->bias) v = fake_rounded(v, t->C.bf16) + fake_load(t->bias, t->bias_bf16, m);
                fake_store(t->D, t->C.bf16, at, finish(t->epilogue, v));
            }
}

/* Does the tensor at p lie on the device, aligned as the algorithm was promised? */
static bool tensor_is_right(const void *p, const lt_layout *l, uint32_t align, const char *name)
{
    const int64_t lines = l->order == CUBLASLT_ORDER_COL ? l->columns : l->rows, line = l->order == CUBLASLT_ORDER_COL ? l->rows : l->columns;
    const int64_t last = (l->batch - 1) * l->batch_stride + (lines - 1) * l->ld + line;
    if (!fake_on_device(p, (size_t)(last * size_of(l->type))))
        fake_violation("cublasLtMatmul: %s, %lld elements at %p, is not memory of the device", name, (long long)last, p);
    else if (align && (uintptr_t)p % align != 0)
        fake_violation("cublasLtMatmul: %s at %p is not aligned to %u bytes, as was promised", name, p, align);
    else return true;
    return false;
}

static bool run_is_right(const lt_product *p, const lt_layout *const *l, const lt_algorithm *algorithm, const void *const *data,
                         const void *workspace, size_t workspace_bytes)
{
    static const char *const names[] = { "A", "B", "C", "D" };
    const uint32_t align[] = { algorithm->align_a, algorithm->align_b, algorithm->align_c, algorithm->align_d };
    const size_t bias_bytes = (size_t)(l[3]->rows * size_of(l[3]->type));
    if (algorithm->magic != LT_MAGIC || algorithm->hash != hash_of_product(p, l)) {
        fake_violation("cublasLtMatmul: the algorithm was chosen for another product");
        return false;
    }
    for (int i = 0; i < 4; i++) {
        if (!tensor_is_right(data[i], l[i], align[i], names[i])) return false;
    }
    if ((p->epilogue & CUBLASLT_EPILOGUE_BIAS) && !fake_on_device(p->bias, bias_bytes)) {
        fake_violation("cublasLtMatmul: the bias at %p is not memory of the device", p->bias);
        return false;
    }
    if (workspace_bytes < algorithm->workspace || (algorithm->workspace && !fake_on_device(workspace, workspace_bytes)) ||
        (uintptr_t)workspace % 16 != 0) {
        fake_violation("cublasLtMatmul: a workspace of %zu bytes at %p, for %llu", workspace_bytes, workspace,
                       (unsigned long long)algorithm->workspace);
        return false;
    }
    return true;
}

cublasStatus_t fake_cublaslt_matmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t product, const void *alpha, const void *A,
                                    cublasLtMatrixLayout_t A_layout, const void *B, cublasLtMatrixLayout_t B_layout,
                                    const void *beta, const void *C, cublasLtMatrixLayout_t C_layout, void *D,
                                    cublasLtMatrixLayout_t D_layout, const cublasLtMatmulAlgo_t *algorithm, void *workspace,
                                    size_t workspace_bytes, cudaStream_t stream)
{
    static const char call[] = "cublasLtMatmul";
    const lt_layout *const l[] = { (lt_layout *)A_layout, (lt_layout *)B_layout, (lt_layout *)C_layout, (lt_layout *)D_layout };
    const lt_product *p = (lt_product *)product;
    lt_algorithm chosen;
    if (fake_call(call)) return CUBLAS_STATUS_EXECUTION_FAILED;
    if (!fake_object_is(handle, LT_HANDLE, call) || !fake_object_is(product, LT_PRODUCT, call) || !are_layouts(l, call) ||
        !product_is_right(p, l[0], l[1], l[2], l[3]))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (!alpha || !beta || !algorithm) {
        fake_violation("cublasLtMatmul: alpha, beta and an algorithm must be given");
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    memcpy(&chosen, algorithm, sizeof chosen);
    if (!run_is_right(p, l, &chosen, (const void *[]){ A, B, C, D }, workspace, workspace_bytes)) return CUBLAS_STATUS_INVALID_VALUE;
    const bool ta = p->transpose_a == CUBLAS_OP_T, tb = p->transpose_b == CUBLAS_OP_T;
    task t;
    memset(&t, 0, sizeof t);
    t = (task){ .A = matrix_of(A, l[0], ta), .B = matrix_of(B, l[1], tb), .C = matrix_of(C, l[3], false), .D = D,
                .M = l[3]->rows, .N = l[3]->columns, .K = ta ? l[0]->rows : l[0]->columns, .batch = l[3]->batch,
                .alpha = *(const float *)alpha, .beta = *(const float *)beta,
                .bias = p->epilogue & CUBLASLT_EPILOGUE_BIAS ? p->bias : NULL, .bias_bf16 = is_bf16(l[3]->type),
                .epilogue = p->epilogue, .scheme = chosen.scheme, .workspace = workspace,
                .workspace_bytes = chosen.workspace };
    fake_submit(stream, call, multiply, &t, sizeof t);
    return CUBLAS_STATUS_SUCCESS;
}
