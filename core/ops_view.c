/* ops_view.c: reshape, permute, slice, expand: the same memory seen otherwise. slice_backward puts a gradient back into
 * zeros. */
#include "ops_shape.h"

/* ---- reshape ----------------------------------------------------------------------------------------------------- */

static const dr_param reshape_params[] = {
    DR_INTS(dr_reshape_attr, shape, -1, 281474976710656, "the new shape; one -1 is worked out"),
    DR_END,
};

/* Strides of `out` over v's memory: runs of v's axes that step evenly through memory may be cut anew. False where an
 * axis of out would cross from one run into another. Axes of size 1 step nowhere and take no part. */
static bool strides_over(const dr_view *v, dr_view *out)
{
    int64_t shape[DR_MAX_RANK], stride[DR_MAX_RANK];
    int n = 0;
    for (int i = 0; i < v->rank; i++) {
        if (v->shape[i] == 1) continue;
        shape[n] = v->shape[i];
        stride[n++] = v->stride[i];
    }
    int j = out->rank - 1;
    for (int last = n - 1; last >= 0;) {
        int64_t run = shape[last];
        int first = last;
        while (first > 0 && stride[first - 1] == shape[first] * stride[first]) run *= shape[--first];
        int64_t done = 1;
        for (; j >= 0 && done < run; j--) {
            out->stride[j] = done * stride[last];
            done *= out->shape[j];
        }
        if (done != run) return false;
        last = first - 1;
    }
    for (; j >= 0; j--) out->stride[j] = 1; /* all of size 1 */
    return true;
}

static dr_status reshape_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_ints *want = &((const dr_reshape_attr *)attr)->shape;
    const dr_infer c = { "reshape", "x", in, n_in };
    if (want->n > DR_MAX_RANK) return dr_refuse(&c, "%lld axes asked for; at most %d", (long long)want->n, DR_MAX_RANK);
    int64_t count = 1, given = 1;
    for (int i = 0; i < in->rank; i++) count *= in->shape[i];
    int unknown = -1;
    dr_shape_of(out, in->dtype, (int)want->n, want->v);
    for (int i = 0; i < out->rank; i++) {
        if (out->shape[i] != -1) continue;
        if (unknown >= 0) return dr_refuse(&c, "two sizes are -1");
        unknown = i;
        out->shape[i] = 1;
    }
    if (!dr_checked_size("reshape", DR_U8, out->rank, out->shape, &given, NULL)) return DR_ESHAPE;
    if (unknown >= 0 && given > 0 && count % given == 0) {
        out->shape[unknown] = count / given;
        given = count;
    }
    char text[128];
    if (given != count || (unknown >= 0 && given == 0)) {
        return dr_refuse(&c, "%lld elements do not fill %s", (long long)count, dr_view_text(out, text, sizeof text));
    }
    if (count == 0) dr_view_lay(out, DR_LAYOUT_ROW);
    else if (!strides_over(in, out)) *offset = -1;
    return DR_OK;
}

static dr_status reshape_backward(const dr_backward_args *b)
{
    return dr_yield(&b->din[0], dr_reshape_like(b->dout[0], &b->in_view[0]));
}

DR_OP_COMPONENT(reshape, "reshape(x): the same elements in another shape", reshape_params, .flags = DR_OP_VIEW,
                .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_ANY }, .infer = reshape_infer,
                .backward = reshape_backward)

/* ---- permute ----------------------------------------------------------------------------------------------------- */

static const dr_param permute_params[] = {
    DR_INTS(dr_permute_attr, dims, -DR_MAX_RANK, DR_MAX_RANK - 1, "axis i of the result is axis dims[i] of x"),
    DR_END,
};

