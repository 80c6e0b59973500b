/* conv2d_direct.h: what a convolution on the GPU is made of, and the own kernels for it. Images lie channels-last. Before
 * a product the weights lie as [Co,k,k,Ci] in the images' dtype T; the thin kernels read them as they are. */
#ifndef DRIFT_CUDA_CONV2D_DIRECT_H
#define DRIFT_CUDA_CONV2D_DIRECT_H

#include "cuda_backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y[b,co,oy,ox] = sum over ci,ky,kx of x[b,ci,oy s - p + ky,ox s - p + kx] weight[co,ci,ky,kx] */
typedef struct dr_conv_shape {
    int64_t B, Ci, H, W, Co, Ho, Wo, k, stride, padding;
} dr_conv_shape;

typedef enum dr_conv_kind {
    DR_CONV_FORWARD, /* x -> y */
    DR_CONV_DATA,    /* y -> x: the gradient in x, and the transposed convolution */
    DR_CONV_WEIGHT   /* x, y -> weight */
} dr_conv_kind;

/* What follows the sums: act(sums + bias + add). */
typedef struct dr_conv_after {
    const void *bias; /* [channels] of bias_dtype, or NULL; channel c of the product gets bias[c mod channels] */
    int32_t bias_dtype;
    int64_t channels;
    const void *add; /* [add_rows,C,H,W] of T, row b gets add[b mod add_rows]; or NULL */
    int64_t add_rows, act;
} dr_conv_after;

static inline bool dr_conv_nothing_after(const dr_conv_after *f) { return !f->bias && !f->add && f->act == DR_ACT_NONE; }

/* ---- conv2d_direct.cu: implicit matrix products, any shape, T = f32 or bf16 -------------------------------------- */

/* FORWARD: from = x, to = y; DATA: from = y, to = x. weight [Co,k,k,Ci] of T. */
void dr_conv2d_direct(const dr_kargs *a, dr_conv_kind kind, const dr_conv_shape *s, int32_t dtype, const void *from,
                      const void *weight, const dr_conv_after *after, void *to);

/* dw in parts [parts,Co,k,k,Ci] of f32, to be summed by dr_conv_finish_weight. */
int64_t dr_conv2d_direct_weight_parts(const dr_conv_shape *s);
void dr_conv2d_direct_weight(const dr_kargs *a, const dr_conv_shape *s, int32_t dtype, const void *x, const void *dy,
                             float *parts);

/* ---- conv2d_thin.cu: one channel on one side, kernel 3x3: memory is what they wait for ---------------------------- */

bool dr_conv2d_thin_suits(dr_conv_kind kind, const dr_conv_shape *s);
/* weight [Co,Ci,3,3] as it is, of weight_dtype */
void dr_conv2d_thin(const dr_kargs *a, dr_conv_kind kind, const dr_conv_shape *s, int32_t dtype, const void *from,
                    const void *weight, int32_t weight_dtype, const dr_conv_after *after, void *to);
int64_t dr_conv2d_thin_weight_parts(const dr_conv_shape *s);
void dr_conv2d_thin_weight(const dr_kargs *a, const dr_conv_shape *s, int32_t dtype, const void *x, const void *dy,
                           float *parts); /* as dr_conv2d_direct_weight */

/* ---- conv2d_layout.cu: weights [Co,Ci,k,k] and [Co,k,k,Ci] ---------------------------------------------------------- */

/* weight, if not NULL, to `last`; and in the same launch bias [channels] f32, if not NULL, to bias_last of dtype. */
typedef struct dr_conv_last {
    const void *weight;
    int32_t weight_dtype, dtype;
    int64_t Co, Ci, taps, channels;
    void *last;
    const float *bias;
    void *bias_last;
} dr_conv_last;
void dr_conv_weight_last(const dr_kargs *a, const dr_conv_last *w);
/* dw [Co,Ci,k,k] = the sum of parts [parts,Co,k,k,Ci] of part_dtype, and db [Co] that of bias_parts, in one launch. Either
 * may be NULL. */
typedef struct dr_conv_parts {
    const void *weight;
    int32_t weight_dtype;
    int64_t parts, Co, Ci, taps;
    float *dw;
    const float *bias; /* [bias_parts,Co] */
    int64_t bias_parts;
    float *db;
} dr_conv_parts;
void dr_conv_finish_weight(const dr_kargs *a, const dr_conv_parts *p);

/* ---- bias.cu ---------------------------------------------------------------------------------------------------------- */

/* y [rows,pixels,channels] of dtype = act(y + bias + add), in place. */
void dr_conv_finish(const dr_kargs *a, void *y, int32_t dtype, int64_t rows, int64_t pixels, const dr_conv_after *after);
/* dy [P,C] -> parts [dr_bias_parts(P),C] of f32 */
int64_t dr_bias_parts(int64_t P);
void dr_bias_gradient(const dr_kargs *a, const void *dy, int32_t dtype, int64_t P, int64_t C, float *parts);

#ifdef __cplusplus
}
#endif
#endif
