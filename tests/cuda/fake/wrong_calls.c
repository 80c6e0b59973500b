/* wrong_calls.c: one product of cuBLASLt and one convolution of cuDNN, f32, each with a mistake that is named: what the
 * fakes must find. "none" makes none. Not part of the backend: library_fakes_find_mistakes.c calls it. */
#include "fake_cudnn.h"

#include <stdlib.h>

typedef struct attempt {
    const cuda *c;
    const dr_cuda_calls *f;
    const char *mistake;
    char *memory; /* on the device, 4096 bytes */
} attempt;

static bool makes(const attempt *a, const char *mistake) { return strcmp(a->mistake, mistake) == 0; }

/* ---- cuBLASLt: [8,8] [8,8] + bias [8] ---------------------------------------------------------------------------- */

static void multiply(const attempt *a)
{
    const dr_cuda_calls *f = a->f;
    const float one = 1.0f, zero = 0.0f;
    const uint32_t epilogue = CUBLASLT_EPILOGUE_BIAS, align = makes(a, "promises too much alignment") ? 256 : 16;
    const void *bias = a->memory + 3072;
    const cudaDataType type = makes(a, "mixes types") ? CUDA_R_16BF : CUDA_R_32F;
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t A, B, D;
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulHeuristicResult_t result;
    int n = 0;
    f->cublasLtCreate(&handle);
    f->cublasLtMatmulDescCreate(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    f->cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, makes(a, "gives a wrong size") ? 8 : 4);
    if (!makes(a, "forgets the bias")) f->cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
    f->cublasLtMatrixLayoutCreate(&A, CUDA_R_32F, 8, 8, makes(a, "has too small a leading dimension") ? 7 : 8);
    f->cublasLtMatrixLayoutCreate(&B, type, makes(a, "has unequal K") ? 9 : 8, 8, 9);
    f->cublasLtMatrixLayoutCreate(&D, CUDA_R_32F, 8, 8, 8);
    f->cublasLtMatmulPreferenceCreate(&preference);
    for (int name = CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES; name <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES; name++)
        f->cublasLtMatmulPreferenceSetAttribute(preference, (cublasLtMatmulPreferenceAttributes_t)name, &align, sizeof align);
    f->cublasLtMatmulAlgoGetHeuristic(handle, product, A, B, D, D, preference, 1, &result, &n);
    if (makes(a, "takes another product's algorithm")) {
        f->cublasLtMatrixLayoutDestroy(B);
        f->cublasLtMatrixLayoutCreate(&B, CUDA_R_32F, 8, 8, 8);
    }
    if (makes(a, "destroys too early")) f->cublasLtMatrixLayoutDestroy(A);
    void *y = makes(a, "writes past an allocation") ? a->memory + 4096 - 128 : a->memory + 1040;
    if (n > 0) f->cublasLtMatmul(handle, product, &one, a->memory, A, a->memory + 2048, B, &zero, y, D, y, D, &result.algo, NULL, 0, a->c->stream);
    f->cublasLtMatmulPreferenceDestroy(preference);
    f->cublasLtMatrixLayoutDestroy(D);
    f->cublasLtMatrixLayoutDestroy(B);
    if (!makes(a, "destroys too early")) f->cublasLtMatrixLayoutDestroy(A);
    f->cublasLtMatmulDescDestroy(product);
    f->cublasLtDestroy(handle);
}

/* ---- cuDNN: x [1,2,4,4], w [2,2,3,3] -> y [1,2,4,4] -------------------------------------------------------------- */

enum { X, W, Y, CONVOLUTION, OPERATION, GRAPH, HEURISTIC, CONFIG, PLAN, PACK, PARTS };

static void set(const attempt *a, void *d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t n, const void *values)
{
    a->f->cudnnBackendSetAttribute(d, name, type, n, values);
}

static void *new_part(const attempt *a, cudnnBackendDescriptorType_t type)
{
    void *made = NULL;
    a->f->cudnnBackendCreateDescriptor(type, &made);
    return made;
}

