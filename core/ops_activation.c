/* ops_activation.c: relu, sigmoid, tanh, silu, gelu, and their gradients as ops.
 *   silu  x sigmoid(x)                                                        Elfwing et al. 2017
 *   gelu  none: x/2 (1 + erf(x/sqrt 2)); tanh: x/2 (1 + tanh(sqrt(2/pi)(x + 0.044715 x^3)))  Hendrycks & Gimpel 2016 */
#include "ops_unary.h"

/* ---- relu ---- */
UNARY_INFER(relu)
GRADIENT_INFER(relu, "y,dy")
BACKWARD_FROM(relu, out)
COMPOSE(relu, dr_maximum(in[0], dr_scalar_like(in[0], 0.0)))
COMPOSE(relu_backward, dr_mul(in[1], dr_greater(in[0], dr_scalar_like(in[0], 0.0))))
DR_OP_COMPONENT(relu, "relu(x) = max(x, 0)", NULL, UNARY, .infer = relu_infer, .compose = relu_compose,
                .backward = relu_backward, .save_out = 1)
DR_OP_COMPONENT(relu_backward, "relu_backward(y, dy): dy where y > 0, else 0", NULL, GRADIENT,
                .infer = relu_backward_infer, .compose = relu_backward_compose)

/* ---- sigmoid ---- */
UNARY_INFER(sigmoid)
GRADIENT_INFER(sigmoid, "y,dy")
BACKWARD_FROM(sigmoid, out)
COMPOSE(sigmoid_backward, dr_mul(in[1], dr_mul(in[0], dr_affine(-1.0, in[0], 1.0))))
DR_OP_COMPONENT(sigmoid, "sigmoid(x) = 1 / (1 + exp(-x))", NULL, UNARY, .infer = sigmoid_infer,
                .backward = sigmoid_backward, .save_out = 1)
DR_OP_COMPONENT(sigmoid_backward, "sigmoid_backward(y, dy) = dy y (1 - y)", NULL, GRADIENT,
                .infer = sigmoid_backward_infer, .compose = sigmoid_backward_compose)

/* ---- tanh ---- */
UNARY_INFER(tanh)
GRADIENT_INFER(tanh, "y,dy")
BACKWARD_FROM(tanh, out)
COMPOSE(tanh_backward, dr_mul(in[1], dr_affine(-1.0, dr_square(in[0]), 1.0)))
DR_OP_COMPONENT(tanh, "tanh(x)", NULL, UNARY, .infer = tanh_infer, .backward = tanh_backward, .save_out = 1)
DR_OP_COMPONENT(tanh_backward, "tanh_backward(y, dy) = dy (1 - y^2)", NULL, GRADIENT, .infer = tanh_backward_infer,
                .compose = tanh_backward_compose)

/* ---- silu ---- */
static dr_tensor *silu_gradient(dr_tensor *x, dr_tensor *dy) /* s = sigmoid(x): dy s (1 + x (1 - s)) */
{
    dr_tensor *s = dr_sigmoid(x);
    dr_tensor *inner = dr_affine(1.0, dr_mul(x, dr_affine(-1.0, s, 1.0)), 1.0);
    return dr_mul(dy, dr_mul(s, inner));
}

UNARY_INFER(silu)
GRADIENT_INFER(silu, "x,dy")
BACKWARD_FROM(silu, in)
COMPOSE(silu, dr_mul(in[0], dr_sigmoid(in[0])))
COMPOSE(silu_backward, silu_gradient(in[0], in[1]))
DR_OP_COMPONENT(silu, "silu(x) = x sigmoid(x)", NULL, UNARY, .infer = silu_infer, .compose = silu_compose,
                .backward = silu_backward, .save_in = 1)
DR_OP_COMPONENT(silu_backward, "silu_backward(x, dy) = dy s (1 + x (1 - s)), s = sigmoid(x)", NULL, GRADIENT,
                .infer = silu_backward_infer, .compose = silu_backward_compose)

/* ---- gelu: primitive, since its exact form needs erf ---- */
static const dr_param gelu_params[] = {
    DR_ENUM(dr_gelu_attr, approximate, 0, "none|tanh", "none: by erf; tanh: the approximation"),
    DR_END,
};

UNARY_INFER(gelu)
GRADIENT_INFER(gelu, "x,dy")

static dr_status gelu_backward(const dr_backward_args *b)
{
    return dr_yield(&b->din[0], dr_apply1("gelu_backward", (dr_tensor *[]){ b->in[0], b->dout[0] }, 2, b->attr));
}

DR_OP_COMPONENT(gelu, "gelu(x) = x Phi(x)", gelu_params, UNARY, .infer = gelu_infer, .backward = gelu_backward,
                .save_in = 1)
DR_OP_COMPONENT(gelu_backward, "gelu_backward(x, dy)", gelu_params, GRADIENT, .infer = gelu_backward_infer)
