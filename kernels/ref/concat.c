/* concat.c: joins tensors along one axis; and slice_backward, the gradient of taking a part along one axis. */
#include "element.h"

static void concat_ref(const dr_kargs *a) /* x0, x1, ... -> y */
{
    const dr_view *y = &a->out[0];
    const int dim = dr_ref_axis(((const dr_concat_attr *)a->attr)->dim, y->rank);
    const int64_t outer = dr_ref_count(y, 0, dim), inner = dr_ref_count(y, dim + 1, y->rank);
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    int64_t start = 0; /* where this input begins along dim */
    for (int k = 0; k < a->n_in; k++) {
        const int64_t length = a->in[k].shape[dim];
        for (int64_t o = 0; o < outer; o++)
            for (int64_t i = 0; i < length * inner; i++)
                m.out[0][(o * y->shape[dim] + start) * inner + i] = m.in[k][o * length * inner + i];
        start += length;
    }
    dr_ref_close(&m);
}

static void slice_backward_ref(const dr_kargs *a) /* dy -> dx: zero but for dx[start + k step] = dy[k] along dim */
{
    const dr_slice_backward_attr *attr = a->attr;
    const dr_view *dy = &a->in[0], *dx = &a->out[0];
    const int dim = dr_ref_axis(attr->dim, dx->rank);
    const int64_t outer = dr_ref_count(dx, 0, dim), inner = dr_ref_count(dx, dim + 1, dx->rank);
    const int64_t length = dy->shape[dim], full = dx->shape[dim];
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < length; k++)
            for (int64_t i = 0; i < inner; i++)
                m.out[0][(o * full + attr->start + k * attr->step) * inner + i] = m.in[0][(o * length + k) * inner + i];
    dr_ref_close(&m);
}

DR_KERNEL(concat, DR_ANY_DTYPE, concat_ref)
DR_KERNEL(slice_backward, DR_ANY_DTYPE, slice_backward_ref)
