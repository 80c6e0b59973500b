/* tensor_core.h: what tensor cores work with: products of small matrices that the 32 lanes of a warp hold together,
 * loads of such matrices from shared memory, and copies to shared memory that go on while the kernel computes. Compute
 * capability 8.0 and newer. The one header with instructions in it; tests/cuda/emulated_tensor_core.h has it in C++.
 *
 * A matrix of 8x8 bf16 is spread so: lane l has elements 2 (l % 4) and 2 (l % 4) + 1 of row l / 4.
 *     PTX ISA, "Matrix multiply-accumulate", mma.m16n8k16 and ldmatrix */
#ifndef DRIFT_CUDA_TENSOR_CORE_H
#define DRIFT_CUDA_TENSOR_CORE_H

#include "cuda_kernel.h"

#ifdef DRIFT_CUDA_EMULATED
#include "emulated_tensor_core.h"
#else

typedef uint32_t shared_address; /* bytes */

__device__ inline shared_address shared_address_of(const void *p)
{
    return (shared_address)__cvta_generic_to_shared(p);
}

/* Begins to copy 16 bytes to shared memory, or zeros where there is nothing; `from` must be readable all the same. Both
 * are aligned to 16 bytes. */
__device__ inline void copy_16(shared_address to, const void *from, bool there)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(__cvta_generic_to_global(from)),
                 "r"(there ? 16 : 0)
                 : "memory");
}

__device__ inline void close_group_of_copies(void) { asm volatile("cp.async.commit_group;" ::: "memory"); }

/* Until at most N of this thread's groups are under way. Others' copies: __syncthreads after it. */
template <int N> __device__ inline void wait_for_copies(void)
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/* Four 8x8 matrices: lane l gives the address of row l % 8 of matrix l / 8. */
__device__ inline void load_matrices(uint32_t (&m)[4], shared_address row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
                 : "r"(row)
                 : "memory");
}

/* The same, each matrix transposed. */
__device__ inline void load_matrices_transposed(uint32_t (&m)[4], shared_address row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
                 : "r"(row)
                 : "memory");
}

/* sum [16,8] += a [16,16] b [16,8]. a: its quarters (rows 0, k 0), (8, 0), (0, 8), (8, 8); b: k 0 and k 8, each as
 * [8 columns, 8 k]; sum: rows 0, 0, 8, 8 as a matrix' two elements. */
__device__ inline void multiply_add(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#endif
/* Where 16 bytes lie in a row of 128 or more: so that 8 rows' pieces of one column are in different banks. */
__device__ inline int piece_at(int piece, int row) { return (piece ^ (row & 7)) << 4; }

#endif
