/* ops_unary.h: what the elementwise ops of one input, and their gradients, have in common. op##_backward(x or y, dy) is
 * an op itself, without a gradient. */
#ifndef DRIFT_OPS_UNARY_H
#define DRIFT_OPS_UNARY_H

#include "ops_shape.h"

#define UNARY .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_DENSE }, .out_layout = { DR_LAYOUT_DENSE }
#define GRADIENT \
    .flags = DR_OP_NONDIFF, .n_in = 2, .n_out = 1, .in_layout = { DR_LAYOUT_DENSE, DR_LAYOUT_DENSE }, \
    .out_layout = { DR_LAYOUT_DENSE }

#define UNARY_INFER(op) \
    static dr_status op##_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset) \
    { \
        (void)attr, (void)offset; \
        return dr_infer_same(#op, "x", in, n_in, out); \
    }
#define GRADIENT_INFER(op, names) \
    static dr_status op##_backward_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset) \
    { \
        (void)attr, (void)offset; \
        return dr_infer_same(#op "_backward", names, in, n_in, out); \
    }
/* saved is what the forward kept: its input x (in) or its output y (out). */
#define BACKWARD_FROM(op, saved) \
    static dr_status op##_backward(const dr_backward_args *b) \
    { \
        return dr_yield(&b->din[0], dr_binary_(#op "_backward", b->saved[0], b->dout[0])); \
    }
#define COMPOSE(op, expression) /* of in[0]: x */ \
    static dr_status op##_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out) \
    { \
        (void)n_in, (void)attr; \
        return dr_yield(out, expression); \
    }

#endif
