/* ops_arithmetic.c: add, sub, mul, div, axpy, maximum, minimum, greater, where; NumPy's broadcasting. A gradient is
 * summed over the axes along which its input was broadcast. Of f32 beside bf16 or f16 the result is half: what modulates
 * an activation is rounded to its dtype, and takes an f32 gradient. */
#include "ops_shape.h"

#include <math.h>

#define BROADCAST_INFER(op, names) \
    static dr_status op##_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset) \
    { \
        (void)attr, (void)offset; \
        return dr_infer_broadcast(#op, names, in, n_in, out); \
    }
BROADCAST_INFER(add, "a,b")
BROADCAST_INFER(sub, "a,b")
BROADCAST_INFER(mul, "a,b")
BROADCAST_INFER(div, "a,b")
BROADCAST_INFER(axpy, "x,y")
BROADCAST_INFER(maximum, "a,b")
BROADCAST_INFER(minimum, "a,b")
BROADCAST_INFER(greater, "a,b")
BROADCAST_INFER(where, "condition,a,b")

#define ELEMENTWISE(n) \
    .flags = DR_OP_ONE_DTYPE, .n_in = n, .n_out = 1, .in_layout = { DR_LAYOUT_DENSE, DR_LAYOUT_DENSE, DR_LAYOUT_DENSE }, \
    .out_layout = { DR_LAYOUT_DENSE }

static dr_status add_backward(const dr_backward_args *b)
{
    if (b->need[0]) b->din[0] = dr_sum_like(b->dout[0], &b->in_view[0]);
    if (b->need[1]) b->din[1] = dr_sum_like(b->dout[0], &b->in_view[1]);
    return dr_failed();
}

/* Of any strides: gradients are added up by it, and some are slices of one for tensors joined together. */
DR_OP_COMPONENT(add, "add(a, b) = a + b", NULL, .flags = DR_OP_ONE_DTYPE, .n_in = 2, .n_out = 1,
                .in_layout = { DR_LAYOUT_ANY, DR_LAYOUT_ANY }, .out_layout = { DR_LAYOUT_DENSE }, .infer = add_infer, .backward = add_backward)

static dr_status sub_backward(const dr_backward_args *b)
{
    if (b->need[0]) b->din[0] = dr_sum_like(b->dout[0], &b->in_view[0]);
    if (b->need[1]) b->din[1] = dr_scale(-1.0, dr_sum_like(b->dout[0], &b->in_view[1]));
    return dr_failed();
}

DR_OP_COMPONENT(sub, "sub(a, b) = a - b", NULL, ELEMENTWISE(2), .infer = sub_infer, .backward = sub_backward)

static dr_status mul_backward(const dr_backward_args *b)
{
    if (b->need[0]) b->din[0] = dr_sum_like(dr_mul(b->dout[0], b->in[1]), &b->in_view[0]);
    if (b->need[1]) b->din[1] = dr_sum_like(dr_mul(b->dout[0], b->in[0]), &b->in_view[1]);
    return dr_failed();
}

DR_OP_COMPONENT(mul, "mul(a, b) = a b, element by element", NULL, ELEMENTWISE(2), .infer = mul_infer,
                .backward = mul_backward, .save_in = 1 | 2)

/* y = a/b: da = dy/b, db = -dy a/b^2 = -da y */
static dr_status div_backward(const dr_backward_args *b)
{
    dr_tensor *da = dr_div(b->dout[0], b->in[1]);
    if (b->need[0]) b->din[0] = dr_sum_like(da, &b->in_view[0]);
    if (b->need[1]) b->din[1] = dr_scale(-1.0, dr_sum_like(dr_mul(da, b->out[0]), &b->in_view[1]));
    return dr_failed();
}

DR_OP_COMPONENT(div, "div(a, b) = a / b", NULL, ELEMENTWISE(2), .infer = div_infer, .backward = div_backward,
                .save_in = 2, .save_out = 1)

static const dr_param axpy_params[] = {
    DR_REAL(dr_axpy_attr, scale, 1.0, -INFINITY, INFINITY, "factor of x"),
    DR_END,
};

static dr_status axpy_backward(const dr_backward_args *b)
{
    const dr_axpy_attr *attr = b->attr;
    if (b->need[0]) b->din[0] = dr_scale(attr->scale, dr_sum_like(b->dout[0], &b->in_view[0]));
    if (b->need[1]) b->din[1] = dr_sum_like(b->dout[0], &b->in_view[1]);
    return dr_failed();
}

DR_OP_COMPONENT(axpy, "axpy(x, y) = scale x + y", axpy_params, ELEMENTWISE(2), .infer = axpy_infer,
                .backward = axpy_backward)

/* a takes the gradient where x > y, half of it where they are equal, and b the rest */
static dr_status extremum_backward(const dr_backward_args *b, dr_tensor *x, dr_tensor *y)
{
    dr_tensor *sign = dr_sub(dr_greater(x, y), dr_greater(y, x)); /* 1, 0 or -1 */
    if (b->need[0]) b->din[0] = dr_sum_like(dr_mul(b->dout[0], dr_affine(0.5, sign, 0.5)), &b->in_view[0]);
    if (b->need[1]) b->din[1] = dr_sum_like(dr_mul(b->dout[0], dr_affine(-0.5, sign, 0.5)), &b->in_view[1]);
    return dr_failed();
}

static dr_status maximum_backward(const dr_backward_args *b) { return extremum_backward(b, b->in[0], b->in[1]); }

static dr_status minimum_backward(const dr_backward_args *b) { return extremum_backward(b, b->in[1], b->in[0]); }

DR_OP_COMPONENT(maximum, "maximum(a, b): the larger one; where they are equal, each takes half the gradient", NULL,
                ELEMENTWISE(2), .infer = maximum_infer, .backward = maximum_backward, .save_in = 1 | 2)
DR_OP_COMPONENT(minimum, "minimum(a, b): the smaller one; where they are equal, each takes half the gradient", NULL,
                ELEMENTWISE(2), .infer = minimum_infer, .backward = minimum_backward, .save_in = 1 | 2)
DR_OP_COMPONENT(greater, "greater(a, b): 1 where a > b, else 0", NULL, .flags = DR_OP_ONE_DTYPE | DR_OP_NONDIFF,
                .n_in = 2, .n_out = 1, .in_layout = { DR_LAYOUT_DENSE, DR_LAYOUT_DENSE },
                .out_layout = { DR_LAYOUT_DENSE }, .infer = greater_infer)

static dr_status where_backward(const dr_backward_args *b)
{
    dr_tensor *dy = b->dout[0], *zero = dr_scalar_like(dy, 0.0);
    if (b->need[1]) b->din[1] = dr_sum_like(dr_where(b->in[0], dy, zero), &b->in_view[1]);
    if (b->need[2]) b->din[2] = dr_sum_like(dr_where(b->in[0], zero, dy), &b->in_view[2]);
    return dr_failed();
}

DR_OP_COMPONENT(where, "where(condition, a, b): a where the condition is not 0, else b", NULL, ELEMENTWISE(3),
                .infer = where_infer, .backward = where_backward, .save_in = 1)
