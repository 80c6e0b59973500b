/* conv2d_weight.h: the weight gradient of a convolution by direct outer products, where that is faster than oneDNN. */
#ifndef DRIFT_CPU_CONV2D_WEIGHT_H
#define DRIFT_CPU_CONV2D_WEIGHT_H

#include "cpu_backend.h"

typedef struct conv_shape {
    int64_t B, Ci, H, W;   /* of the image on the convolution's input side */
    int64_t Co, Ho, Wo, k; /* of the one on its output side, and the kernel */
    int64_t stride, padding;
    bool bias;
} conv_shape;

bool dr_conv2d_weight_suits(const conv_shape *s);
/* x [B,H,W,Ci], dy [B,Ho,Wo,Co] in memory -> dw [Co,Ci,k,k], db [Co] where s->bias. Call only where it suits. */
void dr_conv2d_weight(const dr_kargs *a, const conv_shape *s, const float *x, const float *dy, float *dw, float *db);

#endif
