/* conv2d_whole.h: convolutions whose kernel is the whole image (and transposed ones from 1x1) as matrix products. */
#ifndef DRIFT_CPU_CONV2D_WHOLE_H
#define DRIFT_CPU_CONV2D_WHOLE_H

#include "conv2d_weight.h"

/* In all of these `large` is the k x k image [B,k,k,Ci] on the convolution's input side, `small` [B,Co] the one pixel
 * on its output side, weight [Co,Ci,k,k]. A transposed convolution from 1x1 spreads its small input. Images are f32 or
 * bf16 (s->dtype), weights, bias and their gradients f32. */
bool dr_conv2d_whole_suits(const conv_shape *s);
void dr_conv2d_whole_gather(const dr_kargs *a, const conv_shape *s, void *large, const float *weight, float *bias,
                            void *small);
void dr_conv2d_whole_spread(const dr_kargs *a, const conv_shape *s, void *small, const float *weight, const float *bias,
                            void *large);
void dr_conv2d_whole_weight(const dr_kargs *a, const conv_shape *s, void *large, void *small, float *dw, float *db);

#endif
