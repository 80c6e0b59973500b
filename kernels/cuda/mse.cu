/* mse.cu: the squared error sum of w (pred - target)^2, w one weight per row, over the number of elements if a mean.
 * pred and target lie alike, with axes in any order: memory is [outer, B, inner] around the axis of the rows. They are
 * f32 or bf16; the loss and the weights are f32. Blocks' sums are added up by the block that is done last. */
#include "block_sum.h"
#include "last_block.h"

enum { THREADS = 256, BLOCKS = 256 };

typedef struct rows {
    const float *weight; /* or NULL */
    int64_t B, inner;    /* element i is of row i / inner % B */
} rows;

static rows rows_of(const dr_kargs *a, int i)
{
    const dr_view *pred = &a->in[0];
    const float *weight = (const float *)dr_optional(a, i);
    if (!weight || pred->shape[0] <= 1) return rows{ weight, 1, 1 };
    return rows{ weight, pred->shape[0], pred->stride[0] };
}

__device__ inline float weight_at(rows r, int64_t i) { return r.weight ? r.weight[i / r.inner % r.B] : 1.0f; }

template <typename T, int N>
__global__ void __launch_bounds__(THREADS)
    mse_loss(const T *__restrict__ pred, const T *__restrict__ target, float *loss, rows r, int64_t n, double share,
             float *partial, uint32_t *arrivals)
{
    __shared__ float scratch[32];
    __shared__ uint32_t flag[1];
    const int64_t step = (int64_t)gridDim.x * THREADS * N;
    float sum = 0.0f;
#pragma unroll 2
    for (int64_t i = (blockIdx.x * (int64_t)THREADS + threadIdx.x) * N; i < n; i += step) {
        float p[N], t[N], square = 0.0f;
        floats_of(p, load_pack<T, N>(pred, i));
        floats_of(t, load_pack<T, N>(target, i));
        for (int k = 0; k < N; k++) square += (p[k] - t[k]) * (p[k] - t[k]);
        sum += weight_at(r, i) * square;
    }
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
    if (!last_to_arrive(arrivals, gridDim.x, flag)) return;
    sum = threadIdx.x < gridDim.x ? partial[threadIdx.x] : 0.0f;
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0) *loss = (float)((double)sum * share);
}

template <typename T, int N>
__global__ void mse_slope(const T *__restrict__ pred, const T *__restrict__ target, const float *dloss,
                          T *__restrict__ dpred, rows r, int64_t n, double share)
{
    const int64_t i = (blockIdx.x * (int64_t)blockDim.x + threadIdx.x) * N;
    if (i >= n) return;
    float p[N], t[N];
    floats_of(p, load_pack<T, N>(pred, i));
    floats_of(t, load_pack<T, N>(target, i));
    const float slope = (float)(2.0 * share * (double)*dloss) * weight_at(r, i);
    for (int k = 0; k < N; k++) p[k] = slope * (p[k] - t[k]);
    store_pack<T, N>(dpred, i, pack_of<T, N>(p));
}

/* A pack lies within a row. */
template <typename T> static bool by_packs(rows r, int64_t n, const void *x, const void *y, const void *z)
{
    const int64_t run = r.weight && r.B > 1 ? r.inner : n;
    return n % widest<T>() == 0 && run % widest<T>() == 0 && dr_aligned(x, 16) && dr_aligned(y, 16) &&
           dr_aligned(z, 16);
}

static double share_of(const dr_kargs *a, int64_t n)
{
    return ((const dr_mse_attr *)a->attr)->reduction == DR_REDUCE_MEAN ? 1.0 / (double)n : 1.0;
}

template <typename T, int N> static void loss(const dr_kargs *a, rows r, int64_t n)
{
    int64_t blocks = dr_min64(dr_blocks_for(n, THREADS * N), BLOCKS);
    if (blocks < 1) blocks = 1;
    float *partial = (float *)dr_cuda_workspace(a, BLOCKS * sizeof(float));
    if (!partial) return;
    DR_LAUNCH(a, (mse_loss<T, N>), (unsigned)blocks, THREADS, 0, (const T *)dr_in(a, 0), (const T *)dr_in(a, 1),
              (float *)dr_out(a, 0), r, n, share_of(a, n), partial, dr_cuda_of(a)->arrivals);
}

template <typename T> static void mse(const dr_kargs *a) /* pred [B,..], target [B,..], weight [B] or NULL -> loss [] */
{
    const int64_t n = dr_numel(&a->in[0]);
    const rows r = rows_of(a, 2);
    if (by_packs<T>(r, n, dr_in(a, 0), dr_in(a, 1), NULL)) loss<T, widest<T>()>(a, r, n);
    else loss<T, 1>(a, r, n);
}

template <typename T, int N> static void slope(const dr_kargs *a, rows r, int64_t n)
{
    DR_LAUNCH(a, (mse_slope<T, N>), (unsigned)dr_blocks_for(n, 256 * N), 256, 0, (const T *)dr_in(a, 0),
              (const T *)dr_in(a, 1), (const float *)dr_in(a, 2), (T *)dr_out(a, 0), r, n, share_of(a, n));
}

template <typename T> static void mse_backward(const dr_kargs *a) /* pred, target, dloss [], weight or NULL -> dpred */
{
    const int64_t n = dr_numel(&a->in[0]);
    const rows r = rows_of(a, 3);
    if (n == 0) return;
    if (by_packs<T>(r, n, dr_in(a, 0), dr_in(a, 1), dr_out(a, 0))) slope<T, widest<T>()>(a, r, n);
    else slope<T, 1>(a, r, n);
}

DR_KERNEL(mse, DR_F32, mse<float>)
DR_KERNEL(mse, DR_BF16, mse<bf16>)
DR_KERNEL(mse_backward, DR_F32, mse_backward<float>)
DR_KERNEL(mse_backward, DR_BF16, mse_backward<bf16>)
