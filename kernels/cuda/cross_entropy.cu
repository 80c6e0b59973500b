/* cross_entropy.cu: loss = mean over rows of -log softmax(logits)[label]. logits are f32 or bf16, all else is f32. A
 * warp has a row; blocks' sums are added up by the block that is done last. */
#include "block_sum.h"
#include "last_block.h"

enum { ROWS = 8, BLOCKS = 128, THREADS = 256 }; /* ROWS: of a block at a time, a warp each */

template <typename T>
__global__ void cross_entropy_rows(const T *__restrict__ logits, const int32_t *__restrict__ label, float *loss,
                                   float *__restrict__ log_p, int64_t B, int64_t K, float *partial, uint32_t *arrivals,
                                   dr_cuda_complaint *complaint)
{
    __shared__ float scratch[32];
    __shared__ uint32_t flag[1];
    const int lane = threadIdx.x % 32;
    float own = 0.0f; /* in lane 0: the warp's losses */
    for (int64_t b = blockIdx.x * (int64_t)ROWS + threadIdx.x / 32; b < B; b += (int64_t)gridDim.x * ROWS) {
        float largest = -INFINITY, sum = 0.0f;
        for (int64_t k = lane; k < K; k += 32) largest = fmaxf(largest, load(logits, b * K + k));
        largest = warp_max(largest);
        for (int64_t k = lane; k < K; k += 32) sum += expf(load(logits, b * K + k) - largest);
        const float log_sum = logf(warp_sum(sum));
        for (int64_t k = lane; k < K; k += 32) log_p[b * K + k] = (load(logits, b * K + k) - largest) - log_sum;
        if (lane > 0) continue;
        if (label[b] < 0 || label[b] >= K) complain(complaint, DR_COMPLAINT_ID_OUTSIDE, label[b], K);
        else own -= (load(logits, b * K + label[b]) - largest) - log_sum;
    }
    own = block_sum(own, scratch);
    if (threadIdx.x == 0) partial[blockIdx.x] = own;
    if (!last_to_arrive(arrivals, gridDim.x, flag)) return;
    own = block_sum(threadIdx.x < gridDim.x ? partial[threadIdx.x] : 0.0f, scratch);
    if (threadIdx.x == 0) *loss = own / (float)B;
}

__global__ void cross_entropy_slope(const float *__restrict__ log_p, const int32_t *__restrict__ label,
                                    const float *dloss, float *__restrict__ dlogits, int64_t B, int64_t K)
{
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i >= B * K) return;
    const float share = *dloss / (float)B;
    dlogits[i] = share * (label[i / K] == i % K ? expm1f(log_p[i]) : expf(log_p[i]));
}

/* logits [B,K], label i32 [B] -> loss [], log-probabilities [B,K] */
template <typename T> static void cross_entropy(const dr_kargs *a)
{
    const int64_t B = a->in[0].shape[0], K = a->in[0].shape[1];
    float *partial = (float *)dr_cuda_workspace(a, BLOCKS * sizeof(float));
    if (!partial) return;
    DR_LAUNCH(a, cross_entropy_rows<T>, (unsigned)dr_min64(dr_blocks_for(B, ROWS), BLOCKS), ROWS * 32, 0,
              (const T *)dr_in(a, 0), (const int32_t *)dr_in(a, 1), (float *)dr_out(a, 0), (float *)dr_out(a, 1), B, K,
              partial, dr_cuda_of(a)->arrivals, dr_cuda_complain_to(a));
}

static void cross_entropy_backward(const dr_kargs *a) /* log-probabilities, label, dloss [] -> dlogits [B,K] */
{
    const int64_t B = a->in[0].shape[0], K = a->in[0].shape[1];
    if (B * K == 0) return;
    DR_LAUNCH(a, cross_entropy_slope, (unsigned)dr_blocks_for(B * K, THREADS), THREADS, 0, (const float *)dr_in(a, 0),
              (const int32_t *)dr_in(a, 1), (const float *)dr_in(a, 2), (float *)dr_out(a, 0), B, K);
}

DR_KERNEL(cross_entropy, DR_F32, cross_entropy<float>)
DR_KERNEL(cross_entropy, DR_BF16, cross_entropy<bf16>)
DR_KERNEL(cross_entropy_backward, DR_F32, cross_entropy_backward)
