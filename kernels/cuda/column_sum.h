/* column_sum.h: y [G,C] = factor * sum over the rows of x [G,R,C], both dense; x and y are DR_F32 or DR_BF16. The sum's order
 * depends on the shape alone. Uses the call's workspace from its beginning. What biases' gradients, means of images and
 * global pooling are made of. [kernel] */
#ifndef DRIFT_CUDA_COLUMN_SUM_H
#define DRIFT_CUDA_COLUMN_SUM_H

#include "cuda_backend.h"

#ifdef __cplusplus
extern "C"
#endif
void dr_cuda_column_sum(const dr_kargs *a, const void *x, int32_t x_dtype, void *y, int32_t y_dtype, int64_t G, int64_t R,
                        int64_t C, double factor);

#endif