static void *tensor(const attempt *a, int64_t id, int64_t B, int64_t C, int64_t H)
{
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const bool is_virtual = id == Y && makes(a, "reads nothing of a virtual tensor");
    const int64_t dims[] = { B, C, H, H }, alignment = 16;
    const int64_t strides[] = { makes(a, "has overlapping images") ? 1 : H * H * C, 1, H * C, C };
    void *d = new_part(a, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    if (!makes(a, "forgets the type")) set(a, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(a, d, CUDNN_ATTR_TENSOR_DIMENSIONS, makes(a, "names a wrong type") ? CUDNN_TYPE_FLOAT : CUDNN_TYPE_INT64, 4, dims);
    set(a, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, makes(a, "gives a wrong count") ? 3 : 4, strides);
    if (makes(a, "gives two tensors one id")) id = 1;
    set(a, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    set(a, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    set(a, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    if (!(id == W && makes(a, "forgets to finalize"))) a->f->cudnnBackendFinalize(d);
    if (makes(a, "sets after finalizing")) set(a, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    return d;
}

static void *convolution(const attempt *a)
{
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t axes = 2, ones[2] = { 1, 1 }, padding[2] = { 1, makes(a, "pads on one side") ? 0 : 1 };
    void *d = new_part(a, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(a, d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(a, d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(a, d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &axes);
    set(a, d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, ones);
    set(a, d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, ones);
    set(a, d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, padding);
    set(a, d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, padding);
    a->f->cudnnBackendFinalize(d);
    return d;
}

static void describe(const attempt *a, cudnnHandle_t *handle, void **part)
{
    const float one = 1.0f, zero = 0.0f;
    part[X] = tensor(a, X, 1, 2, 4);
    part[W] = tensor(a, W, 2, 2, 3);
    part[Y] = tensor(a, Y, 1, 2, makes(a, "expects a wrong size") ? 5 : 4);
    part[CONVOLUTION] = convolution(a);
    void *op = part[OPERATION] = new_part(a, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    set(a, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &one);
    set(a, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &zero);
    set(a, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &part[CONVOLUTION]);
    set(a, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &part[X]);
    set(a, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &part[W]);
    set(a, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &part[Y]);
    a->f->cudnnBackendFinalize(op);
    part[GRAPH] = new_part(a, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(a, part[GRAPH], CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, handle);
    set(a, part[GRAPH], CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &op);
}

/* The last engine that is advised: it needs no workspace; the one before it does. */
static bool plan(const attempt *a, cudnnHandle_t *handle, void **part)
{
    const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    void *config[DNN_ENGINES];
    int64_t n = 0, got = 0;
    if (a->f->cudnnBackendFinalize(part[GRAPH]) != CUDNN_STATUS_SUCCESS) return false;
    part[HEURISTIC] = new_part(a, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    set(a, part[HEURISTIC], CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &part[GRAPH]);
    set(a, part[HEURISTIC], CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    a->f->cudnnBackendFinalize(part[HEURISTIC]);
    a->f->cudnnBackendGetAttribute(part[HEURISTIC], CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &n, NULL);
    for (int64_t i = 0; i < n; i++) config[i] = new_part(a, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    a->f->cudnnBackendGetAttribute(part[HEURISTIC], CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, n, &got, config);
    const int64_t chosen = makes(a, "brings no workspace") ? n - 2 : n - 1;
    for (int64_t i = 0; i < n; i++) {
        if (i != chosen) a->f->cudnnBackendDestroyDescriptor(config[i]);
    }
    part[CONFIG] = config[chosen];
    part[PLAN] = new_part(a, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    set(a, part[PLAN], CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, handle);
    set(a, part[PLAN], CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &part[CONFIG]);
    return a->f->cudnnBackendFinalize(part[PLAN]) == CUDNN_STATUS_SUCCESS;
}

static void run(const attempt *a, cudnnHandle_t handle, void **part)
{
    const int64_t ids[] = { X, W, makes(a, "forgets a tensor") ? 7 : Y };
    void *pointers[] = { a->memory, a->memory + 1024, a->memory + 2048 };
    if (makes(a, "brings unaligned memory")) pointers[X] = a->memory + 4;
    if (makes(a, "brings memory of the host")) pointers[W] = pointers;
    if (makes(a, "brings memory that ends too early")) pointers[Y] = a->memory + 4096 - 64;
    if (makes(a, "writes where it reads")) pointers[Y] = a->memory + 1024;
    part[PACK] = new_part(a, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    set(a, part[PACK], CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 3, ids);
    set(a, part[PACK], CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, pointers);
    a->f->cudnnBackendFinalize(part[PACK]);
    if (makes(a, "destroys too early")) {
        a->f->cudnnBackendDestroyDescriptor(part[X]);
        part[X] = NULL;
    }
    a->f->cudnnBackendExecute(handle, part[PLAN], part[PACK]);
}

static void convolve(const attempt *a)
{
    cudnnHandle_t handle;
    void *part[PARTS] = { NULL };
    a->f->cudnnCreate(&handle);
    a->f->cudnnSetStream(handle, a->c->stream);
    describe(a, &handle, part);
    if (plan(a, &handle, part)) run(a, handle, part);
    for (int i = PARTS - 1; i >= 0; i--) {
        if (part[i]) a->f->cudnnBackendDestroyDescriptor(part[i]);
    }
    a->f->cudnnDestroy(handle);
}

/* `library` is "cublaslt" or "cudnn"; backend the device's struct. */
FAKE_FOR_TESTS void fake_make_wrong_call(const char *library, const char *mistake, void *backend);
void fake_make_wrong_call(const char *library, const char *mistake, void *backend)
{
    const cuda *c = backend;
    attempt a = { c, c->calls, mistake, NULL };
    void *memory = NULL;
    if (a.f->cudaMalloc(&memory, 4096) != cudaSuccess) return;
    a.f->cudaMemsetAsync(memory, 0, 4096, c->stream);
    a.memory = memory;
    if (strcmp(library, "cudnn") == 0) convolve(&a);
    else multiply(&a);
    a.f->cudaFree(memory);
}
