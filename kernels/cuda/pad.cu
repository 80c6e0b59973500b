/* pad.cu: y = x with a border. constant: a value; reflect: mirrored, the edge not repeated; replicate: the edge
 * repeated. Both ways each element of the result is gathered: y from the one place that it comes from, dx from all
 * places of dy that come from it, in one order. Axes that do not grow are joined with those inside them; of the
 * innermost one, the channels of an image as a rule, a thread takes up to 16 bytes. */
#include "convert.h"
#include "divisor.h"
#include "memory_order.h"

enum { THREADS = 128, AXES = DR_MAX_RANK + 1 };
static const int64_t MOST = (int64_t)1 << 30; /* items of one launch: indices are 32 bits wide */

/* Axes from the innermost in memory on; axis 0 does not grow, and may be of one element. */
struct padding {
    int32_t axes, mode, items;
    int32_t first; /* index along the outermost axis where this launch begins */
    int32_t in[AXES], out[AXES], before[AXES];
    divisor size[AXES]; /* of the result: out, or in for backward */
};

/* ---- on the host ------------------------------------------------------------------------------------------------- */

/* x: the smaller tensor, y: the larger one, both in elements. */
static padding padding_of(const dr_pad_attr *attr, const dr_view *x, const dr_view *y)
{
    padding p = { 1, (int32_t)attr->mode, 0, 0, { 1 }, { 1 }, { 0 }, {} };
    bool grows = false; /* the axis before this one */
    for (int place = x->rank - 1; place >= 0; place--) {
        const int axis = dr_axis_at(x->rank, place), pair = x->rank - 1 - axis; /* pads begin with the last axis */
        const int64_t in = x->shape[axis], out = y->shape[axis];
        if (in == 1 && out == 1) continue;
        if (in == out && !grows && in * p.in[p.axes - 1] <= MOST) {
            p.in[p.axes - 1] = p.out[p.axes - 1] = (int32_t)in * p.in[p.axes - 1];
            continue;
        }
        grows = in != out;
        p.in[p.axes] = (int32_t)in;
        p.out[p.axes] = (int32_t)out;
        p.before[p.axes++] = 2 * pair < attr->pads.n ? (int32_t)attr->pads.v[2 * pair] : 0;
    }
    return p;
}

/* All axes but the outermost must fit 32-bit indices together: that one is cut. */
static bool fits(const dr_kargs *a, const dr_view *y)
{
    const int64_t n = dr_numel(y), outermost = y->rank > 0 ? y->shape[0] : 1;
    if (n == 0 || (n / outermost < MOST && outermost < MOST)) return true;
    dr_cuda_refuse(a, DR_EUNSUPPORTED, "more than 2^30 elements along the first axis, or along the others");
    return false;
}

/* Axis 0 counted in items of `elements`, and how many indices of the outermost axis a launch takes. */
static int64_t count_items(padding *p, const int32_t *result, int64_t elements)
{
    int64_t inner = 1;
    p->in[0] /= (int32_t)elements;
    p->out[0] /= (int32_t)elements;
    for (int d = 0; d < p->axes; d++) p->size[d] = divisor_of(result[d]);
    for (int d = 0; d < p->axes - 1; d++) inner *= result[d];
    p->items = (int32_t)inner; /* for one index of the outermost axis */
    return dr_min64(MOST / inner, result[p->axes - 1]);
}

static unsigned blocks_of(const dr_kargs *a, int64_t items) /* threads go on with further items */
{
    const int64_t most = 32 * (int64_t)dr_cuda_of(a)->multiprocessors;
    return (unsigned)dr_min64(dr_blocks_for(items, THREADS), most > 0 ? most : 1);
}

/* ---- forward: elements are only moved, in units U ---------------------------------------------------------------- */

/* Where along an axis of n elements the output's position o comes from; -1: from nowhere, it is the constant. */
__device__ static inline int32_t source(int32_t mode, int32_t o, int32_t before, int32_t n)
{
    const int32_t i = o - before;
    if (i >= 0 && i < n) return i;
    if (mode == DR_PAD_CONSTANT) return -1;
    if (mode == DR_PAD_REPLICATE) return i < 0 ? 0 : n - 1;
    return i < 0 ? -i : 2 * (n - 1) - i;
}

template <typename U>
static __global__ void __launch_bounds__(THREADS) pad_units(padding p, const U *x, U *y, U constant)
{
    for (int32_t item = blockIdx.x * THREADS + threadIdx.x; item < p.items; item += gridDim.x * THREADS) {
        uint32_t rest = (uint32_t)item;
        int64_t place = 0, stride = 1;
        bool inside = true;
        for (int d = 0; d < AXES && d < p.axes; d++) {
            const bool outermost = d == p.axes - 1;
            const uint32_t next = outermost ? 0 : quotient(rest, p.size[d]);
            const int32_t o = (int32_t)(rest - next * p.size[d].by) + (outermost ? p.first : 0);
            const int32_t i = source(p.mode, o, p.before[d], p.in[d]);
            inside = inside && i >= 0;
            place += i * stride;
            stride *= p.in[d];
            rest = next;
        }
        U value = constant;
        if (inside) value = x[place];
        y[item] = value;
    }
}

