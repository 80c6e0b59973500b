/* concat.cu: joins tensors along one axis; and slice_backward, the gradient of taking a part along one axis. Around the
 * axis memory is [outer, n, inner], also for channels-last images, so the result is `outer` rows, and each input has a
 * part of every row. Rows are moved in units U of 16 bytes where all parts allow it; a thread writes one unit. */
#include "divisor.h"
#include "memory_order.h"

enum { PARTS = 16, THREADS = 128 };
static const int64_t MOST = (int64_t)1 << 30; /* units of one launch: indices are 32 bits wide */

static unsigned blocks_of(const dr_kargs *a, int64_t items) /* threads go on with further items */
{
    const int64_t most = 32 * (int64_t)dr_cuda_of(a)->multiprocessors;
    return (unsigned)dr_min64(dr_blocks_for(items, THREADS), most > 0 ? most : 1);
}

/* ---- concat ------------------------------------------------------------------------------------------------------ */

struct joint {
    const void *from[PARTS]; /* its unit of the first row and column */
    int64_t step[PARTS];     /* units from one of its rows to the next */
    uint32_t begin[PARTS];   /* its first column */
    int32_t parts, items;
    divisor width; /* columns of all of them */
};

template <typename U> static __global__ void __launch_bounds__(THREADS) join_rows(joint j, U *to, int64_t step)
{
    for (int32_t i = blockIdx.x * THREADS + threadIdx.x; i < j.items; i += gridDim.x * THREADS) {
        const uint32_t row = quotient((uint32_t)i, j.width), column = (uint32_t)i - row * j.width.by;
        int k = 0;
        while (k + 1 < j.parts && column >= j.begin[k + 1]) k++;
        to[row * step + column] = ((const U *)j.from[k])[row * j.step[k] + (column - j.begin[k])];
    }
}

/* Launches columns that are in j, in pieces of as many rows as there may be. */
template <typename U>
static void launch_rows(const dr_kargs *a, joint j, int64_t width, U *to, int64_t step, int64_t rows)
{
    const int64_t each = MOST / width;
    j.width = divisor_of(width);
    for (int64_t first = 0; first < rows; first += each) {
        const int64_t n = dr_min64(each, rows - first);
        j.items = (int32_t)(n * width);
        DR_LAUNCH(a, join_rows<U>, blocks_of(a, j.items), THREADS, 0, j, to + first * step, step);
        for (int k = 0; k < j.parts; k++) j.from[k] = (const U *)j.from[k] + n * j.step[k];
    }
}

template <typename U> static void join(const dr_kargs *a, int64_t dim)
{
    const int64_t elements = (int64_t)sizeof(U) / dr_element_size(a->out[0].dtype); /* of a unit */
    const dr_around whole = dr_around_axis(&a->out[0], dim);
    const int64_t step = whole.n * whole.inner / elements;
    U *to = (U *)dr_out(a, 0);
    joint j = {};
    int64_t width = 0;
    for (int k = 0; k < a->n_in; k++) {
        const int64_t n = dr_around_axis(&a->in[k], dim).n * whole.inner / elements;
        for (int64_t at = 0, taken; at < n; at += taken) { /* once, but for a part that is too long for one launch */
            taken = dr_min64(n - at, MOST - width);
            j.from[j.parts] = (const U *)dr_in(a, k) + at;
            j.step[j.parts] = n;
            j.begin[j.parts++] = (uint32_t)width;
            width += taken;
            if (j.parts < PARTS && width < MOST) continue;
            launch_rows<U>(a, j, width, to, step, whole.outer);
            to += width;
            j.parts = 0;
            width = 0;
        }
    }
    if (width > 0) launch_rows<U>(a, j, width, to, step, whole.outer);
}

