/* block_sum.h: sums and maxima over a warp and over a block, in one fixed order, so that a result does not change from
 * run to run. The block's size is a multiple of 32. */
#ifndef DRIFT_CUDA_BLOCK_SUM_H
#define DRIFT_CUDA_BLOCK_SUM_H

#include "cuda_kernel.h"

template <typename A> __device__ inline A warp_sum(A v) /* in every thread of the warp */
{
    for (int step = 16; step > 0; step /= 2) v += __shfl_xor_sync(0xffffffffu, v, step);
    return v;
}

template <typename A> __device__ inline A warp_max(A v)
{
    for (int step = 16; step > 0; step /= 2) {
        const A other = __shfl_xor_sync(0xffffffffu, v, step);
        v = other > v ? other : v;
    }
    return v;
}

/* In every thread of the block. scratch: 32 values of shared memory, free again after the call. */
template <typename A> __device__ inline A block_sum(A v, A *scratch)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = (blockDim.x + 31) / 32;
    v = warp_sum(v);
    if (lane == 0) scratch[warp] = v;
    __syncthreads();
    v = warp_sum(lane < warps ? scratch[lane] : A(0));
    __syncthreads();
    return v;
}

template <typename A> __device__ inline A block_max(A v, A *scratch)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = (blockDim.x + 31) / 32;
    v = warp_max(v);
    if (lane == 0) scratch[warp] = v;
    __syncthreads();
    v = warp_max(scratch[lane < warps ? lane : 0]);
    __syncthreads();
    return v;
}

#endif
