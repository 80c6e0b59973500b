/* gelu.c: y = x Phi(x), or its tanh form; the formulas are in activation.c.     Hendrycks & Gimpel 2016 */
#include "element.h"

static int64_t form(const dr_kargs *a)
{
    return ((const dr_gelu_attr *)a->attr)->approximate ? DR_ACT_GELU_TANH : DR_ACT_GELU;
}

static void gelu_ref(const dr_kargs *a)
{
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *x = m.in[0];
    double *y = m.out[0];
    for (int64_t i = 0; i < dr_numel(&a->out[0]); i++) y[i] = dr_ref_activate(form(a), x[i]);
    dr_ref_close(&m);
}

static void gelu_backward_ref(const dr_kargs *a)
{
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *x = m.in[0], *dy = m.in[1];
    double *dx = m.out[0];
    for (int64_t i = 0; i < dr_numel(&a->out[0]); i++) dx[i] = dr_ref_activate_slope(form(a), x[i]) * dy[i];
    dr_ref_close(&m);
}

DR_KERNEL(gelu, DR_ANY_DTYPE, gelu_ref)
DR_KERNEL(gelu_backward, DR_ANY_DTYPE, gelu_backward_ref)
