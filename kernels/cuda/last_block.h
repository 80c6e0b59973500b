/* last_block.h: which block of several is done last. It adds up what the others have left in memory, in a fixed order,
 * so that a sum over the whole grid takes one launch and no float atomics. The counter is one of
 * dr_cuda_of(a)->arrivals: 0 before, and 0 again after the last block's arrival. */
#ifndef DRIFT_CUDA_LAST_BLOCK_H
#define DRIFT_CUDA_LAST_BLOCK_H

#include "cuda_kernel.h"

/* True in every thread of the block that is the last of `blocks` to arrive here; what the others wrote before they
 * arrived is there to be read. flag: a word of shared memory. */
__device__ inline bool last_to_arrive(uint32_t *counter, uint32_t blocks, uint32_t *flag)
{
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0) { /* its fences are the block's, between the two barriers */
        __threadfence();
        const uint32_t before = atomicAdd(counter, 1u);
        if (before == blocks - 1) *counter = 0;
        *flag = before == blocks - 1;
        __threadfence();
    }
    __syncthreads();
    return *flag != 0;
}

#endif
