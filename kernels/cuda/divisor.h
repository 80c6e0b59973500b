/* divisor.h: division of indices by a number that is known at the launch: a product and a shift in place of a division,
 * which takes a GPU some 20 instructions.     Granlund & Montgomery 1994, Division by invariant integers */
#ifndef DRIFT_CUDA_DIVISOR_H
#define DRIFT_CUDA_DIVISOR_H

#include "cuda_kernel.h"

struct divisor {
    uint32_t by, factor, shift;
};

static inline divisor divisor_of(int64_t by) /* 1 .. 2^31 - 1 */
{
    divisor d = { (uint32_t)by, 0, 0 };
    while (((int64_t)1 << d.shift) < by) d.shift++;
    d.factor = (uint32_t)(((((uint64_t)1 << d.shift) - (uint64_t)by) << 32) / (uint64_t)by + 1);
    return d;
}

/* n / by, for n < 2^31: so the sum does not overflow */
__device__ inline uint32_t quotient(uint32_t n, const divisor &d)
{
    return ((uint32_t)((uint64_t)n * d.factor >> 32) + n) >> d.shift;
}

#endif
