/* conv2d_act.h: what follows a convolution's sums: act(sums + bias + add). oneDNN's primitives and Winograd's tiles do
 * it on their way out, the other forms in a pass of its own. */
#ifndef DRIFT_CPU_CONV2D_ACT_H
#define DRIFT_CPU_CONV2D_ACT_H

#include "conv2d_weight.h"
#include "onednn.h"

/* Sets s->act, and s->add from input 3 where there is one. */
void dr_conv2d_epilogue(const dr_kargs *a, conv_shape *s, int64_t act);

/* What a forward primitive is to be made with: dr_onednn_attr(o) and the epilogue. The caller destroys it. The
 * primitive adds to what is in y, so `add` is laid there first: `image` elements of s->dtype for each of s->B. */
dnnl_status_t dr_conv2d_act_attr_of(dnnl_primitive_attr_t *attr, const dr_onednn *o, const conv_shape *s);
void dr_conv2d_lay_add(const conv_shape *s, void *y, int64_t image);

void dr_conv2d_finish(const conv_shape *s, float *y, int64_t image); /* y = act(y + add), in place */
/* The same of `channels` values at each of n addresses, but for those that are NULL; add[i] may be NULL. */
void dr_conv2d_finish_pixels(int64_t act, float *const *pixel, const float *const *add, int64_t n, int64_t channels);

#endif
