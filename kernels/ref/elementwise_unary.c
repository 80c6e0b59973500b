/* elementwise_unary.c: y = f(x) for functions without parameters, and dx = f'(x) dy next to each. The derivative is
 * written in x, or in y where y is what the op keeps: exp, sqrt, rsqrt, tanh, sigmoid, relu. */
#include "element.h"

static void forward(const dr_kargs *a, double (*f)(double x)) /* x -> y */
{
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *x = m.in[0];
    double *y = m.out[0];
    for (int64_t i = 0; i < dr_numel(&a->out[0]); i++) y[i] = f(x[i]);
    dr_ref_close(&m);
}

static void backward(const dr_kargs *a, double (*slope)(double x)) /* x (or y), dy -> dx */
{
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *x = m.in[0], *dy = m.in[1];
    double *dx = m.out[0];
    for (int64_t i = 0; i < dr_numel(&a->out[0]); i++) dx[i] = slope(x[i]) * dy[i];
    dr_ref_close(&m);
}

static void exp_ref(const dr_kargs *a) { forward(a, exp); }
static double exp_slope(double y) { return y; }
static void exp_backward_ref(const dr_kargs *a) { backward(a, exp_slope); }

static void log_ref(const dr_kargs *a) { forward(a, log); }
static double log_slope(double x) { return 1 / x; }
static void log_backward_ref(const dr_kargs *a) { backward(a, log_slope); }

static void sqrt_ref(const dr_kargs *a) { forward(a, sqrt); }
static double sqrt_slope(double y) { return 0.5 / y; }
static void sqrt_backward_ref(const dr_kargs *a) { backward(a, sqrt_slope); }

static double rsqrt(double x) { return 1 / sqrt(x); }
static void rsqrt_ref(const dr_kargs *a) { forward(a, rsqrt); }
static double rsqrt_slope(double y) { return -0.5 * y * y * y; }
static void rsqrt_backward_ref(const dr_kargs *a) { backward(a, rsqrt_slope); }

static void sin_ref(const dr_kargs *a) { forward(a, sin); }
static void sin_backward_ref(const dr_kargs *a) { backward(a, cos); }

static void cos_ref(const dr_kargs *a) { forward(a, cos); }
static double cos_slope(double x) { return -sin(x); }
static void cos_backward_ref(const dr_kargs *a) { backward(a, cos_slope); }

static void tanh_ref(const dr_kargs *a) { forward(a, tanh); }
static double tanh_slope(double y) { return 1 - y * y; }
static void tanh_backward_ref(const dr_kargs *a) { backward(a, tanh_slope); }

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static void sigmoid_ref(const dr_kargs *a) { forward(a, sigmoid); }
static double sigmoid_slope(double y) { return y * (1 - y); }
static void sigmoid_backward_ref(const dr_kargs *a) { backward(a, sigmoid_slope); }

static double relu(double x) { return dr_ref_activate(DR_ACT_RELU, x); }
static void relu_ref(const dr_kargs *a) { forward(a, relu); }
static double relu_slope(double y) { return y > 0; }
static void relu_backward_ref(const dr_kargs *a) { backward(a, relu_slope); }

static double silu(double x) { return dr_ref_activate(DR_ACT_SILU, x); }
static void silu_ref(const dr_kargs *a) { forward(a, silu); }
static double silu_slope(double x) { return dr_ref_activate_slope(DR_ACT_SILU, x); }
static void silu_backward_ref(const dr_kargs *a) { backward(a, silu_slope); }

static void abs_ref(const dr_kargs *a) { forward(a, fabs); }
static double abs_slope(double x) { return (x > 0) - (x < 0); } /* 0 at 0 */
static void abs_backward_ref(const dr_kargs *a) { backward(a, abs_slope); }

static double square(double x) { return x * x; }
static void square_ref(const dr_kargs *a) { forward(a, square); }
static double square_slope(double x) { return 2 * x; }
static void square_backward_ref(const dr_kargs *a) { backward(a, square_slope); }

DR_KERNEL(exp, DR_ANY_DTYPE, exp_ref)
DR_KERNEL(exp_backward, DR_ANY_DTYPE, exp_backward_ref)
DR_KERNEL(log, DR_ANY_DTYPE, log_ref)
DR_KERNEL(log_backward, DR_ANY_DTYPE, log_backward_ref)
DR_KERNEL(sqrt, DR_ANY_DTYPE, sqrt_ref)
DR_KERNEL(sqrt_backward, DR_ANY_DTYPE, sqrt_backward_ref)
DR_KERNEL(rsqrt, DR_ANY_DTYPE, rsqrt_ref)
DR_KERNEL(rsqrt_backward, DR_ANY_DTYPE, rsqrt_backward_ref)
DR_KERNEL(sin, DR_ANY_DTYPE, sin_ref)
DR_KERNEL(sin_backward, DR_ANY_DTYPE, sin_backward_ref)
DR_KERNEL(cos, DR_ANY_DTYPE, cos_ref)
DR_KERNEL(cos_backward, DR_ANY_DTYPE, cos_backward_ref)
DR_KERNEL(tanh, DR_ANY_DTYPE, tanh_ref)
DR_KERNEL(tanh_backward, DR_ANY_DTYPE, tanh_backward_ref)
DR_KERNEL(sigmoid, DR_ANY_DTYPE, sigmoid_ref)
DR_KERNEL(sigmoid_backward, DR_ANY_DTYPE, sigmoid_backward_ref)
DR_KERNEL(relu, DR_ANY_DTYPE, relu_ref)
DR_KERNEL(relu_backward, DR_ANY_DTYPE, relu_backward_ref)
DR_KERNEL(silu, DR_ANY_DTYPE, silu_ref)
DR_KERNEL(silu_backward, DR_ANY_DTYPE, silu_backward_ref)
DR_KERNEL(abs, DR_ANY_DTYPE, abs_ref)
DR_KERNEL(abs_backward, DR_ANY_DTYPE, abs_backward_ref)
DR_KERNEL(square, DR_ANY_DTYPE, square_ref)
DR_KERNEL(square_backward, DR_ANY_DTYPE, square_backward_ref)
