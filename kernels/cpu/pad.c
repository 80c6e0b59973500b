/* pad.c: y = x with a border. constant: a value; reflect: mirrored, the edge not repeated; replicate: the edge
 * repeated. The gradient goes back to where each element came from.
 * Memory is seen as [axes.., n, unit]: n is the innermost axis that grows, unit what lies inside it (the channels of an
 * image, as a rule), so rows of y are a border, a plain copy of n units, and a border. */
#include "bf16.h"
#include "memory_order.h"
#include <stdbool.h>

typedef struct layout { /* axes in memory order */
    int axes;           /* up to and with the innermost that grows */
    int64_t in[DR_MAX_RANK], out[DR_MAX_RANK], before[DR_MAX_RANK];
    int64_t unit; /* elements */
    int64_t rows; /* of y: product of out[0..axes-1) */
} layout;

static layout layout_of(const dr_pad_attr *attr, const dr_view *x, const dr_view *y)
{
    const int *order = dr_memory_order(x->rank);
    layout m = { .unit = 1, .rows = 1 };
    for (int k = 0; k < x->rank; k++) {
        const int axis = order[k];
        const int64_t pair = x->rank - 1 - axis; /* pads hold (before, after) of the last axis first */
        m.in[k] = x->shape[axis];
        m.out[k] = y->shape[axis];
        m.before[k] = 2 * pair < attr->pads.n ? attr->pads.v[2 * pair] : 0;
        if (m.in[k] != m.out[k]) m.axes = k + 1;
    }
    for (int k = m.axes; k < x->rank; k++) m.unit *= m.in[k];
    for (int k = 0; k + 1 < m.axes; k++) m.rows *= m.out[k];
    return m;
}

/* Where along an axis of n elements the output's position o comes from; -1: from nowhere, it is the constant. */
static int64_t source(int64_t mode, int64_t o, int64_t before, int64_t n)
{
    const int64_t i = o - before;
    if (i >= 0 && i < n) return i;
    if (mode == DR_PAD_CONSTANT) return -1;
    if (mode == DR_PAD_REPLICATE) return i < 0 ? 0 : n - 1;
    return i < 0 ? -i : 2 * (n - 1) - i;
}

/* The row of x that row r of y comes from, or -1. */
static int64_t source_row(const layout *m, int64_t mode, int64_t r)
{
    int64_t row = 0, stride = 1;
    for (int k = m->axes - 2; k >= 0; k--) {
        const int64_t i = source(mode, r % m->out[k], m->before[k], m->in[k]);
        if (i < 0) return -1;
        r /= m->out[k];
        row += i * stride;
        stride *= m->in[k];
    }
    return row;
}

/* ---- forward, of any floating dtype: elements are only moved ----------------------------------------------------- */

/* f16 (10 fraction bits) and bf16 (7): rounded to nearest, ties to even. */
static uint16_t encode16(double x, int fraction)
{
    const int exponent_ones = (1 << (15 - fraction)) - 1, bias = exponent_ones / 2,
              infinity = exponent_ones << fraction;
    const int sign = signbit(x) ? 0x8000 : 0;
    if (isnan(x)) return (uint16_t)(infinity | 1 << (fraction - 1));
    if (x == 0) return (uint16_t)sign;
    int exponent = isinf(x) ? bias + 1 : ilogb(x);
    if (exponent > bias) return (uint16_t)(sign | infinity);
    if (exponent < 1 - bias) exponent = 1 - bias; /* subnormals share the smallest exponent */
    /* A normal number's leading 1 is in steps and adds one to the exponent, hence the - 1. */
    const double steps = nearbyint(ldexp(fabs(x), fraction - exponent));
    return (uint16_t)(sign | (((exponent + bias - 1) << fraction) + (int)steps));
}

static void encode(int32_t dtype, double value, char bytes[8])
{
    const float single = (float)value;
    const uint16_t half = dtype == DR_F16 ? encode16(value, 10) : encode16(value, 7);
    if (dtype == DR_F32) memcpy(bytes, &single, sizeof single);
    else if (dtype == DR_F64) memcpy(bytes, &value, sizeof value);
    else memcpy(bytes, &half, sizeof half);
}

static void fill(char *to, const char *value, int64_t size, int64_t n)
{
    switch (size) { /* each a loop of whole elements */
    case 2:
        for (int64_t i = 0; i < n; i++) memcpy(to + i * 2, value, 2);
        return;
    case 4:
        for (int64_t i = 0; i < n; i++) memcpy(to + i * 4, value, 4);
        return;
    default:
        for (int64_t i = 0; i < n; i++) memcpy(to + i * 8, value, 8);
        return;
    }
}

/* Positions [from, to) of a row of y, in the border. */
static void border(const layout *m, int64_t mode, const char *x, char *y, const char *value, int64_t size, int64_t from,
                   int64_t to)
{
    const int last = m->axes - 1;
    const int64_t bytes = m->unit * size;
    if (mode == DR_PAD_CONSTANT) {
        fill(y + from * bytes, value, size, (to - from) * m->unit);
        return;
    }
    for (int64_t o = from; o < to; o++)
        memcpy(y + o * bytes, x + source(mode, o, m->before[last], m->in[last]) * bytes, (size_t)bytes);
}

