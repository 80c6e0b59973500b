/* clamp.c: y = min(max(x, low), high); NaN stays NaN. */
#include "element.h"

static void clamp_ref(const dr_kargs *a)
{
    const dr_clamp_attr *attr = a->attr;
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *x = m.in[0];
    double *y = m.out[0];
    for (int64_t i = 0; i < dr_numel(&a->out[0]); i++) {
        double raised = x[i] < attr->min ? attr->min : x[i];
        y[i] = raised > attr->max ? attr->max : raised;
    }
    dr_ref_close(&m);
}

DR_KERNEL(clamp, DR_ANY_DTYPE, clamp_ref)
