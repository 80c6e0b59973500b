/* conv2d_winograd.h: convolutions with fewer multiplications than they have terms (Winograd): kernels 3x3 with stride 1
 * and kernels 3x3 and 4x4 with stride 2, their gradients, and their transposes. Images are f32 or bf16 (the shape's
 * dtype), weights f32, f16 or bf16; their gradients and all that lies between are f32. */
#ifndef DRIFT_CPU_CONV2D_WINOGRAD_H
#define DRIFT_CPU_CONV2D_WINOGRAD_H

#include "conv2d_weight.h"

enum { DR_WINOGRAD_FORMS = 2 }; /* large tiles (fewest multiplications), small ones (least rounding, small images) */

/* Large tiles suit where the image has one: in less, they would round more and save nothing. */
bool dr_winograd_suits(const conv_shape *s, int form);
/* How long it takes, in multiplications of a direct convolution that take as long. */
double dr_winograd_cost(const conv_shape *s, int form, bool spread);

/* In all of these `large` [B,H,W,Ci] is the convolution's input side and `small` [B,Ho,Wo,Co] its output side, with a
 * pitch: the numbers from one pixel to the next, Ci or more (an image may be channels of a wider one).
 * Call only where it suits. Results depend on shape and form alone, not on the number of threads. */
typedef struct dr_winograd_image {
    void *data;
    int64_t pitch;
} dr_winograd_image;

/* small = act(conv2d(large, weight) + bias + add), act and add in s; weight [Co,Ci,k,k], bias [Co] or NULL */
void dr_winograd_gather(const dr_kargs *a, const conv_shape *s, int form, dr_winograd_image large, const void *weight,
                        const float *bias, dr_winograd_image small);
/* large = its gradient, given small's; the same as a transposed convolution, which may have a bias [Ci] */
void dr_winograd_spread(const dr_kargs *a, const conv_shape *s, int form, dr_winograd_image small, const void *weight,
                        const float *bias, dr_winograd_image large);
/* dw [Co,Ci,k,k], and db [Co] where s->bias */
void dr_winograd_weight(const dr_kargs *a, const conv_shape *s, int form, dr_winograd_image large,
                        dr_winograd_image small, float *dw, float *db);

#endif
