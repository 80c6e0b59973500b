/* conv2d_weight_tile.h: the gradient in a convolution's weight on tensor cores, from bf16 images to f32 sums, in one of
 * several ways to divide the work, which are numbered from 0. */
#ifndef DRIFT_CUDA_CONV2D_WEIGHT_TILE_H
#define DRIFT_CUDA_CONV2D_WEIGHT_TILE_H

#include "conv2d_direct.h"

#ifdef __cplusplus
extern "C" {
#endif

int dr_conv2d_weight_tile_ways(void);

/* 3x3 and 4x4 kernels, channels by 8, images whose rows fit into a block's memory. x and dy must be aligned to 16
 * bytes. */
bool dr_conv2d_weight_tile_suits(const cuda *c, int way, const dr_conv_shape *s, int32_t dtype);

/* x [B,Ci,H,W], dy [B,Co,Ho,Wo] of bf16 -> dw in parts [parts,Co,k,k,Ci] and, unless NULL, db in parts [parts,Co], of
 * f32, to be summed by dr_conv_finish_weight. The number of parts depends on shape and way alone. */
int64_t dr_conv2d_weight_tile_parts(int way, const dr_conv_shape *s);
void dr_conv2d_weight_tile(const dr_kargs *a, int way, const dr_conv_shape *s, const void *x, const void *dy,
                           float *parts, float *bias_parts);

#ifdef __cplusplus
}
#endif
#endif
