/* matmul_direct.cu: y = A B + bias without a library, for products that cuBLASLt has no algorithm for and for those of no
 * terms: a block makes a tile of 32 x 32 of y, passing over A and B in tiles of 32 that lie in shared memory. Sums are f32,
 * in the order of K. And the rounding of f32 weights to bf16 that goes before a product. */
#include "cuda_kernel.h"
#include "matmul.h"

enum { TILE = 32, ROWS = 8 }; /* a thread makes TILE / ROWS elements of one column */

template <typename T, typename U>
__global__ void multiply(const T *A, const T *B, const T *bias, U *y, dr_cuda_product p)
{
    __shared__ float tile_a[TILE][TILE + 1], tile_b[TILE][TILE + 1]; /* [m,k], [k,n] */
    const int64_t m0 = (int64_t)blockIdx.x * TILE, n0 = (int64_t)blockIdx.y * TILE;
    const int tx = threadIdx.x, ty = threadIdx.y;
    for (int64_t b = blockIdx.z; b < p.batch; b += gridDim.z) {
        const T *a_of = A + b * p.stride_a, *b_of = B + b * p.stride_b;
        float sum[TILE / ROWS] = { 0.0f };
        for (int64_t k0 = 0; k0 < p.K; k0 += TILE) {
            for (int r = ty; r < TILE; r += ROWS) { /* neighbouring threads read neighbouring elements */
                const int64_t m = m0 + (p.transpose_a ? tx : r), ka = k0 + (p.transpose_a ? r : tx);
                const int64_t n = n0 + (p.transpose_b ? r : tx), kb = k0 + (p.transpose_b ? tx : r);
                const float va = m < p.M && ka < p.K ? load(a_of, p.transpose_a ? ka * p.M + m : m * p.K + ka) : 0.0f;
                const float vb = n < p.N && kb < p.K ? load(b_of, p.transpose_b ? n * p.K + kb : kb * p.N + n) : 0.0f;
                tile_a[p.transpose_a ? tx : r][p.transpose_a ? r : tx] = va;
                tile_b[p.transpose_b ? tx : r][p.transpose_b ? r : tx] = vb;
            }
            __syncthreads();
            for (int k = 0; k < TILE; k++)
                for (int i = 0; i < TILE / ROWS; i++) sum[i] += tile_a[ty + i * ROWS][k] * tile_b[k][tx];
            __syncthreads();
        }
        const int64_t n = n0 + tx;
        for (int i = 0; i < TILE / ROWS; i++) {
            const int64_t m = m0 + ty + i * ROWS;
            if (m < p.M && n < p.N) store(y, (b * p.M + m) * p.N + n, sum[i] + (bias ? load(bias, n) : 0.0f));
        }
    }
}

template <typename T, typename U>
static void launch(const dr_kargs *a, const dr_cuda_product *p, const void *A, const void *B, const void *bias, void *y)
{
    const dim3 grid((unsigned)dr_blocks_for(p->M, TILE), (unsigned)dr_blocks_for(p->N, TILE), (unsigned)dr_min64(p->batch, 65535));
    if (dr_blocks_for(p->N, TILE) > 65535) {
        dr_cuda_refuse(a, DR_EUNSUPPORTED, "a product of %lld columns is too wide", (long long)p->N);
        return;
    }
    DR_LAUNCH(a, (multiply<T, U>), grid, dim3(TILE, ROWS), 0, (const T *)A, (const T *)B, (const T *)bias, (U *)y, *p);
}

extern "C" void dr_matmul_direct(const dr_kargs *a, const dr_cuda_product *p, const void *A, const void *B, const void *bias,
                                 void *y)
{
    if (p->dtype == DR_F32) launch<float, float>(a, p, A, B, bias, y);
    else if (p->y_dtype == DR_F32) launch<bf16, float>(a, p, A, B, bias, y);
    else launch<bf16, bf16>(a, p, A, B, bias, y);
}

/* x [n] and z [n_z] in one pass: the second begins where the first ends */
__global__ void round_to_bf16(const float *x, int64_t n, bf16 *rounded_x, const float *z, int64_t n_z, bf16 *rounded_z)
{
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < n + n_z; i += (int64_t)gridDim.x * blockDim.x) {
        if (i < n) rounded_x[i] = __float2bfloat16_rn(x[i]);
        else rounded_z[i - n] = __float2bfloat16_rn(z[i - n]);
    }
}

extern "C" void dr_round_to_bf16(const dr_kargs *a, const float *x, int64_t n, void *rounded_x, const float *z, int64_t n_z,
                                 void *rounded_z)
{
    if (n + n_z == 0) return;
    DR_LAUNCH(a, round_to_bf16, (unsigned)dr_min64(dr_blocks_for(n + n_z, 256), 2048), 256, 0, x, n, (bf16 *)rounded_x, z, n_z,
              (bf16 *)rounded_z);
}
