/* matmul_round.cu: what goes before and after a product of bf16 matrices by cuBLASLt: f32 weights rounded to bf16, and
 * y = round(sums + bias). cuBLASLt can add a bias itself, but rounds the sums before that and the result once more. */
#include "cuda_kernel.h"
#include "matmul.h"

enum { THREADS = 256, MOST_BLOCKS = 2048, N = widest<bf16>() };

template <int V> __global__ void round_weight(const float *x, bf16 *rounded, int64_t n)
{
    for (int64_t i = (blockIdx.x * (int64_t)THREADS + threadIdx.x) * V; i < n; i += (int64_t)gridDim.x * THREADS * V) {
        float v[V];
        load_floats(v, x + i);
        store_pack(rounded, i, pack_of<bf16>(v));
    }
}

extern "C" void dr_round_to_bf16(const dr_kargs *a, const float *x, int64_t n, void *rounded)
{
    const bool packs = n % N == 0 && dr_aligned(x, 16) && dr_aligned(rounded, 16);
    const unsigned grid = (unsigned)dr_min64(dr_blocks_for(packs ? n / N : n, THREADS), MOST_BLOCKS);
    if (n == 0) return;
    if (packs) DR_LAUNCH(a, round_weight<N>, grid, THREADS, 0, x, (bf16 *)rounded, n);
    else DR_LAUNCH(a, round_weight<1>, grid, THREADS, 0, x, (bf16 *)rounded, n);
}

template <int V, typename T>
__global__ void round_sums(const float *sums, const T *bias, bf16 *y, int64_t n, int64_t columns)
{
    for (int64_t i = (blockIdx.x * (int64_t)THREADS + threadIdx.x) * V; i < n; i += (int64_t)gridDim.x * THREADS * V) {
        const int64_t column = i % columns;
        float v[V];
        load_floats(v, sums + i);
        for (int k = 0; k < V; k++) v[k] += load(bias, column + k);
        store_pack(y, i, pack_of<bf16>(v));
    }
}

template <typename T> static void round_all(const dr_kargs *a, const float *sums, const T *bias, bf16 *y, int64_t n, int64_t columns)
{
    const bool packs = columns % N == 0 && dr_aligned(sums, 16) && dr_aligned(y, 16);
    const unsigned grid = (unsigned)dr_min64(dr_blocks_for(packs ? n / N : n, THREADS), MOST_BLOCKS);
    if (packs) DR_LAUNCH(a, (round_sums<N, T>), grid, THREADS, 0, sums, bias, y, n, columns);
    else DR_LAUNCH(a, (round_sums<1, T>), grid, THREADS, 0, sums, bias, y, n, columns);
}

extern "C" void dr_round_sums(const dr_kargs *a, const float *sums, const void *bias, int32_t bias_dtype, void *y,
                              int64_t rows, int64_t columns)
{
    if (bias_dtype == DR_F32) round_all(a, sums, (const float *)bias, (bf16 *)y, rows * columns, columns);
    else round_all(a, sums, (const bf16 *)bias, (bf16 *)y, rows * columns, columns);
}
