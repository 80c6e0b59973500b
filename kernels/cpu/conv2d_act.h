/* conv2d_act.h: the activation behind a convolution: inside oneDNN's primitive, on the pixels of a
 * tile that has just been written, or in a pass of its own. */
#ifndef DRIFT_CPU_CONV2D_ACT_H
#define DRIFT_CPU_CONV2D_ACT_H

#include "onednn.h"

/* What a forward primitive is to be made with: dr_onednn_attr(o) and the activation. The caller destroys it. */
dnnl_status_t dr_conv2d_act_attr_of(dnnl_primitive_attr_t *attr, const dr_onednn *o, int64_t act);
/* In place: n values; or `channels` values at each of n addresses, but for those that are NULL. */
void dr_conv2d_activate(int64_t act, float *y, int64_t n);
void dr_conv2d_activate_pixels(int64_t act, float *const *pixel, int64_t n, int64_t channels);

#endif
