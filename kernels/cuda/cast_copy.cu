/* cast_copy.cu: cast (to another dtype), copy (to another memory order), fill and assign (in place).
 * Plain copies move bits; between f32 and bf16 there are kernels of their own; other conversions go through double
 * (convert.h), but i64 to i32, which is exact beyond 2^53 too. Where an image's fastest axis changes, as between NCHW
 * and NHWC, squares of 32 x 32 elements are turned in shared memory, so that reads and writes both follow memory. */
#include "convert.h"
#include "walk.h"

/* ---- the same dtype: bits are moved. U has an element's size ----------------------------------------------------- */

template <typename U>
static __global__ void __launch_bounds__(WALK_THREADS) move_items(walk w) /* tensor 1 -> tensor 0 */
{
    constexpr int N = widest<U>();
    for (int32_t i = blockIdx.x * WALK_THREADS + threadIdx.x; i < w.items; i += gridDim.x * WALK_THREADS) {
        int32_t at[2];
        walk_place<2>(w, (uint32_t)i, at);
        U *to = (U *)w.data[0] + at[0];
        const U *from = (const U *)w.data[1] + at[1];
        if (w.lanes == 1) {
            *to = *from;
        } else if (w.stride[1][0] != 0) {
            *(unit16 *)to = *(const unit16 *)from;
        } else {
            pack<U, N> same;
            for (int k = 0; k < N; k++) same.v[k] = *from;
            store_pack<U, N>(to, 0, same);
        }
    }
}

/* ---- turning ----------------------------------------------------------------------------------------------------- */

enum { SIDE = 32, ROWS = 8 };

struct turn {
    walk others;                  /* the axes but x and y: an item is a plane */
    int32_t x, y, tiles_x, tiles; /* to's fastest axis is x, from's is y; tiles of one plane */
    int32_t from_x, to_y;         /* strides */
};

template <typename U> static __global__ void __launch_bounds__(SIDE *ROWS) turn_planes(turn m)
{
    __shared__ U tile[SIDE][SIDE + 1];
    const int32_t plane = blockIdx.x / m.tiles, k = blockIdx.x % m.tiles;
    const int32_t x0 = k % m.tiles_x * SIDE, y0 = k / m.tiles_x * SIDE;
    int32_t at[2];
    walk_place<2>(m.others, (uint32_t)plane, at);
    U *to = (U *)m.others.data[0] + at[0];
    const U *from = (const U *)m.others.data[1] + at[1];
    const int32_t fast = threadIdx.x;
    for (int32_t row = threadIdx.y; row < SIDE; row += ROWS)
        if (x0 + row < m.x && y0 + fast < m.y) tile[row][fast] = from[(x0 + row) * m.from_x + y0 + fast];
    __syncthreads();
    for (int32_t row = threadIdx.y; row < SIDE; row += ROWS)
        if (y0 + row < m.y && x0 + fast < m.x) to[(y0 + row) * m.to_y + x0 + fast] = tile[fast][row];
}

/* from's fastest axis, if it is not to's, and both are long enough to be worth it; else 0. */
static int axis_to_turn(const walk_range *r)
{
    const int64_t worth = SIDE / 2;
    if (r->lanes > 1 || r->shape[0] < worth || r->stride[0][0] != 1 || r->stride[1][0] <= 1) return 0;
    for (int d = 0; d < r->rank; d++)
        if (r->part[d] < r->shape[d]) return 0; /* beyond 32-bit indices */
    for (int d = 1; d < r->rank; d++)
        if (r->stride[1][d] == 1 && r->shape[d] >= worth) return d;
    return 0;
}

template <typename U> static void turn_axes(const dr_kargs *a, const walk_range *r, int y)
{
    walk_range others = *r;
    turn m = {
        {}, (int32_t)r->shape[0], (int32_t)r->shape[y], 0, 0, (int32_t)r->stride[1][0], (int32_t)r->stride[0][y]
    };
    others.rank = 0;
    for (int d = 1; d < r->rank; d++) {
        if (d == y) continue;
        const int k = others.rank++;
        others.shape[k] = others.part[k] = r->shape[d];
        for (int t = 0; t < 2; t++) others.stride[t][k] = r->stride[t][d];
    }
    if (others.rank == 0) others.shape[0] = others.part[0] = others.rank = 1;
    if (!walk_next(&others, &m.others)) return;
    m.tiles_x = (int32_t)dr_blocks_for(m.x, SIDE);
    m.tiles = m.tiles_x * (int32_t)dr_blocks_for(m.y, SIDE);
    DR_LAUNCH(a, turn_planes<U>, (unsigned)m.tiles * (unsigned)m.others.items, dim3(SIDE, ROWS), 0, m);
}

template <typename U> static void move(const dr_kargs *a, const dr_view *const *to_from)
{
    walk_range r = walk_range_of(to_from, 2, widest<U>());
    const int y = r.done ? 0 : axis_to_turn(&r);
    if (y > 0) {
        turn_axes<U>(a, &r, y);
        return;
    }
    for (walk w; walk_next(&r, &w);) DR_LAUNCH(a, move_items<U>, walk_blocks(a, &w), WALK_THREADS, 0, w);
}

/* ---- other dtypes ------------------------------------------------------------------------------------------------ */

