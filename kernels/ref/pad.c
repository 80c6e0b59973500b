/* pad.c: y = x with a border. constant: a value; reflect: mirrored, the edge not repeated; replicate: the edge
 * repeated. A negative pad cuts off. The gradient goes back to where each element came from. */
#include "element.h"

/* Where along an axis of n elements the output's position o comes from; -1: from nowhere, it is the constant. */
static int64_t source(int64_t mode, int64_t o, int64_t before, int64_t n)
{
    int64_t i = o - before;
    if (i >= 0 && i < n) return i;
    if (mode == DR_PAD_CONSTANT) return -1;
    if (mode == DR_PAD_REPLICATE) return i < 0 ? 0 : n - 1;
    return i < 0 ? -i : 2 * (n - 1) - i;
}

/* Row-major index into x of y's element at `index`, or -1. pads hold (before, after) of the last axis first. */
static int64_t place_in_x(const dr_pad_attr *attr, const dr_view *x, const int64_t *index)
{
    int64_t place = 0;
    for (int d = 0; d < x->rank; d++) {
        const int64_t pair = x->rank - 1 - d;
        const int64_t before = 2 * pair < attr->pads.n ? attr->pads.v[2 * pair] : 0;
        const int64_t i = source(attr->mode, index[d], before, x->shape[d]);
        if (i < 0) return -1;
        place = place * x->shape[d] + i;
    }
    return place;
}

static void pad_ref(const dr_kargs *a) /* x -> y */
{
    const dr_pad_attr *attr = a->attr;
    int64_t index[DR_MAX_RANK] = { 0 };
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t i = 0; i < dr_numel(&a->out[0]); i++) {
        int64_t place = place_in_x(attr, &a->in[0], index);
        m.out[0][i] = place < 0 ? attr->value : m.in[0][place];
        dr_ref_next(&a->out[0], index, 0);
    }
    dr_ref_close(&m);
}

static void pad_backward_ref(const dr_kargs *a) /* dy -> dx */
{
    const dr_pad_backward_attr *attr = a->attr;
    int64_t index[DR_MAX_RANK] = { 0 };
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t i = 0; i < dr_numel(&a->in[0]); i++) {
        int64_t place = place_in_x(attr, &a->out[0], index);
        if (place >= 0) m.out[0][place] += m.in[0][i];
        dr_ref_next(&a->in[0], index, 0);
    }
    dr_ref_close(&m);
}

DR_KERNEL(pad, DR_ANY_DTYPE, pad_ref)
DR_KERNEL(pad_backward, DR_ANY_DTYPE, pad_backward_ref)
