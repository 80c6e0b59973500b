/* ops_math.c: exp, log, sqrt, rsqrt, sin, cos, abs, square, pow, affine, clamp. Each gradient that a kernel can do in
 * one pass is an op of its own, NAME_backward(x or y, dy), with its composed form beside it. */
#include "ops_unary.h"

#include <math.h>

UNARY_INFER(exp)
GRADIENT_INFER(exp, "y,dy")
BACKWARD_FROM(exp, out)
COMPOSE(exp_backward, dr_mul(in[1], in[0]))
DR_OP_COMPONENT(exp, "exp(x)", NULL, UNARY, .infer = exp_infer, .backward = exp_backward, .save_out = 1)
DR_OP_COMPONENT(exp_backward, "exp_backward(y, dy) = dy y", NULL, GRADIENT, .infer = exp_backward_infer,
                .compose = exp_backward_compose)

UNARY_INFER(log)
GRADIENT_INFER(log, "x,dy")
BACKWARD_FROM(log, in)
COMPOSE(log_backward, dr_div(in[1], in[0]))
DR_OP_COMPONENT(log, "log(x), natural", NULL, UNARY, .infer = log_infer, .backward = log_backward, .save_in = 1)
DR_OP_COMPONENT(log_backward, "log_backward(x, dy) = dy / x", NULL, GRADIENT, .infer = log_backward_infer,
                .compose = log_backward_compose)

UNARY_INFER(sqrt)
GRADIENT_INFER(sqrt, "y,dy")
BACKWARD_FROM(sqrt, out)
COMPOSE(sqrt_backward, dr_scale(0.5, dr_div(in[1], in[0])))
DR_OP_COMPONENT(sqrt, "sqrt(x)", NULL, UNARY, .infer = sqrt_infer, .backward = sqrt_backward, .save_out = 1)
DR_OP_COMPONENT(sqrt_backward, "sqrt_backward(y, dy) = dy / (2 y)", NULL, GRADIENT, .infer = sqrt_backward_infer,
                .compose = sqrt_backward_compose)

UNARY_INFER(rsqrt)
GRADIENT_INFER(rsqrt, "y,dy")
BACKWARD_FROM(rsqrt, out)
COMPOSE(rsqrt_backward, dr_scale(-0.5, dr_mul(in[1], dr_mul(dr_square(in[0]), in[0]))))
DR_OP_COMPONENT(rsqrt, "rsqrt(x) = 1 / sqrt(x)", NULL, UNARY, .infer = rsqrt_infer, .backward = rsqrt_backward,
                .save_out = 1)
DR_OP_COMPONENT(rsqrt_backward, "rsqrt_backward(y, dy) = -dy y^3 / 2", NULL, GRADIENT, .infer = rsqrt_backward_infer,
                .compose = rsqrt_backward_compose)

UNARY_INFER(sin)
GRADIENT_INFER(sin, "x,dy")
BACKWARD_FROM(sin, in)
COMPOSE(sin_backward, dr_mul(in[1], dr_cos(in[0])))
DR_OP_COMPONENT(sin, "sin(x)", NULL, UNARY, .infer = sin_infer, .backward = sin_backward, .save_in = 1)
DR_OP_COMPONENT(sin_backward, "sin_backward(x, dy) = dy cos(x)", NULL, GRADIENT, .infer = sin_backward_infer,
                .compose = sin_backward_compose)

UNARY_INFER(cos)
GRADIENT_INFER(cos, "x,dy")
BACKWARD_FROM(cos, in)
COMPOSE(cos_backward, dr_scale(-1.0, dr_mul(in[1], dr_sin(in[0]))))
DR_OP_COMPONENT(cos, "cos(x)", NULL, UNARY, .infer = cos_infer, .backward = cos_backward, .save_in = 1)
DR_OP_COMPONENT(cos_backward, "cos_backward(x, dy) = -dy sin(x)", NULL, GRADIENT, .infer = cos_backward_infer,
                .compose = cos_backward_compose)

