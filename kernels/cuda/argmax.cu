/* argmax.cu: the index of the largest element along one axis, the first where several are equal. NaN is largest. Lines of
 * neighbouring elements are shared by a warp, or a block; of lines side by side, each thread has one. */
#include "cuda_kernel.h"
#include <math.h>

struct largest {
    float value;
    int32_t at;
};

__device__ inline largest larger_of(largest a, largest b)
{
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    if (a_nan || b_nan) return a_nan && (!b_nan || a.at < b.at) ? a : b;
    if (a.value == b.value) return a.at < b.at ? a : b;
    return a.value > b.value ? a : b;
}

__device__ inline largest larger_of_warp(largest m)
{
    for (int step = 16; step > 0; step /= 2) {
        largest other;
        other.value = __shfl_xor_sync(0xffffffffu, m.value, step);
        other.at = __shfl_xor_sync(0xffffffffu, m.at, step);
        m = larger_of(m, other);
    }
    return m;
}

enum { THREADS = 256 };

__global__ void argmax_of_rows(const float *x, int32_t *y, int64_t rows, int64_t n, int32_t threads) /* for a row: 32 or all */
{
    __shared__ largest of_warp[THREADS / 32];
    const int tid = threadIdx.x, lane = tid % threads;
    const int64_t row = blockIdx.x * (int64_t)(THREADS / threads) + tid / threads;
    largest m = { -INFINITY, INT32_MAX };
    for (int64_t i = lane; i < n && row < rows; i += threads) m = larger_of(m, largest{ x[row * n + i], (int32_t)i });
    m = larger_of_warp(m);
    if (threads == THREADS) {
        if (tid % 32 == 0) of_warp[tid / 32] = m;
        __syncthreads();
        for (int w = 0; w < THREADS / 32; w++) m = larger_of(m, of_warp[w]);
    }
    if (lane == 0 && row < rows) y[row] = m.at;
}

__global__ void argmax_of_columns(const float *x, int32_t *y, int64_t lines, int64_t n, int64_t inner)
{
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i >= lines) return;
    const float *line = x + i / inner * n * inner + i % inner;
    largest m = { line[0], 0 };
#pragma unroll 4
    for (int64_t k = 1; k < n; k++) m = larger_of(m, largest{ line[k * inner], (int32_t)k });
    y[i] = m.at;
}

static void argmax(const dr_kargs *a) /* x -> index i32, without the axis */
{
    const dr_view *x = &a->in[0];
    const int64_t dim = ((const dr_argmax_attr *)a->attr)->dim;
    const int axis = (int)(dim < 0 ? dim + x->rank : dim);
    const int64_t n = x->shape[axis], inner = dr_count(x, axis + 1, x->rank), lines = dr_count(x, 0, axis) * inner;
    const float *from = (const float *)dr_in(a, 0);
    int32_t *to = (int32_t *)dr_out(a, 0);
    if (lines == 0) return;
    if (inner > 1) {
        DR_LAUNCH(a, argmax_of_columns, (unsigned)dr_blocks_for(lines, 128), 128, 0, from, to, lines, n, inner);
        return;
    }
    const int32_t threads = n > 1024 ? (int32_t)THREADS : 32;
    DR_LAUNCH(a, argmax_of_rows, (unsigned)dr_blocks_for(lines, THREADS / threads), THREADS, 0, from, to, lines, n, threads);
}

DR_KERNEL(argmax, DR_F32, argmax)
