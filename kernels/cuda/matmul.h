/* matmul.h: one matrix product on the device, or a batch of them: by cuBLASLt (cublaslt.c), and by a kernel of our own
 * (matmul_direct.cu) for small ones and what cuBLASLt does not take. */
#ifndef DRIFT_CUDA_MATMUL_H
#define DRIFT_CUDA_MATMUL_H

#include "cuda_backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y [M,N] = A [M,K] B [K,N] + bias [N], row-major and dense; A lies as [K,M] where transpose_a, B as [N,K] where
 * transpose_b. A batch of them has its y one after another, A and B at their strides in elements; 0: repeated. */
typedef struct dr_cuda_product {
    int64_t M, N, K, batch, stride_a, stride_b;
    bool transpose_a, transpose_b;
    int32_t dtype;      /* DR_F32 or DR_BF16: of A; sums are f32 */
    int32_t y_dtype;    /* as dtype, or DR_F32 */
    int32_t b_dtype;    /* as dtype; matmul_direct.cu alone: f32 beside bf16 A and y, which it rounds to bf16 */
    int32_t bias_dtype; /* as dtype; matmul_direct.cu alone: f32 beside bf16 */
} dr_cuda_product;

/* How cuBLASLt does a product; it belongs to dr_cublaslt. `workspace` is what it needs beside A, B, bias and y. */
typedef struct dr_cublaslt_plan {
    bool refused; /* cuBLASLt has nothing for it */
    size_t workspace;
    struct dr_cublaslt_choice *choice;
} dr_cublaslt_plan;

/* The plan for a product whose tensors begin where these do (their alignment matters; bias may be NULL, and must where y is
 * bf16: see dr_round_sums): found again, or made. NULL after dr_fail. */
const dr_cublaslt_plan *dr_cublaslt_find(const dr_kargs *a, const dr_cuda_product *p, const void *A, const void *B,
                                         const void *bias, const void *y);
dr_status dr_cublaslt_run(const dr_kargs *a, const dr_cublaslt_plan *plan, const void *A, const void *B, const void *bias,
                          void *y, void *workspace);

/* matmul_direct.cu: any product, K = 0 as well. */
void dr_matmul_direct(const dr_kargs *a, const dr_cuda_product *p, const void *A, const void *B, const void *bias, void *y);

/* matmul_round.cu: x [n] to bf16; y [rows,columns] = sums + bias [columns], rounded to bf16 once. */
void dr_round_to_bf16(const dr_kargs *a, const float *x, int64_t n, void *rounded);
void dr_round_sums(const dr_kargs *a, const float *sums, const void *bias, int32_t bias_dtype, void *y, int64_t rows,
                   int64_t columns);

#ifdef __cplusplus
}
#endif
#endif
