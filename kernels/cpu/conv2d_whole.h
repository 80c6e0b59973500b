/* conv2d_whole.h: convolutions whose kernel is the whole image (and transposed ones from 1x1) as matrix products. */
#ifndef DRIFT_CPU_CONV2D_WHOLE_H
#define DRIFT_CPU_CONV2D_WHOLE_H

#include "conv2d_weight.h"

/* In all of these `large` is the k x k image [B,k,k,Ci] on the convolution's input side, `small` [B,Co] the one pixel
 * on its output side, weight [Co,Ci,k,k]. A transposed convolution from 1x1 spreads its small input. */
bool dr_conv2d_whole_suits(const conv_shape *s);
void dr_conv2d_whole_gather(const dr_kargs *a, const conv_shape *s, float *large, const float *weight, float *bias,
                            float *small);
void dr_conv2d_whole_spread(const dr_kargs *a, const conv_shape *s, float *small, const float *weight,
                            const float *bias, float *large);
void dr_conv2d_whole_weight(const dr_kargs *a, const conv_shape *s, float *large, float *small, float *dw, float *db);

#endif
