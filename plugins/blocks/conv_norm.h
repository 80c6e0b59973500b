/* conv_norm.h: a convolution, BatchNorm and an activation, which several blocks are made of.
 *   y = act(BatchNorm(conv(x)))
 * Training runs the two children one after the other. In evaluation the normalisation is by constants, so it becomes
 * part of the convolution's weight and bias, and the activation its epilogue: one pass instead of three.
 * A block may be called with a second image, whose channels follow those of the first; it may have fewer rows [B/n],
 * and then belongs to n batches after one another. In evaluation its part of the sum is then computed once for all:
 *   conv(x1 x2, w1 w2) = conv(x1, w1) + conv(x2, w2) */
#ifndef BLOCKS_CONV_NORM_H
#define BLOCKS_CONV_NORM_H

#include <drift/plugin.h>

typedef struct conv_norm {
    int64_t in_channels, out_channels, kernel_size, stride, padding;
    _Bool transposed;
    int64_t act;             /* DR_ACT_.. */
    dr_module *conv, *norm;  /* conv.0, conv.1, as in PyTorch's Sequential */
} conv_norm;

dr_status conv_norm_create(conv_norm *c, dr_builder *b); /* of the first fields makes the children */
dr_tensor *conv_norm_forward(const conv_norm *c, dr_tensor *x, dr_ctx *ctx); /* ctx may hold a second image */

/* x, with the second image's channels behind its own; the child m with x and the second image, if there is one */
dr_tensor *joined_input(dr_tensor *x, dr_ctx *ctx);
dr_tensor *call_with_input(dr_module *m, dr_tensor *x, dr_ctx *ctx);

#endif
