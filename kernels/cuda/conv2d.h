/* conv2d.h: what conv2d.c does for conv2d_act.c: a convolution, or a transposed one, with what follows its sums. */
#ifndef DRIFT_CUDA_CONV2D_H
#define DRIFT_CUDA_CONV2D_H

#include "conv2d_direct.h"

/* x, weight, bias or NULL, add or NULL -> act(conv(x, weight) + bias + add) */
void dr_conv2d_forward(const dr_kargs *a, int64_t stride, int64_t padding, int64_t act);
void dr_conv2d_transposed(const dr_kargs *a, int64_t stride, int64_t padding, int64_t act);

#endif
