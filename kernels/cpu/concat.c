/* concat.c: joins tensors along one axis; and slice_backward, the gradient of taking a part along one axis. Around the
 * axis memory is [outer, n, inner], also for channels-last images, so both copy `outer` rows of bytes. */
#include "memory_order.h"

static void concat_any(const dr_kargs *a) /* x0, x1, ... -> y */
{
    const dr_view *y = &a->out[0];
    const int64_t dim = ((const dr_concat_attr *)a->attr)->dim, size = dr_element_size(y->dtype);
    const dr_around whole = dr_around_axis(y, dim);
    const int64_t step = whole.n * whole.inner * size;
    char *to = dr_out(a, 0);
    for (int k = 0; k < a->n_in; k++) {
        const dr_around part = dr_around_axis(&a->in[k], dim);
        const int64_t bytes = part.n * part.inner * size;
        dr_copy_rows(to, step, dr_in(a, k), bytes, bytes, whole.outer);
        to += bytes;
    }
}

static void slice_backward_any(const dr_kargs *a) /* dy -> dx: zero but for dx[start + k step] = dy[k] along dim */
{
    const dr_slice_backward_attr *attr = a->attr;
    const dr_around dx = dr_around_axis(&a->out[0], attr->dim), dy = dr_around_axis(&a->in[0], attr->dim);
    const int64_t unit = dx.inner * dr_element_size(a->out[0].dtype);
    const int64_t dx_step = dx.n * unit, dy_step = dy.n * unit;
    const char *from = dr_in(a, 0);
    char *to = dr_out(a, 0);

    if (attr->step == 1) {
        const int64_t before = attr->start * unit, after = before + dy_step;
        dr_clear_rows(to, dx_step, before, dx.outer);
        dr_copy_rows(to + before, dx_step, from, dy_step, dy_step, dx.outer);
        dr_clear_rows(to + after, dx_step, dx_step - after, dx.outer);
        return;
    }
    dr_clear_rows(to, dx_step, dx_step, dx.outer);
    for (int64_t k = 0; k < dy.n; k++)
        dr_copy_rows(to + (attr->start + k * attr->step) * unit, dx_step, from + k * unit, dy_step, unit, dx.outer);
}

DR_KERNEL(concat, DR_ANY_DTYPE, concat_any)
DR_KERNEL(slice_backward, DR_ANY_DTYPE, slice_backward_any)