enum { CONVERTED = 4 }; /* elements of a pack, f32 to bf16 or back */

template <typename To, typename From> static __global__ void __launch_bounds__(WALK_THREADS) round_or_widen(walk w)
{
    for (int32_t i = blockIdx.x * WALK_THREADS + threadIdx.x; i < w.items; i += gridDim.x * WALK_THREADS) {
        int32_t at[2];
        walk_place<2>(w, (uint32_t)i, at);
        if (w.lanes == 1) {
            store((To *)w.data[0], at[0], load((const From *)w.data[1], at[1]));
            continue;
        }
        float v[CONVERTED];
        walk_load<From, CONVERTED>(w, 1, at[1], v);
        walk_store<To, CONVERTED>(w, at[0], v);
    }
}

static __global__ void __launch_bounds__(WALK_THREADS) convert_items(walk w, int32_t to, int32_t from)
{
    for (int32_t i = blockIdx.x * WALK_THREADS + threadIdx.x; i < w.items; i += gridDim.x * WALK_THREADS) {
        int32_t at[2];
        walk_place<2>(w, (uint32_t)i, at);
        if (to == DR_I32 && from == DR_I64) {
            const int64_t x = ((const int64_t *)w.data[1])[at[1]];
            ((int32_t *)w.data[0])[at[0]] = (int32_t)(x < INT32_MIN ? INT32_MIN : x > INT32_MAX ? INT32_MAX : x);
        } else {
            store_number(to, w.data[0], at[0], load_number(from, w.data[1], at[1]));
        }
    }
}

static void convert(const dr_kargs *a, const dr_view *const *to_from)
{
    const int32_t to = to_from[0]->dtype, from = to_from[1]->dtype;
    const bool narrows = to == DR_BF16 && from == DR_F32, widens = to == DR_F32 && from == DR_BF16;
    walk_range r = walk_range_of(to_from, 2, narrows || widens ? CONVERTED : 1);
    for (walk w; walk_next(&r, &w);) {
        const unsigned blocks = walk_blocks(a, &w);
        if (narrows) DR_LAUNCH(a, (round_or_widen<bf16, float>), blocks, WALK_THREADS, 0, w);
        else if (widens) DR_LAUNCH(a, (round_or_widen<float, bf16>), blocks, WALK_THREADS, 0, w);
        else DR_LAUNCH(a, convert_items, blocks, WALK_THREADS, 0, w, to, from);
    }
}

/* ---- one number -------------------------------------------------------------------------------------------------- */

template <typename U> static __global__ void __launch_bounds__(WALK_THREADS) fill_items(walk w, U element)
{
    constexpr int N = widest<U>();
    pack<U, N> same;
    for (int k = 0; k < N; k++) same.v[k] = element;
    for (int32_t i = blockIdx.x * WALK_THREADS + threadIdx.x; i < w.items; i += gridDim.x * WALK_THREADS) {
        int32_t at[1];
        walk_place<1>(w, (uint32_t)i, at);
        U *to = (U *)w.data[0] + at[0];
        if (w.lanes == 1) *to = element;
        else store_pack<U, N>(to, 0, same);
    }
}

template <typename U> static void fill(const dr_kargs *a)
{
    const dr_view *v[1] = { &a->in[0] };
    U element;
    const element_bytes bytes = bytes_of_number(a->in[0].dtype, ((const dr_fill_attr *)a->attr)->value);
    memcpy(&element, bytes.v, sizeof element);
    walk_range r = walk_range_of(v, 1, widest<U>());
    for (walk w; walk_next(&r, &w);) DR_LAUNCH(a, fill_items<U>, walk_blocks(a, &w), WALK_THREADS, 0, w, element);
}

/* ---- kernels ----------------------------------------------------------------------------------------------------- */

static void move_or_convert(const dr_kargs *a, const dr_view *to, const dr_view *from) /* broadcast */
{
    const dr_view *v[2] = { to, from };
    if (to->dtype != from->dtype) {
        convert(a, v);
        return;
    }
    switch (dr_element_size(to->dtype)) {
    case 1: move<uint8_t>(a, v); break;
    case 2: move<uint16_t>(a, v); break;
    case 4: move<uint32_t>(a, v); break;
    default: move<uint64_t>(a, v); break;
    }
}

static void cast_any(const dr_kargs *a) { move_or_convert(a, &a->out[0], &a->in[0]); }  /* x -> y of another dtype */
static void copy_any(const dr_kargs *a) { move_or_convert(a, &a->out[0], &a->in[0]); }  /* x -> y of another layout */
static void assign_any(const dr_kargs *a) { move_or_convert(a, &a->in[0], &a->in[1]); } /* to, from: to = from */

static void fill_any(const dr_kargs *a) /* x, in place */
{
    switch (dr_element_size(a->in[0].dtype)) {
    case 1: fill<uint8_t>(a); break;
    case 2: fill<uint16_t>(a); break;
    case 4: fill<uint32_t>(a); break;
    default: fill<uint64_t>(a); break;
    }
}

DR_KERNEL(cast, DR_ANY_DTYPE, cast_any)
DR_KERNEL(copy, DR_ANY_DTYPE, copy_any)
DR_KERNEL(fill, DR_ANY_DTYPE, fill_any)
DR_KERNEL(assign, DR_ANY_DTYPE, assign_any)
