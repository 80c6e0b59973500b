/* elementwise_binary.c: add, sub, mul, div, maximum, minimum, greater, where, axpy. Inputs are broadcast to the
 * output's shape first, so that each is one loop over equal shapes. */
#include "element.h"

static void binary(const dr_kargs *a, double (*f)(double, double)) /* a, b -> f(a, b) */
{
    dr_ref_operands m;
    if (!dr_ref_open_broadcast(&m, a)) return;
    const double *left = m.in[0], *right = m.in[1];
    double *y = m.out[0];
    for (int64_t i = 0; i < dr_numel(&a->out[0]); i++) y[i] = f(left[i], right[i]);
    dr_ref_close(&m);
}

static double add(double a, double b) { return a + b; }
static double sub(double a, double b) { return a - b; }
static double mul(double a, double b) { return a * b; }
static double quotient(double a, double b) { return a / b; }
static double maximum(double a, double b) { return a > b || isnan(a) ? a : b; } /* NaN wins, in both */
static double minimum(double a, double b) { return a < b || isnan(a) ? a : b; }
static double greater(double a, double b) { return a > b; }

static void add_ref(const dr_kargs *a) { binary(a, add); }
static void sub_ref(const dr_kargs *a) { binary(a, sub); }
static void mul_ref(const dr_kargs *a) { binary(a, mul); }
static void div_ref(const dr_kargs *a) { binary(a, quotient); }
static void maximum_ref(const dr_kargs *a) { binary(a, maximum); }
static void minimum_ref(const dr_kargs *a) { binary(a, minimum); }
static void greater_ref(const dr_kargs *a) { binary(a, greater); }

static void where_ref(const dr_kargs *a) /* condition, a, b -> condition != 0 ? a : b */
{
    dr_ref_operands m;
    if (!dr_ref_open_broadcast(&m, a)) return;
    const double *condition = m.in[0], *yes = m.in[1], *no = m.in[2];
    double *y = m.out[0];
    for (int64_t i = 0; i < dr_numel(&a->out[0]); i++) y[i] = condition[i] != 0 ? yes[i] : no[i];
    dr_ref_close(&m);
}

static void axpy_ref(const dr_kargs *a) /* x, y -> scale x + y */
{
    const dr_axpy_attr *attr = a->attr;
    dr_ref_operands m;
    if (!dr_ref_open_broadcast(&m, a)) return;
    const double *x = m.in[0], *y = m.in[1];
    double *out = m.out[0];
    for (int64_t i = 0; i < dr_numel(&a->out[0]); i++) out[i] = attr->scale * x[i] + y[i];
    dr_ref_close(&m);
}

DR_KERNEL(add, DR_ANY_DTYPE, add_ref)
DR_KERNEL(sub, DR_ANY_DTYPE, sub_ref)
DR_KERNEL(mul, DR_ANY_DTYPE, mul_ref)
DR_KERNEL(div, DR_ANY_DTYPE, div_ref)
DR_KERNEL(maximum, DR_ANY_DTYPE, maximum_ref)
DR_KERNEL(minimum, DR_ANY_DTYPE, minimum_ref)
DR_KERNEL(greater, DR_ANY_DTYPE, greater_ref)
DR_KERNEL(where, DR_ANY_DTYPE, where_ref)
DR_KERNEL(axpy, DR_ANY_DTYPE, axpy_ref)