static dr_status permute_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_ints *dims = &((const dr_permute_attr *)attr)->dims;
    const dr_infer c = { "permute", "x", in, n_in };
    (void)offset;
    if (dims->n != in->rank) return dr_refuse(&c, "%lld axes named, there are %d", (long long)dims->n, in->rank);
    bool used[DR_MAX_RANK] = { false };
    dr_shape_like(out, in);
    for (int i = 0; i < in->rank; i++) {
        int axis;
        if (dr_need_axis(&c, dims->v[i], &axis) != DR_OK) return DR_ESHAPE;
        if (used[axis]) return dr_refuse(&c, "axis %d is named twice", axis);
        used[axis] = true;
        out->shape[i] = in->shape[axis];
        out->stride[i] = in->stride[axis];
    }
    return DR_OK;
}

static dr_status permute_backward(const dr_backward_args *b)
{
    const dr_ints *dims = &((const dr_permute_attr *)b->attr)->dims;
    int64_t inverse[DR_MAX_RANK] = { 0 };
    const int rank = (int)dims->n;
    for (int i = 0; i < rank; i++) inverse[dims->v[i] < 0 ? dims->v[i] + rank : dims->v[i]] = i;
    return dr_yield(&b->din[0], dr_permute(b->dout[0], rank, inverse));
}

DR_OP_COMPONENT(permute, "permute(x): axes in another order", permute_params, .flags = DR_OP_VIEW, .n_in = 1,
                .n_out = 1, .in_layout = { DR_LAYOUT_ANY }, .infer = permute_infer, .backward = permute_backward)

/* ---- slice ------------------------------------------------------------------------------------------------------- */

#define LARGEST 281474976710656 /* 2^48 */
static const dr_param slice_params[] = {
    DR_INT(dr_slice_attr, dim, 0, -DR_MAX_RANK, DR_MAX_RANK - 1, "axis"),
    DR_INT(dr_slice_attr, start, 0, -LARGEST, LARGEST, "first index; a negative one counts from the end"),
    DR_INT(dr_slice_attr, length, -1, -1, LARGEST, "elements to take; -1: all to the end"),
    DR_INT(dr_slice_attr, step, 1, 1, LARGEST, "every step-th element"),
    DR_END,
};

static dr_status slice_range(const dr_infer *c, const dr_slice_attr *a, int *axis, int64_t *start, int64_t *length)
{
    if (dr_need_axis(c, a->dim, axis) != DR_OK) return DR_ESHAPE;
    const int64_t n = c->in[0].shape[*axis];
    if (a->step < 1) return dr_refuse(c, "step %lld is below 1", (long long)a->step);
    *start = a->start < 0 ? a->start + n : a->start;
    if (*start < 0 || *start > n) return dr_refuse(c, "start %lld is outside axis %d", (long long)a->start, *axis);
    const int64_t room = (n - *start + a->step - 1) / a->step;
    *length = a->length == -1 ? room : a->length;
    if (*length < 0 || *length > room) {
        return dr_refuse(c, "%lld elements from %lld are not in axis %d", (long long)a->length, (long long)*start,
                         *axis);
    }
    return DR_OK;
}

static dr_status slice_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "slice", "x", in, n_in };
    const dr_slice_attr *a = attr;
    int axis;
    int64_t start, length;
    if (slice_range(&c, a, &axis, &start, &length) != DR_OK) return DR_ESHAPE;
    *out = *in;
    out->shape[axis] = length;
    if (length > 1) out->stride[axis] = in->stride[axis] * a->step;
    *offset = length > 0 ? in->stride[axis] * start : 0;
    return DR_OK;
}

static dr_status slice_backward(const dr_backward_args *b)
{
    const dr_infer c = { "slice", "x", b->in_view, b->n_in };
    const dr_slice_attr *a = b->attr;
    int axis;
    int64_t start, length;
    if (slice_range(&c, a, &axis, &start, &length) != DR_OK) return DR_ESHAPE;
    const dr_slice_backward_attr attr = { axis, start, length, a->step, b->in_view[0].shape[axis] };
    return dr_yield(&b->din[0], dr_apply1("slice_backward", b->dout, 1, &attr));
}

