/* conv2d_weight_bf16.h: the weight gradient of a convolution of bf16 images, where that is faster than oneDNN. */
#ifndef DRIFT_CPU_CONV2D_WEIGHT_BF16_H
#define DRIFT_CPU_CONV2D_WEIGHT_BF16_H

#include "conv2d_weight.h"

bool dr_conv2d_weight_bf16_suits(const conv_shape *s);
/* x [B,H,W,Ci], dy [B,Ho,Wo,Co] in memory -> dw [Co,Ci,k,k], db [Co] where s->bias, both f32. Call only where it suits. */
void dr_conv2d_weight_bf16(const dr_kargs *a, const conv_shape *s, const uint16_t *x, const uint16_t *dy, float *dw,
                           float *db);

#endif
