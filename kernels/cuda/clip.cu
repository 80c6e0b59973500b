/* clip.cu: clipping gradients by their common norm: g *= min(1, max_norm/(norm + 1e-6)).     Pascanu et al. 2013
 * The sum of squares is of doubles: each block's, then all blocks' in a fixed order. */
#include "block_sum.h"
#include "last_block.h"
#include "tensor_table.h"

/* A block leaves its sum in partial[first + block]; the last one of the last launch adds up all. */
__global__ void square_norm(tensor_table<1> t, double *partial, int64_t first, int64_t all, uint32_t *arrivals, double *y)
{
    __shared__ double scratch[32];
    __shared__ uint32_t flag;
    const chunk k = chunk_of(t, (int32_t)blockIdx.x);
    double sum = 0.0;
#pragma unroll
    for (int j = 0; j < CHUNK_PACKS; j++) {
        const pack<float, 4> x = load_four(t.at[k.row][0] + k.from, (j * CHUNK_THREADS + (int)threadIdx.x) * 4, k.n);
#pragma unroll
        for (int e = 0; e < 4; e++) sum += (double)x.v[e] * (double)x.v[e];
    }
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0) partial[first + blockIdx.x] = sum;
    if (first + gridDim.x < all || !last_to_arrive(arrivals, gridDim.x, &flag)) return;
    sum = 0.0;
#pragma unroll 8
    for (int64_t i = threadIdx.x; i < all; i += CHUNK_THREADS) sum += partial[i];
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0) *y = sum;
}

__global__ void square_norm_of_nothing(double *y) { *y = 0.0; }

static void square_norm(const dr_kargs *a) /* tensors -> f64 [], the sum of all squares */
{
    int64_t all = 0, first = 0;
    for (int i = 0; i < a->n_in; i++) all += dr_blocks_for(dr_numel(&a->in[i]), CHUNK);
    if (all == 0) {
        DR_LAUNCH(a, square_norm_of_nothing, 1, 1, 0, (double *)dr_out(a, 0));
        return;
    }
    double *partial = (double *)dr_cuda_workspace(a, (size_t)all * sizeof(double));
    if (!partial) return;
    for (int from = 0; from < a->n_in;) {
        tensor_table<1> t;
        from = fill_table(&t, a, from);
        if (t.rows == 0) continue;
        DR_LAUNCH(a, square_norm, (unsigned)t.first[t.rows], CHUNK_THREADS, 0, t, partial, first, all,
                  dr_cuda_of(a)->arrivals, (double *)dr_out(a, 0));
        first += t.first[t.rows];
    }
}

__global__ void clip_step(tensor_table<1> t, const double *square_norm, double max_norm)
{
    __shared__ float factor;
    if (threadIdx.x == 0) {
        const double exact = max_norm / (sqrt(*square_norm) + 1e-6);
        factor = exact >= 1.0 ? 1.0f : (float)exact;
    }
    __syncthreads();
    if (factor == 1.0f) return;
    const chunk k = chunk_of(t, (int32_t)blockIdx.x);
    float *at = t.at[k.row][0] + k.from;
#pragma unroll
    for (int j = 0; j < CHUNK_PACKS; j++) {
        const int64_t i = (j * CHUNK_THREADS + (int)threadIdx.x) * 4;
        pack<float, 4> x = load_four(at, i, k.n);
#pragma unroll
        for (int e = 0; e < 4; e++) x.v[e] *= factor;
        store_four(at, i, k.n, x);
    }
}

static void clip_step(const dr_kargs *a) /* squared norm f64 []; then the gradients, in place */
{
    const double max_norm = ((const dr_clip_step_attr *)a->attr)->max_norm;
    for (int from = 1; from < a->n_in;) {
        tensor_table<1> t;
        from = fill_table(&t, a, from);
        if (t.rows == 0) continue;
        DR_LAUNCH(a, clip_step, (unsigned)t.first[t.rows], CHUNK_THREADS, 0, t, (const double *)dr_in(a, 0), max_norm);
    }
}

DR_KERNEL(square_norm, DR_F32, square_norm)
DR_KERNEL(clip_step, DR_F32, clip_step)