static void concat_any(const dr_kargs *a) /* x0, x1, ... -> y */
{
    const dr_view *y = &a->out[0];
    const int64_t dim = ((const dr_concat_attr *)a->attr)->dim, size = dr_element_size(y->dtype);
    uint64_t bits = (uint64_t)(uintptr_t)y->data;
    if (dr_numel(y) == 0) return;
    for (int k = 0; k < a->n_in; k++) {
        const dr_around part = dr_around_axis(&a->in[k], dim);
        if (part.n > 0) bits |= (uint64_t)(uintptr_t)a->in[k].data | (uint64_t)(part.n * part.inner * size);
    }
    switch (dr_widest_unit(bits)) {
    case 16: join<unit16>(a, dim); break;
    case 8: join<uint64_t>(a, dim); break;
    case 4: join<uint32_t>(a, dim); break;
    case 2: join<uint16_t>(a, dim); break;
    default: join<uint8_t>(a, dim); break;
    }
}

/* ---- slice_backward ---------------------------------------------------------------------------------------------- */

struct placing { /* dx [rows, width] of units; dy [rows, length, inner] */
    divisor width, inner, step;
    uint32_t start, length;
    int32_t items;
};

template <typename U> static __global__ void __launch_bounds__(THREADS) place_slice(placing p, const U *dy, U *dx)
{
    for (int32_t i = blockIdx.x * THREADS + threadIdx.x; i < p.items; i += gridDim.x * THREADS) {
        const uint32_t row = quotient((uint32_t)i, p.width), column = (uint32_t)i - row * p.width.by;
        const uint32_t at = quotient(column, p.inner), rest = column - at * p.inner.by;
        U value = {};
        if (at >= p.start) {
            const uint32_t k = quotient(at - p.start, p.step);
            const bool hit = at - p.start == k * p.step.by && k < p.length;
            if (hit) value = dy[((int64_t)row * p.length + k) * p.inner.by + rest];
        }
        dx[i] = value;
    }
}

template <typename U> static void place(const dr_kargs *a, const dr_around *x, const dr_slice_backward_attr *attr)
{
    const int64_t inner = x->inner * dr_element_size(a->out[0].dtype) / (int64_t)sizeof(U), width = x->n * inner;
    const int64_t length = attr->length, each = width > 0 ? MOST / width : 0;
    if (each == 0) {
        dr_cuda_refuse(a, DR_EUNSUPPORTED, "axis %d and what lies inside it are more than 2^30 elements",
                       (int)attr->dim);
        return;
    }
    const int64_t stride = length > 1 ? attr->step : x->n; /* of one element any will do */
    placing p = {};
    p.width = divisor_of(width);
    p.inner = divisor_of(inner);
    p.step = divisor_of(stride);
    p.start = (uint32_t)attr->start;
    p.length = (uint32_t)length;
    const U *dy = (const U *)dr_in(a, 0);
    U *dx = (U *)dr_out(a, 0);
    for (int64_t first = 0; first < x->outer; first += each) {
        p.items = (int32_t)(dr_min64(each, x->outer - first) * width);
        DR_LAUNCH(a, place_slice<U>, blocks_of(a, p.items), THREADS, 0, p, dy + first * length * inner,
                  dx + first * width);
    }
}

static void slice_backward_any(const dr_kargs *a) /* dy -> dx: zero but for dx[start + k step] = dy[k] along dim */
{
    const dr_slice_backward_attr *attr = (const dr_slice_backward_attr *)a->attr;
    const dr_around x = dr_around_axis(&a->out[0], attr->dim);
    if (dr_numel(&a->out[0]) == 0) return;
    const uint64_t bytes = (uint64_t)(x.inner * dr_element_size(a->out[0].dtype));
    const uint64_t from = attr->length > 0 ? (uint64_t)(uintptr_t)dr_in(a, 0) : 0;
    switch (dr_widest_unit(bytes | from | (uint64_t)(uintptr_t)dr_out(a, 0))) {
    case 16: place<unit16>(a, &x, attr); break;
    case 8: place<uint64_t>(a, &x, attr); break;
    case 4: place<uint32_t>(a, &x, attr); break;
    case 2: place<uint16_t>(a, &x, attr); break;
    default: place<uint8_t>(a, &x, attr); break;
    }
}

DR_KERNEL(concat, DR_ANY_DTYPE, concat_any)
DR_KERNEL(slice_backward, DR_ANY_DTYPE, slice_backward_any)
