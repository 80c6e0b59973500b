/* shape.c: sizes and strides. dr_checked_size is the one place that multiplies a shape: files, images, models and ops
 * all ask it, so an overflow is refused once and for all. */
#include "drift.h"

#include <string.h>

static const int64_t MAX_ELEMENTS = (int64_t)1 << 48;

_Bool dr_checked_size(const char *what, dr_dtype dtype, int rank, const int64_t *shape, int64_t *count, size_t *bytes)
{
    if (rank < 0 || rank > DR_MAX_RANK) {
        dr_fail(DR_ESHAPE, "%s: rank %d is outside [0, %d]", what, rank, DR_MAX_RANK);
        return false;
    }
    int64_t n = 1;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0) {
            dr_fail(DR_ESHAPE, "%s: dimension %d is %lld", what, i, (long long)shape[i]);
            return false;
        }
    }
    bool empty = false;
    for (int i = 0; i < rank; i++) { /* of an empty shape too: strides are products of the other dimensions */
        if (shape[i] == 0) {
            empty = true;
            continue;
        }
        if (n > MAX_ELEMENTS / shape[i]) {
            dr_fail(DR_ESHAPE, "%s: shape is too large (over 2^48 elements)", what);
            return false;
        }
        n *= shape[i];
    }
    if (empty) n = 0;
    if (count) *count = n;
    if (bytes) *bytes = (size_t)n * dr_dtype_size(dtype);
    return true;
}

/* Memory order of the axes, slowest first. */
static void axis_order(int rank, dr_layout layout, int order[DR_MAX_RANK])
{
    for (int i = 0; i < rank; i++) order[i] = i;
    if (layout == DR_LAYOUT_CL && rank == 4) {
        order[1] = 2; /* B,H,W,C */
        order[2] = 3;
        order[3] = 1;
    }
}

void dr_view_lay(dr_view *v, dr_layout layout)
{
    int order[DR_MAX_RANK];
    axis_order(v->rank, layout, order);
    int64_t stride = 1;
    for (int i = v->rank - 1; i >= 0; i--) {
        v->stride[order[i]] = stride;
        if (v->shape[order[i]] > 0) stride *= v->shape[order[i]];
    }
}

static bool laid_as(const dr_view *v, dr_layout layout)
{
    int order[DR_MAX_RANK];
    axis_order(v->rank, layout, order);
    int64_t stride = 1;
    for (int i = v->rank - 1; i >= 0; i--) {
        const int a = order[i];
        if (v->shape[a] == 0) return true; /* nothing in it: any order */
        if (v->shape[a] == 1) continue;    /* never stepped along */
        if (v->stride[a] != stride) return false;
        stride *= v->shape[a];
    }
    return true;
}

/* Channels-last, but for the distance between pixels. */
static bool pixels_are_laid(const dr_view *v)
{
    int64_t stride = 0; /* of the next axis outwards; 0: no pixel after the first yet */
    if (v->rank != 4) return laid_as(v, DR_LAYOUT_ROW);
    for (int i = 0; i < 4; i++) {
        if (v->shape[i] == 0) return true;
    }
    if (v->shape[1] > 1 && v->stride[1] != 1) return false;
    for (int i = 0; i < 3; i++) {
        const int axis = i == 2 ? 0 : 3 - i; /* W, H, B */
        if (v->shape[axis] == 1) continue;
        if (stride == 0 ? v->stride[axis] < v->shape[1] : v->stride[axis] != stride) return false;
        stride = v->stride[axis] * v->shape[axis];
    }
    return true;
}

/* Dense in some order of the axes: sorted by stride, each is the product of those before. */
static bool dense(const dr_view *v)
{
    bool used[DR_MAX_RANK] = { false };
    int64_t stride = 1;
    for (int k = 0; k < v->rank; k++) {
        int found = -1;
        for (int i = 0; i < v->rank && found < 0; i++) {
            if (!used[i] && (v->shape[i] <= 1 || v->stride[i] == stride)) found = i;
        }
        if (found < 0) return false;
        used[found] = true;
        if (v->shape[found] == 0) return true;
        stride *= v->shape[found];
    }
    return true;
}

bool dr_view_is(const dr_view *v, dr_layout layout)
{
    if (layout == DR_LAYOUT_ANY) return true;
    if (layout == DR_LAYOUT_DENSE) return dense(v);
    if (layout == DR_LAYOUT_PIXELS) return pixels_are_laid(v);
    return laid_as(v, layout);
}

const char *dr_view_text(const dr_view *v, char *text, size_t n)
{
    if (v->rank < 0) {
        snprintf(text, n, "none");
        return text;
    }
    size_t used = (size_t)snprintf(text, n, "%s[", dr_dtype_name((dr_dtype)v->dtype));
    for (int i = 0; i < v->rank && used < n; i++) {
        used += (size_t)snprintf(text + used, n - used, i ? ",%lld" : "%lld", (long long)v->shape[i]);
    }
    if (used < n) snprintf(text + used, n - used, "]");
    return text;
}
