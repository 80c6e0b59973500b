/* affine.c: y = scale x + shift. */
#include "element.h"

static void affine_ref(const dr_kargs *a)
{
    const dr_affine_attr *attr = a->attr;
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *x = m.in[0];
    double *y = m.out[0];
    for (int64_t i = 0; i < dr_numel(&a->out[0]); i++) y[i] = attr->scale * x[i] + attr->shift;
    dr_ref_close(&m);
}

DR_KERNEL(affine, DR_ANY_DTYPE, affine_ref)
