/* batch_moments.h: mean and biased variance of each channel over a batch, for batch_norm.c, and the shape that both
 * see x in. */
#ifndef DRIFT_CPU_BATCH_MOMENTS_H
#define DRIFT_CPU_BATCH_MOMENTS_H

#include "cpu_backend.h"
#include <stdbool.h>

typedef struct dr_norm_shape {
    int64_t n, C, planes, L; /* values per channel; planes of L where L > 0, else rows */
    int type;                /* of x and y: DR_F32 or DR_BF16 */
} dr_norm_shape;

/* About 16 KiB of f32, but no float sum over more than 64 values: that rounds too much. */
static inline int64_t dr_rows_at_once(int64_t C)
{
    const int64_t rows = 4096 / C;
    return rows < 8 ? 8 : dr_min64(rows, 64);
}

/* x of the launch is input 0 -> mean, var [C]. False after dr_fail: no memory. */
bool dr_batch_moments(const dr_kargs *a, const dr_norm_shape *s, float *mean, float *var);

#endif
