/* matmul.h: one matrix product (or a batch of them) by oneDNN, for kernels that are products in disguise. */
#ifndef DRIFT_CPU_MATMUL_H
#define DRIFT_CPU_MATMUL_H

#include "cpu_backend.h"

/* y [M,N] = A [M,K] B [K,N] + bias [N]; A lies as [K,M] where transpose_a, B as [N,K] where transpose_b. bias may be
 * NULL. Up to three leading axes, each 1 in an operand that is repeated along it. */
typedef struct dr_product {
    int64_t M, N, K;
    _Bool transpose_a, transpose_b;
    int leading;
    int64_t lead_a[3], lead_b[3];
    int32_t dtype;                              /* DR_F32 or DR_BF16: of A, and of what is multiplied */
    int32_t b_dtype, bias_dtype, y_dtype;       /* as the caller has them; B in f32 is rounded to bf16 on the way in,
                                                   B in f16 or bf16 made wider */
    _Bool frozen;                               /* B is a weight that never changes: what is kept of it serves again */
} dr_product;
dr_status dr_multiply(const dr_kargs *a, const dr_product *p, void *A, void *B, void *bias, void *y);

#endif
