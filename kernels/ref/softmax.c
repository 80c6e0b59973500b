/* softmax.c: y = exp(x - max x)/sum exp(x - max x) along one axis; the maximum keeps exp from overflowing.
 * x is [outer, n, inner] around the axis, so a line's element k is line[k inner]. */
#include "element.h"

static void softmax_ref(const dr_kargs *a) /* x -> y */
{
    const dr_view *view = &a->in[0];
    const int dim = dr_ref_axis(((const dr_softmax_attr *)a->attr)->dim, view->rank);
    const int64_t outer = dr_ref_count(view, 0, dim), n = view->shape[dim],
                  inner = dr_ref_count(view, dim + 1, view->rank);
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            const double *x = m.in[0] + o * n * inner + i;
            double *y = m.out[0] + o * n * inner + i, largest = -INFINITY, sum = 0;
            for (int64_t k = 0; k < n; k++) largest = fmax(largest, x[k * inner]);
            for (int64_t k = 0; k < n; k++) sum += y[k * inner] = exp(x[k * inner] - largest);
            for (int64_t k = 0; k < n; k++) y[k * inner] /= sum;
        }
    dr_ref_close(&m);
}

static void softmax_backward_ref(const dr_kargs *a) /* y, dy -> dx = y (dy - sum y dy) */
{
    const dr_view *view = &a->in[0];
    const int dim = dr_ref_axis(((const dr_softmax_backward_attr *)a->attr)->dim, view->rank);
    const int64_t outer = dr_ref_count(view, 0, dim), n = view->shape[dim],
                  inner = dr_ref_count(view, dim + 1, view->rank);
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            const double *y = m.in[0] + o * n * inner + i, *dy = m.in[1] + o * n * inner + i;
            double *dx = m.out[0] + o * n * inner + i, dot = 0;
            for (int64_t k = 0; k < n; k++) dot += y[k * inner] * dy[k * inner];
            for (int64_t k = 0; k < n; k++) dx[k * inner] = y[k * inner] * (dy[k * inner] - dot);
        }
    dr_ref_close(&m);
}

DR_KERNEL(softmax, DR_ANY_DTYPE, softmax_ref)
DR_KERNEL(softmax_backward, DR_ANY_DTYPE, softmax_backward_ref)
