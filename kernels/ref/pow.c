/* pow.c: y = x^e for a constant exponent. */
#include "element.h"

static void pow_ref(const dr_kargs *a)
{
    const double e = ((const dr_pow_attr *)a->attr)->exponent;
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *x = m.in[0];
    double *y = m.out[0];
    for (int64_t i = 0; i < dr_numel(&a->out[0]); i++) y[i] = pow(x[i], e);
    dr_ref_close(&m);
}

DR_KERNEL(pow, DR_ANY_DTYPE, pow_ref)
