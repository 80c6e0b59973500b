/* argmax.c: the index of the largest element along one axis, the first where several are equal. NaN is largest. */
#include "element.h"

static void argmax_ref(const dr_kargs *a) /* x -> index i32, without the axis */
{
    const dr_view *x = &a->in[0];
    const int dim = dr_ref_axis(((const dr_argmax_attr *)a->attr)->dim, x->rank);
    const int64_t outer = dr_ref_count(x, 0, dim), n = x->shape[dim], inner = dr_ref_count(x, dim + 1, x->rank);
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            const double *line = m.in[0] + o * n * inner + i; /* element k is line[k * inner] */
            int64_t best = 0;
            for (int64_t k = 1; k < n && !isnan(line[best * inner]); k++) {
                double value = line[k * inner];
                if (value > line[best * inner] || isnan(value)) best = k;
            }
            m.out[0][o * inner + i] = (double)best;
        }
    dr_ref_close(&m);
}

DR_KERNEL(argmax, DR_ANY_DTYPE, argmax_ref)