template <typename U> static void pad(const dr_kargs *a, padding p)
{
    const int64_t size = dr_element_size(a->out[0].dtype), elements = (int64_t)sizeof(U) / size;
    U constant;
    const element_bytes bytes = bytes_of_number(a->out[0].dtype, ((const dr_pad_attr *)a->attr)->value);
    for (int64_t k = 0; k < elements; k++) memcpy((char *)&constant + k * size, bytes.v, (size_t)size);
    const int64_t each = count_items(&p, p.out, elements), inner = p.items, last = p.out[p.axes - 1];
    U *y = (U *)dr_out(a, 0);
    for (int64_t first = 0; first < last; first += each) {
        p.first = (int32_t)first;
        p.items = (int32_t)(inner * dr_min64(each, last - first));
        DR_LAUNCH(a, pad_units<U>, blocks_of(a, p.items), THREADS, 0, p, (const U *)dr_in(a, 0), y + first * inner,
                  constant);
    }
}

static void pad_any(const dr_kargs *a) /* x -> y */
{
    if (dr_numel(&a->out[0]) == 0 || !fits(a, &a->out[0])) return;
    const padding p = padding_of((const dr_pad_attr *)a->attr, &a->in[0], &a->out[0]);
    const uint64_t bytes = (uint64_t)(p.in[0] * dr_element_size(a->out[0].dtype));
    switch (dr_widest_unit(bytes | (uint64_t)(uintptr_t)dr_in(a, 0) | (uint64_t)(uintptr_t)dr_out(a, 0))) {
    case 16: pad<unit16>(a, p); break;
    case 8: pad<uint64_t>(a, p); break;
    case 4: pad<uint32_t>(a, p); break;
    default: pad<uint16_t>(a, p); break; /* floating dtypes have no fewer bytes */
    }
}

/* ---- backward: what comes from an element of x adds up, in f32 --------------------------------------------------- */

/* How many positions of y come from element i of an axis that grows from n to `out`; where the j-th of them is. */
__device__ static inline int32_t copies(int32_t mode, int32_t i, int32_t before, int32_t n, int32_t out)
{
    const int32_t after = out - n - before;
    if (mode == DR_PAD_REPLICATE) return 1 + (i == 0 ? before : 0) + (i == n - 1 ? after : 0);
    if (mode == DR_PAD_REFLECT) return 1 + (i >= 1 && i <= before) + (i <= n - 2 && i >= n - 1 - after);
    return 1;
}
__device__ static inline int32_t copy_at(int32_t mode, int32_t i, int32_t before, int32_t n, int32_t j)
{
    if (mode == DR_PAD_REPLICATE) return j + (i == 0 ? 0 : before + i);
    if (j == 0) return before + i;
    return j == 1 && i >= 1 && i <= before ? before - i : before + 2 * (n - 1) - i;
}

template <typename T, int N>
static __global__ void __launch_bounds__(THREADS) pad_backward_items(padding p, const T *dy, T *dx)
{
    for (int32_t item = blockIdx.x * THREADS + threadIdx.x; item < p.items; item += gridDim.x * THREADS) {
        int32_t index[AXES], count[AXES], all = 1;
        uint32_t rest = (uint32_t)item;
        for (int d = 0; d < AXES; d++) {
            const bool outermost = d >= p.axes - 1;
            const uint32_t next = outermost ? 0 : quotient(rest, p.size[d]);
            index[d] = (int32_t)(rest - next * p.size[d].by) + (outermost ? p.first : 0);
            count[d] = d < p.axes ? copies(p.mode, index[d], p.before[d], p.in[d], p.out[d]) : 1;
            all *= count[d];
            rest = next;
        }
        float sum[N] = {};
        for (int32_t m = 0; m < all; m++) {
            int64_t place = 0, stride = 1;
            int32_t left = m;
            for (int d = 0; d < AXES; d++) {
                if (d >= p.axes) break;
                place += copy_at(p.mode, index[d], p.before[d], p.in[d], left % count[d]) * stride;
                stride *= p.out[d];
                left /= count[d];
            }
            const pack<T, N> v = load_pack<T, N>(dy, place * N);
            for (int k = 0; k < N; k++) sum[k] += to_float(v.v[k]);
        }
        pack<T, N> v;
        for (int k = 0; k < N; k++) v.v[k] = from_float<T>(sum[k]);
        store_pack<T, N>(dx, (int64_t)item * N, v);
    }
}

template <typename T, int N> static void launch_backward(const dr_kargs *a, padding p)
{
    const int64_t each = count_items(&p, p.in, N), inner = p.items, last = p.in[p.axes - 1];
    T *dx = (T *)dr_out(a, 0);
    for (int64_t first = 0; first < last; first += each) {
        p.first = (int32_t)first;
        p.items = (int32_t)(inner * dr_min64(each, last - first));
        DR_LAUNCH(a, (pad_backward_items<T, N>), blocks_of(a, p.items), THREADS, 0, p, (const T *)dr_in(a, 0),
                  dx + first * inner * N);
    }
}

template <typename T> static void pad_backward(const dr_kargs *a) /* dy -> dx */
{
    if (dr_numel(&a->out[0]) == 0 || !fits(a, &a->in[0])) return;
    const padding p = padding_of((const dr_pad_attr *)a->attr, &a->out[0], &a->in[0]);
    const bool packs = p.in[0] % widest<T>() == 0 && dr_aligned(dr_in(a, 0), 16) && dr_aligned(dr_out(a, 0), 16);
    if (packs) launch_backward<T, widest<T>()>(a, p);
    else launch_backward<T, 1>(a, p);
}

DR_KERNEL(pad, DR_ANY_DTYPE, pad_any)
DR_KERNEL(pad_backward, DR_F32, pad_backward<float>)
DR_KERNEL(pad_backward, DR_BF16, pad_backward<bf16>)
