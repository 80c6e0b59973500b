/* conv2d_choice.h: which form of a convolution runs, and with which of cuDNN's engines. All give the same sums but for
 * rounding. What is fastest depends on shape, GPU and version, so it is measured once and remembered across runs. */
#ifndef DRIFT_CUDA_CONV2D_CHOICE_H
#define DRIFT_CUDA_CONV2D_CHOICE_H

#include "conv2d_direct.h"
#include "cudnn_graph.h"

typedef enum dr_conv_form {
    DR_CONV_DIRECT,      /* conv2d_direct.cu */
    DR_CONV_CUDNN,       /* the sums by cuDNN, in the images' dtype, and what follows them by bias.cu */
    DR_CONV_CUDNN_FUSED, /* all in one graph of cuDNN's: it has engines for + bias and ReLU, and compiles others */
    DR_CONV_TILE,        /* conv2d_tile.cu, in one of its ways */
    DR_CONV_FORMS
} dr_conv_form;

/* A convolution's operands. FORWARD: from = x, to = y; DATA: from = y, to = x; WEIGHT: from = x, second = dy. */
typedef struct dr_conv_call {
    dr_conv_kind kind;
    dr_conv_shape shape; /* as it runs */
    bool whole;          /* the kernel covers the image: it runs as a product, a 1x1 convolution with Ci = k k Ci' */
    int64_t Ci, taps;    /* the weight's own: [Co,Ci,taps] */
    int32_t dtype, weight_dtype;
    const void *from, *second; /* second: weight, or dy */
    void *to;                  /* image, or dw f32 */
    float *db;                 /* WEIGHT: or NULL */
    dr_conv_after after;
} dr_conv_call;

typedef struct dr_conv_choice {
    dr_conv_form form;
    int64_t index, engine; /* which of the graph's engines, and its number; TILE: index is the way */
    dr_cudnn_graph *graph; /* NULL where it is an own kernel */
    dr_cudnn_plan *plan;
} dr_conv_choice;

/* Runs the call in the form that is known, or found, to be fastest. `run` returns false where that form fails without a
 * dr_fail. Measuring runs several forms on the call's own operands (results are overwritten) and the chosen one last;
 * while a graph is captured nothing is measured. DRIFT_CUDA_TUNE=off: nothing is measured or read, cuDNN's advice is
 * taken. DRIFT_CUDA_CONV=direct|cudnn|tile: the direct kernel alone, cuDNN or tiles wherever they can. DRIFT_CUDA_FUSE=1: graphs
 * for which cuDNN compiles a kernel, at each start a second or more for each shape, are tried as well. */
typedef bool (*dr_conv_runner)(const dr_kargs *a, const dr_conv_call *call, const dr_conv_choice *choice);
void dr_conv_run(const dr_kargs *a, const dr_conv_call *call, dr_conv_runner run);

void dr_conv_choices_free(struct dr_conv_choices *t); /* before the handle goes; NULL is fine */

/* delay.cu: keeps the device busy for a fraction of a millisecond, so that what is queued behind runs without gaps. */
#ifdef __cplusplus
extern "C"
#endif
void dr_cuda_delay(const dr_kargs *a, void *scratch);

#endif