static void pad_any(const dr_kargs *a) /* x -> y */
{
    const dr_pad_attr *attr = a->attr;
    const layout m = layout_of(attr, &a->in[0], &a->out[0]);
    const int64_t size = dr_element_size(a->out[0].dtype), n = dr_numel(&a->out[0]);
    const char *x = dr_in(a, 0);
    char *y = dr_out(a, 0), value[8];
    if (n == 0) return;
    if (m.axes == 0) { /* nothing grows */
        dr_copy_rows(y, n * size, x, n * size, n * size, 1);
        return;
    }
    encode(a->out[0].dtype, attr->value, value);
    const int64_t bytes = m.unit * size, in = m.in[m.axes - 1], out = m.out[m.axes - 1], before = m.before[m.axes - 1];
#pragma omp parallel for schedule(static) if (n > DR_CPU_PARALLEL)
    for (int64_t r = 0; r < m.rows; r++) {
        const int64_t row = source_row(&m, attr->mode, r);
        char *to = y + r * out * bytes;
        if (row < 0) {
            fill(to, value, size, out * m.unit);
            continue;
        }
        const char *from = x + row * in * bytes;
        border(&m, attr->mode, from, to, value, size, 0, before);
        if (in > 0) memcpy(to + before * bytes, from, (size_t)(in * bytes));
        border(&m, attr->mode, from, to, value, size, before + in, out);
    }
}

/* ---- backward, of f32 or bf16: rows of dy add up in f32 --------------------------------------------------------- */

VM_INLINE void add(int type, float *restrict to, const void *restrict from, int64_t first, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] += dr_load(type, from, first + i);
}

VM_INLINE void row_backward(int type, const layout *m, int64_t mode, const void *dy, float *dx)
{
    const int64_t in = m->in[m->axes - 1], out = m->out[m->axes - 1], before = m->before[m->axes - 1], unit = m->unit;
    add(type, dx, dy, before * unit, in * unit);
    if (mode == DR_PAD_CONSTANT) return;
    for (int64_t o = 0; o < before; o++) add(type, dx + source(mode, o, before, in) * unit, dy, o * unit, unit);
    for (int64_t o = before + in; o < out; o++) add(type, dx + source(mode, o, before, in) * unit, dy, o * unit, unit);
}

/* Image k, or all: rows [k rows, (k + 1) rows) of dy, which come from n elements of dx; sum [n] is dx itself in f32. */
VM_INLINE void image_backward(int type, const layout *m, int64_t mode, const void *dy, int64_t k, int64_t rows,
                              float *sum, void *dx, int64_t n)
{
    const int64_t in = m->in[m->axes - 1] * m->unit, out = m->out[m->axes - 1] * m->unit;
    memset(sum, 0, (size_t)n * sizeof(float));
    for (int64_t r = k * rows; r < (k + 1) * rows; r++) {
        const int64_t row = source_row(m, mode, r);
        if (row >= 0) row_backward(type, m, mode, dr_from(type, dy, r * out), sum + row * in - k * n);
    }
    for (int64_t i = 0; type != DR_F32 && i < n; i++) dr_store(type, dx, i, sum[i]);
}

/* dy -> dx. Rows of dy add up in dx, so threads share the outermost axis, and only where it does not grow. */
static void pad_backward(const dr_kargs *a)
{
    const dr_pad_backward_attr *attr = a->attr;
    const layout m = layout_of(attr, &a->out[0], &a->in[0]);
    const int64_t n = dr_numel(&a->out[0]), bytes = n * dr_element_size(a->out[0].dtype);
    const bool narrow = a->out[0].dtype == DR_BF16;
    if (n == 0) return;
    if (m.axes == 0) {
        dr_copy_rows(dr_out(a, 0), bytes, dr_in(a, 0), bytes, bytes, 1);
        return;
    }
    const int64_t images = m.axes > 1 && m.in[0] == m.out[0] ? m.out[0] : 1, rows = m.rows / images, each = n / images;
    float *sums = dr_out(a, 0);
    if (narrow) sums = dr_cpu_workspace(a, (size_t)n * sizeof(float));
    if (!sums) return;
#pragma omp parallel for schedule(static) if (images > 1 && n > DR_CPU_PARALLEL)
    for (int64_t k = 0; k < images; k++) {
        if (narrow)
            image_backward(DR_BF16, &m, attr->mode, dr_in(a, 0), k, rows, sums + k * each,
                           dr_into(DR_BF16, dr_out(a, 0), k * each), each);
        else image_backward(DR_F32, &m, attr->mode, dr_in(a, 0), k, rows, sums + k * each, NULL, each);
    }
}

DR_KERNEL(pad, DR_ANY_DTYPE, pad_any)
DR_KERNEL(pad_backward, DR_F32, pad_backward)
DR_KERNEL(pad_backward, DR_BF16, pad_backward)
