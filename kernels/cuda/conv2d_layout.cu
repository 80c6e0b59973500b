/* conv2d_layout.cu: weights from [Co,Ci,k,k], as they are kept, to [Co,k,k,Ci], as products of channels-last images read
 * them, rounded to the images' dtype on the way; and their gradients back, with the sum over what blocks have left. */
#include "conv2d_direct.h"
#include "cuda_kernel.h"

template <typename W, typename T>
__global__ void weight_last(const W *weight, T *last, int Ci, int taps, int64_t n, const float *bias, T *bias_last, int64_t end)
{
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < end; i += (int64_t)gridDim.x * blockDim.x) {
        if (i >= n) {
            store(bias_last, i - n, bias[i - n]);
            continue;
        }
        const int64_t row = i / Ci, co = row / taps; /* i is at [co,tap,ci] */
        const int ci = (int)(i - row * Ci), tap = (int)(row - co * taps);
        store(last, i, load(weight, (co * Ci + ci) * taps + tap));
    }
}

template <typename W, typename T> static void turn(const dr_kargs *a, const dr_conv_last *w)
{
    const int64_t n = w->weight ? w->Co * w->Ci * w->taps : 0, end = n + (w->bias ? w->channels : 0);
    if (end == 0) return;
    DR_LAUNCH(a, (weight_last<W, T>), (unsigned)dr_min64(dr_blocks_for(end, 256), 1 << 16), 256, 0, (const W *)w->weight,
              (T *)w->last, (int)w->Ci, (int)w->taps, n, w->bias, (T *)w->bias_last, end);
}

void dr_conv_weight_last(const dr_kargs *a, const dr_conv_last *w)
{
    if (w->dtype == DR_F32) turn<float, float>(a, w);
    else if (w->weight_dtype == DR_F32) turn<float, bf16>(a, w);
    else turn<bf16, bf16>(a, w);
}

/* ---- gradients ------------------------------------------------------------------------------------------------------- */

enum { LANES = 32, SHARES = 8 }; /* a block: 32 sums, each of 8 shares; or 256 elements where there is one part */

template <typename T> __device__ inline float sum_share(const T *parts, int64_t n, int64_t count, int64_t i)
{
    float sum = 0.0f;
    if (i >= n) return sum;
#pragma unroll 8
    for (int part = threadIdx.y; part < (int)count; part += SHARES) sum += load(parts, part * n + i);
    return sum;
}

__device__ inline float sum_of_shares(float share, float (*shares)[LANES])
{
    shares[threadIdx.y][threadIdx.x] = share;
    __syncthreads();
    float sum = 0.0f;
    for (int s = 0; s < SHARES; s++) sum += shares[s][threadIdx.x];
    return sum;
}

/* i at [co,tap,ci] -> its place in [co,ci,tap] */
__device__ inline int64_t place(int64_t i, int Ci, int taps)
{
    const int64_t row = i / Ci, co = row / taps;
    return (co * Ci + (i - row * Ci)) * taps + (row - co * taps);
}

template <typename T>
__global__ void finish_weight(const T *weight, int64_t parts, int64_t n, int Ci, int taps, float *dw, int64_t weight_blocks,
                              const float *bias, int64_t bias_parts, int64_t Co, float *db)
{
    __shared__ float shares[SHARES][LANES];
    if (blockIdx.x >= weight_blocks) {
        const int64_t co = (blockIdx.x - weight_blocks) * LANES + threadIdx.x;
        const float sum = sum_of_shares(sum_share(bias, Co, bias_parts, co), shares);
        if (threadIdx.y == 0 && co < Co) db[co] = sum;
        return;
    }
    if (parts == 1) {
        const int64_t i = (blockIdx.x * (int64_t)SHARES + threadIdx.y) * LANES + threadIdx.x;
        if (i < n) dw[place(i, Ci, taps)] = load(weight, i);
        return;
    }
    const int64_t i = blockIdx.x * (int64_t)LANES + threadIdx.x;
    const float sum = sum_of_shares(sum_share(weight, n, parts, i), shares);
    if (threadIdx.y == 0 && i < n) dw[place(i, Ci, taps)] = sum;
}

template <typename T> static void finish_parts(const dr_kargs *a, const dr_conv_parts *p)
{
    const int64_t n = p->weight ? p->Co * p->Ci * p->taps : 0;
    const int64_t weight_blocks = dr_blocks_for(n, p->parts == 1 ? LANES * SHARES : LANES);
    const int64_t blocks = weight_blocks + (p->bias ? dr_blocks_for(p->Co, LANES) : 0);
    if (blocks == 0) return;
    DR_LAUNCH(a, finish_weight<T>, (unsigned)blocks, dim3(LANES, SHARES), 0, (const T *)p->weight, p->parts, n, (int)p->Ci,
              (int)p->taps, p->dw, weight_blocks, p->bias, p->bias_parts, p->Co, p->db);
}

void dr_conv_finish_weight(const dr_kargs *a, const dr_conv_parts *p)
{
    if (p->weight_dtype == DR_BF16) finish_parts<bf16>(a, p);
    else finish_parts<float>(a, p);
}
