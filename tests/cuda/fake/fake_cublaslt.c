/* fake_cublaslt.c: cuBLASLt's handle and descriptors for tests. Sizes of attributes are those that cublasLt.h documents; an
 * attribute that is not among these is a violation, so that what Drift comes to use is added here. */
#include "fake_cublaslt.h"

static cublasStatus_t wrong(void) { return CUBLAS_STATUS_INVALID_VALUE; } /* after fake_violation */

static size_t get_version(void)
{
    (void)fake_call("cublasLtGetVersion");
    return 130100;
}

static const char *status_string(cublasStatus_t status)
{
    switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_ALLOC_FAILED: return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    default: return "CUBLAS_STATUS_INTERNAL_ERROR";
    }
}

static cublasStatus_t make(const char *call, const char *kind, size_t bytes, void **made)
{
    if (fake_call(call)) return CUBLAS_STATUS_ALLOC_FAILED;
    *made = fake_object_create(kind, bytes);
    return *made ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}

static cublasStatus_t destroy(const char *call, const char *kind, void *p)
{
    const bool fails = fake_call(call);
    if (!fake_object_is(p, kind, call)) return wrong();
    fake_object_destroy(p);
    return fails ? CUBLAS_STATUS_INTERNAL_ERROR : CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t create(cublasLtHandle_t *handle) { return make("cublasLtCreate", LT_HANDLE, 1, (void **)handle); }
static cublasStatus_t destroy_handle(cublasLtHandle_t handle) { return destroy("cublasLtDestroy", LT_HANDLE, handle); }

/* ---- setting attributes ------------------------------------------------------------------------------------------ */

typedef struct attribute {
    int name;
    size_t bytes;
    void *to;
} attribute;

static cublasStatus_t set(const char *call, const attribute *list, int n, int name, const void *value, size_t bytes)
{
    for (int i = 0; i < n; i++) {
        if (list[i].name != name) continue;
        if (!value || bytes != list[i].bytes) {
            fake_violation("%s: attribute %d has %zu bytes, got %zu at %p", call, name, list[i].bytes, bytes, value);
            return wrong();
        }
        memcpy(list[i].to, value, bytes);
        return CUBLAS_STATUS_SUCCESS;
    }
    fake_violation("%s: attribute %d is not one that this fake knows", call, name);
    return wrong();
}

/* ---- the product ------------------------------------------------------------------------------------------------- */

static cublasStatus_t create_product(cublasLtMatmulDesc_t *made, cublasComputeType_t compute, cudaDataType_t scale)
{
    lt_product *p = NULL;
    const cublasStatus_t s = make("cublasLtMatmulDescCreate", LT_PRODUCT, sizeof *p, (void **)&p);
    *made = (cublasLtMatmulDesc_t)p;
    if (s != CUBLAS_STATUS_SUCCESS) return s;
    *p = (lt_product){ .compute = compute, .scale = scale, .transpose_a = CUBLAS_OP_N, .transpose_b = CUBLAS_OP_N,
                       .epilogue = CUBLASLT_EPILOGUE_DEFAULT, .bias_type = -1 };
    return s;
}

static cublasStatus_t destroy_product(cublasLtMatmulDesc_t p) { return destroy("cublasLtMatmulDescDestroy", LT_PRODUCT, p); }

static cublasStatus_t set_product(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t name, const void *value, size_t bytes)
{
    static const char call[] = "cublasLtMatmulDescSetAttribute";
    if (fake_call(call)) return CUBLAS_STATUS_INTERNAL_ERROR;
    if (!fake_object_is(desc, LT_PRODUCT, call)) return wrong();
    lt_product *p = (lt_product *)desc;
    const attribute known[] = { { CUBLASLT_MATMUL_DESC_TRANSA, 4, &p->transpose_a },
                                { CUBLASLT_MATMUL_DESC_TRANSB, 4, &p->transpose_b },
                                { CUBLASLT_MATMUL_DESC_EPILOGUE, 4, &p->epilogue },
                                { CUBLASLT_MATMUL_DESC_BIAS_POINTER, sizeof(void *), &p->bias },
                                { CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, 4, &p->bias_type } };
    return set(call, known, sizeof known / sizeof *known, (int)name, value, bytes);
}

/* ---- layouts ----------------------------------------------------------------------------------------------------- */

static cublasStatus_t create_layout(cublasLtMatrixLayout_t *made, cudaDataType type, uint64_t rows, uint64_t columns, int64_t ld)
{
    lt_layout *l = NULL;
    const cublasStatus_t s = make("cublasLtMatrixLayoutCreate", LT_LAYOUT, sizeof *l, (void **)&l);
    *made = (cublasLtMatrixLayout_t)l;
    if (s != CUBLAS_STATUS_SUCCESS) return s;
    if (rows == 0 || columns == 0) fake_violation("cublasLtMatrixLayoutCreate: a matrix of no rows or columns");
    *l = (lt_layout){ .type = type, .rows = (int64_t)rows, .columns = (int64_t)columns, .ld = ld,
                      .order = CUBLASLT_ORDER_COL, .batch = 1 };
    return s;
}

static cublasStatus_t destroy_layout(cublasLtMatrixLayout_t l) { return destroy("cublasLtMatrixLayoutDestroy", LT_LAYOUT, l); }

static cublasStatus_t set_layout(cublasLtMatrixLayout_t desc, cublasLtMatrixLayoutAttribute_t name, const void *value, size_t bytes)
{
    static const char call[] = "cublasLtMatrixLayoutSetAttribute";
    if (fake_call(call)) return CUBLAS_STATUS_INTERNAL_ERROR;
    if (!fake_object_is(desc, LT_LAYOUT, call)) return wrong();
    lt_layout *l = (lt_layout *)desc;
    const attribute known[] = { { CUBLASLT_MATRIX_LAYOUT_ORDER, 4, &l->order },
                                { CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, 4, &l->batch },
                                { CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, 8, &l->batch_stride } };
    return set(call, known, sizeof known / sizeof *known, (int)name, value, bytes);
}

/* ---- preferences ------------------------------------------------------------------------------------------------- */

static cublasStatus_t create_preference(cublasLtMatmulPreference_t *made)
{
    lt_preference *p = NULL;
    const cublasStatus_t s = make("cublasLtMatmulPreferenceCreate", LT_PREFERENCE, sizeof *p, (void **)&p);
    *made = (cublasLtMatmulPreference_t)p;
    if (s != CUBLAS_STATUS_SUCCESS) return s;
    *p = (lt_preference){ .schemes = CUBLASLT_REDUCTION_SCHEME_MASK, .align_a = 256, .align_b = 256, .align_c = 256, .align_d = 256 };
    return s;
}

static cublasStatus_t destroy_preference(cublasLtMatmulPreference_t p)
{
    return destroy("cublasLtMatmulPreferenceDestroy", LT_PREFERENCE, p);
}

static cublasStatus_t set_preference(cublasLtMatmulPreference_t desc, cublasLtMatmulPreferenceAttributes_t name, const void *value,
                                     size_t bytes)
{
    static const char call[] = "cublasLtMatmulPreferenceSetAttribute";
    if (fake_call(call)) return CUBLAS_STATUS_INTERNAL_ERROR;
    if (!fake_object_is(desc, LT_PREFERENCE, call)) return wrong();
    lt_preference *p = (lt_preference *)desc;
    const attribute known[] = { { CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, 8, &p->workspace },
                                { CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, 4, &p->schemes },
                                { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, 4, &p->align_a },
                                { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, 4, &p->align_b },
                                { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, 4, &p->align_c },
                                { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, 4, &p->align_d } };
    return set(call, known, sizeof known / sizeof *known, (int)name, value, bytes);
}

void fake_cublaslt_calls(dr_cuda_calls *calls)
{
    calls->cublasLtGetVersion = get_version;
    calls->cublasLtGetStatusString = status_string;
    calls->cublasLtCreate = create;
    calls->cublasLtDestroy = destroy_handle;
    calls->cublasLtMatmul = fake_cublaslt_matmul;
    calls->cublasLtMatmulDescCreate = create_product;
    calls->cublasLtMatmulDescDestroy = destroy_product;
    calls->cublasLtMatmulDescSetAttribute = set_product;
    calls->cublasLtMatrixLayoutCreate = create_layout;
    calls->cublasLtMatrixLayoutDestroy = destroy_layout;
    calls->cublasLtMatrixLayoutSetAttribute = set_layout;
    calls->cublasLtMatmulPreferenceCreate = create_preference;
    calls->cublasLtMatmulPreferenceDestroy = destroy_preference;
    calls->cublasLtMatmulPreferenceSetAttribute = set_preference;
    calls->cublasLtMatmulAlgoGetHeuristic = fake_cublaslt_heuristic;
}
