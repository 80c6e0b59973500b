/* conv2d_choice.h: which form of a convolution runs. All give the same sums but for rounding; which is fastest depends
 * on shape and processor, so larger shapes are measured once, and what was chosen is remembered across runs. */
#ifndef DRIFT_CPU_CONV2D_CHOICE_H
#define DRIFT_CPU_CONV2D_CHOICE_H

#include "conv2d_weight.h"
#include "onednn.h"

typedef enum dr_conv_form {
    DR_CONV_ONEDNN,
    DR_CONV_OUTER,          /* conv2d_weight.c */
    DR_CONV_WINOGRAD,       /* conv2d_winograd.c with large tiles */
    DR_CONV_WINOGRAD_SMALL, /* with small ones */
    DR_CONV_FORMS
} dr_conv_form;

/* A convolution's operands, whichever way they go; `shape` is the convolution's own, also where it is transposed: x
 * [B,Ci,H,W] on the side that the kernel reads, y [B,Co,Ho,Wo]. */
typedef struct dr_conv_call {
    dr_onednn_kind kind;
    const conv_shape *shape;
    void *x, *weight, *bias, *y;
} dr_conv_call;

/* Runs the call by the form that is known, or found, to be fastest. Measuring runs several forms on the call's own
 * operands (results are overwritten) and the chosen one last. DRIFT_CPU_TUNE=off: nothing is measured or read, a rule
 * chooses. DRIFT_CPU_CONV=onednn|outer|winograd|winograd_small: that form wherever it suits. */
void dr_conv_run(const dr_kargs *a, const dr_conv_call *call,
                 void (*run)(const dr_kargs *a, const dr_conv_call *call, dr_conv_form form));

#endif
