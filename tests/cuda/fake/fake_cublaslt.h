/* fake_cublaslt.h: what the descriptors of the fake cuBLASLt hold. */
#ifndef DRIFT_TESTS_FAKE_CUBLASLT_H
#define DRIFT_TESTS_FAKE_CUBLASLT_H

#include "cuda_calls.h"
#include "fake_objects.h"

typedef struct lt_product {
    cublasComputeType_t compute;
    cudaDataType_t scale;
    int32_t transpose_a, transpose_b; /* cublasOperation_t */
    uint32_t epilogue;
    const void *bias;
    int32_t bias_type; /* -1: the output's */
} lt_product;

typedef struct lt_layout {
    cudaDataType_t type;
    int64_t rows, columns, ld, batch_stride;
    int32_t order, batch;
} lt_layout;

typedef struct lt_preference {
    uint64_t workspace;
    uint32_t schemes, align_a, align_b, align_c, align_d;
} lt_preference;

/* What a cublasLtMatmulAlgo_t holds here: 64 bytes. It fits one product alone. */
typedef struct lt_algorithm {
    uint32_t magic, hash;
    uint64_t workspace;
    uint16_t align_a, align_b, align_c, align_d;
    uint32_t scheme; /* cublasLtReductionScheme_t */
    uint32_t unused[9];
} lt_algorithm;
_Static_assert(sizeof(lt_algorithm) == sizeof(cublasLtMatmulAlgo_t), "an algorithm fits");

enum { LT_MAGIC = 0x0a160417 };
#define LT_HANDLE "a cuBLASLt handle"
#define LT_PRODUCT "a cuBLASLt matmul descriptor"
#define LT_LAYOUT "a cuBLASLt matrix layout"
#define LT_PREFERENCE "a cuBLASLt preference"

/* fake_cublaslt_run.c */
cublasStatus_t fake_cublaslt_heuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t product, cublasLtMatrixLayout_t A,
                                       cublasLtMatrixLayout_t B, cublasLtMatrixLayout_t C, cublasLtMatrixLayout_t D,
                                       cublasLtMatmulPreference_t preference, int n_wanted,
                                       cublasLtMatmulHeuristicResult_t results[], int *n);
cublasStatus_t fake_cublaslt_matmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t product, const void *alpha, const void *A,
                                    cublasLtMatrixLayout_t A_layout, const void *B, cublasLtMatrixLayout_t B_layout,
                                    const void *beta, const void *C, cublasLtMatrixLayout_t C_layout, void *D,
                                    cublasLtMatrixLayout_t D_layout, const cublasLtMatmulAlgo_t *algorithm, void *workspace,
                                    size_t workspace_bytes, cudaStream_t stream);

#endif