DR_OP_COMPONENT(slice, "slice(x): part of one axis", slice_params, .flags = DR_OP_VIEW, .n_in = 1, .n_out = 1,
                .in_layout = { DR_LAYOUT_ANY }, .infer = slice_infer, .backward = slice_backward)

static const dr_param slice_backward_params[] = {
    DR_INT(dr_slice_backward_attr, dim, 0, -DR_MAX_RANK, DR_MAX_RANK - 1, "axis"),
    DR_INT(dr_slice_backward_attr, start, 0, 0, LARGEST, "first index"),
    DR_INT_REQUIRED(dr_slice_backward_attr, length, 0, LARGEST, "elements that the slice took"),
    DR_INT(dr_slice_backward_attr, step, 1, 1, LARGEST, "every step-th element"),
    DR_INT_REQUIRED(dr_slice_backward_attr, full, 0, LARGEST, "size of the axis before slicing"),
    DR_END,
};

static dr_status slice_backward_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "slice_backward", "dy", in, n_in };
    const dr_slice_backward_attr *a = attr;
    int axis;
    (void)offset;
    if (dr_need_axis(&c, a->dim, &axis) != DR_OK) return DR_ESHAPE;
    if (in->shape[axis] != a->length || a->step < 1 || a->start < 0 || (a->length > 1 && a->step > a->full) ||
        (a->length > 0 && a->start + (a->length - 1) * a->step >= a->full)) {
        return dr_refuse(&c, "%lld elements from %lld, %lld apart, do not lie in %lld", (long long)a->length,
                         (long long)a->start, (long long)a->step, (long long)a->full);
    }
    dr_shape_like(out, in);
    out->shape[axis] = a->full;
    return DR_OK;
}

static dr_status slice_backward_backward(const dr_backward_args *b)
{
    const dr_slice_backward_attr *a = b->attr;
    return dr_yield(&b->din[0],
                    dr_apply1("slice", b->dout, 1, &(dr_slice_attr){ a->dim, a->start, a->length, a->step }));
}

DR_OP_COMPONENT(slice_backward, "slice_backward(dy): dy in zeros, where the slice was", slice_backward_params,
                .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_CL }, .out_layout = { DR_LAYOUT_CL },
                .infer = slice_backward_infer, .backward = slice_backward_backward)

/* ---- expand ------------------------------------------------------------------------------------------------------ */

static const dr_param expand_params[] = {
    DR_INTS(dr_expand_attr, shape, -1, LARGEST, "the new shape; axes of size 1 are repeated, -1 keeps a size"),
    DR_END,
};

static dr_status expand_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_ints *want = &((const dr_expand_attr *)attr)->shape;
    const dr_infer c = { "expand", "x", in, n_in };
    (void)offset;
    if (want->n < in->rank || want->n > DR_MAX_RANK)
        return dr_refuse(&c, "cannot become %lld axes", (long long)want->n);
    dr_shape_of(out, in->dtype, (int)want->n, want->v);
    for (int i = out->rank - 1, j = in->rank - 1; i >= 0; i--, j--) {
        const int64_t have = j >= 0 ? in->shape[j] : 1;
        if (out->shape[i] == -1 && j >= 0) out->shape[i] = have;
        if (out->shape[i] < 0 || (have != 1 && have != out->shape[i])) {
            return dr_refuse(&c, "axis %d of size %lld cannot become %lld", j, (long long)have,
                             (long long)out->shape[i]);
        }
        out->stride[i] = j >= 0 && have == out->shape[i] ? in->stride[j] : 0;
    }
    return dr_checked_size("expand", (dr_dtype)in->dtype, out->rank, out->shape, NULL, NULL) ? DR_OK : DR_ESHAPE;
}

static dr_status expand_backward(const dr_backward_args *b)
{
    return dr_yield(&b->din[0], dr_sum_like(b->dout[0], &b->in_view[0]));
}

DR_OP_COMPONENT(expand, "expand(x): axes of size 1 repeated, in no memory", expand_params, .flags = DR_OP_VIEW,
                .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_ANY }, .infer = expand_infer,
                .backward = expand_backward)
