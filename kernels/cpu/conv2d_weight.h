/* conv2d_weight.h: the weight gradient of a convolution by direct outer products, where that is faster than oneDNN. */
#ifndef DRIFT_CPU_CONV2D_WEIGHT_H
#define DRIFT_CPU_CONV2D_WEIGHT_H

#include "cpu_backend.h"

typedef struct conv_shape {
    int64_t B, Ci, H, W;   /* of the image on the convolution's input side */
    int64_t Co, Ho, Wo, k; /* of the one on its output side, and the kernel */
    int64_t stride, padding;
    bool bias, frozen; /* frozen: the weight never changes */
    /* forward: act(sums + bias + add), add NULL or add_rows of the images that are written, one after the other */
    int64_t act, add_rows;
    const void *add; /* of y's dtype */
    int32_t dtype, weight_dtype, bias_dtype; /* dr_dtype: of both images, and of weight and bias as the caller has them */
} conv_shape;

/* The output positions [first, last) of Wo that the kernel's column kx (or row) takes from inside the input's W. */
static inline void dr_conv_inside(const conv_shape *s, int64_t kx, int64_t W, int64_t Wo, int64_t *first, int64_t *last)
{
    const int64_t before = s->padding - kx, end = W - 1 + s->padding - kx;
    *first = before > 0 ? (before + s->stride - 1) / s->stride : 0;
    *last = end < 0 ? 0 : dr_min64(Wo, end / s->stride + 1);
}

bool dr_conv2d_weight_suits(const conv_shape *s);
size_t dr_conv2d_weight_bytes(const conv_shape *s); /* of memory that it needs for intermediate sums */
/* x [B,H,W,Ci], dy [B,Ho,Wo,Co] in memory -> dw [Co,Ci,k,k], db [Co] where s->bias. Call only where it suits. */
void dr_conv2d_weight(const conv_shape *s, const float *x, const float *dy, float *dw, float *db, float *sums);

/* For other forms of it: into how many blocks of images it is cut, each with its own sums [k,k,Co,Ci], [Co]; and their
 * total, in order, for one output channel. */
enum { DR_CONV_FEWEST_BLOCKS = 4 };
int64_t dr_conv2d_weight_blocks(const conv_shape *s);
void dr_conv2d_weight_gather(const conv_shape *s, const float *sums, int64_t blocks, int64_t co, float *dw, float *db);

#endif
