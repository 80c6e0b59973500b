/* conv2d_thin.h: convolutions with one channel on one side, as the first and the last layer of a network on gray
 * images. */
#ifndef DRIFT_CPU_CONV2D_THIN_H
#define DRIFT_CPU_CONV2D_THIN_H

#include "conv2d_weight.h"

bool dr_conv2d_thin_forward_suits(const conv_shape *s); /* to one channel */
void dr_conv2d_thin_forward(const dr_kargs *a, const conv_shape *s, const float *x, const float *weight,
                            const float *bias, float *y);
bool dr_conv2d_thin_weight_suits(const conv_shape *s); /* from or to one channel */
void dr_conv2d_thin_weight(const dr_kargs *a, const conv_shape *s, const float *x, const float *dy, float *dw,
                           float *db);

#endif
