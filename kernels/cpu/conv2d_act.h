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

/* n pixels' sums in f32, [n,pitch] of which `channels` count: act(sums + add) goes to pixel[i] in `type`, rounded once,
 * but for those that are NULL. add is NULL or has an address for each. Past the caches: in whole lines of 64 bytes, 32
 * channels at most; the caller ends that with dr_winograd_past_done. */
typedef struct dr_conv2d_sums {
    int type; /* DR_F32 or DR_BF16, of pixel and add */
    bool past;
    int64_t act, n, channels, pitch;
    const float *sums;
} dr_conv2d_sums;
void dr_conv2d_finish_pixels(const dr_conv2d_sums *s, const void *const *add, void *const *pixel);

#endif
