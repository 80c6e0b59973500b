/* conv2d_tile.h: convolutions of bf16 images on tensor cores: kernel 3x3 with stride 1 and padding 1, and kernels up to
 * 4x4 that halve or double an image; what follows the sums is done in registers. Several ways of cutting the work are
 * equal but for speed. */
#ifndef DRIFT_CUDA_CONV2D_TILE_H
#define DRIFT_CUDA_CONV2D_TILE_H

#include "conv2d_direct.h"

#ifdef __cplusplus
extern "C" {
#endif

int dr_conv2d_tile_ways(void);
/* Can the device run this convolution this way? from, to and weight must also be aligned to 16 bytes. */
bool dr_conv2d_tile_suits(const cuda *device, int way, dr_conv_kind kind, const dr_conv_shape *s, int32_t dtype);
/* FORWARD: from = x, to = y; DATA: from = y, to = x. weight [Co,k,k,Ci] of bf16. */
void dr_conv2d_tile(const dr_kargs *a, int way, dr_conv_kind kind, const dr_conv_shape *s, const void *from,
                    const void *weight, const dr_conv_after *after, void *to);

#ifdef __cplusplus
}
#endif
#endif