static dr_tensor *sign(dr_tensor *x) /* 1, 0 or -1 */
{
    dr_tensor *zero = dr_scalar_like(x, 0.0);
    return dr_sub(dr_greater(x, zero), dr_greater(zero, x));
}

UNARY_INFER(abs)
GRADIENT_INFER(abs, "x,dy")
BACKWARD_FROM(abs, in)
COMPOSE(abs_backward, dr_mul(in[1], sign(in[0])))
DR_OP_COMPONENT(abs, "abs(x) = |x|", NULL, UNARY, .infer = abs_infer, .backward = abs_backward, .save_in = 1)
DR_OP_COMPONENT(abs_backward, "abs_backward(x, dy) = dy sign(x), 0 at 0", NULL, GRADIENT, .infer = abs_backward_infer,
                .compose = abs_backward_compose)

UNARY_INFER(square)
GRADIENT_INFER(square, "x,dy")
BACKWARD_FROM(square, in)
COMPOSE(square_backward, dr_scale(2.0, dr_mul(in[1], in[0])))
DR_OP_COMPONENT(square, "square(x) = x^2", NULL, UNARY, .infer = square_infer, .backward = square_backward,
                .save_in = 1)
DR_OP_COMPONENT(square_backward, "square_backward(x, dy) = 2 x dy", NULL, GRADIENT, .infer = square_backward_infer,
                .compose = square_backward_compose)

/* ---- with attributes --------------------------------------------------------------------------------------------- */

static const dr_param pow_params[] = {
    DR_REAL(dr_pow_attr, exponent, 2.0, -INFINITY, INFINITY, "the power"),
    DR_END,
};

UNARY_INFER(pow)

/* d x^p/dx = p x^(p-1) */
static dr_status pow_backward(const dr_backward_args *b)
{
    const double p = ((const dr_pow_attr *)b->attr)->exponent;
    return dr_yield(&b->din[0], dr_scale(p, dr_mul(b->dout[0], dr_pow(b->in[0], p - 1.0))));
}

DR_OP_COMPONENT(pow, "pow(x) = x^exponent", pow_params, UNARY, .infer = pow_infer, .backward = pow_backward,
                .save_in = 1)

static const dr_param affine_params[] = {
    DR_REAL(dr_affine_attr, scale, 1.0, -INFINITY, INFINITY, "factor"),
    DR_REAL(dr_affine_attr, shift, 0.0, -INFINITY, INFINITY, "added after scaling"),
    DR_END,
};

UNARY_INFER(affine)

static dr_status affine_backward(const dr_backward_args *b)
{
    return dr_yield(&b->din[0], dr_scale(((const dr_affine_attr *)b->attr)->scale, b->dout[0]));
}

DR_OP_COMPONENT(affine, "affine(x) = scale x + shift", affine_params, UNARY, .infer = affine_infer,
                .backward = affine_backward)

static const dr_param clamp_params[] = {
    DR_REAL(dr_clamp_attr, min, -INFINITY, -INFINITY, INFINITY, "smaller values become this"),
    DR_REAL(dr_clamp_attr, max, INFINITY, -INFINITY, INFINITY, "larger values become this"),
    DR_END,
};

static dr_status clamp_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_clamp_attr *a = attr;
    (void)offset;
    if (!(a->min <= a->max)) return dr_fail(DR_EINVAL, "clamp: min = %g is above max = %g", a->min, a->max);
    return dr_infer_same("clamp", "x", in, n_in, out);
}

/* dy where min <= x <= max, else 0 */
static dr_status clamp_backward(const dr_backward_args *b)
{
    const dr_clamp_attr *attr = b->attr;
    dr_tensor *x = b->in[0], *zero = dr_scalar_like(x, 0.0);
    dr_tensor *outside =
        dr_add(dr_greater(x, dr_scalar_like(x, attr->max)), dr_greater(dr_scalar_like(x, attr->min), x));
    return dr_yield(&b->din[0], dr_where(outside, zero, b->dout[0]));
}

DR_OP_COMPONENT(clamp, "clamp(x): x brought into [min, max]", clamp_params, UNARY, .infer = clamp_infer,
                .backward = clamp_backward, .save_in = 1)
