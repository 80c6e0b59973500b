/* reduce.cu: sum, mean and amax over some axes; sum_to, which undoes broadcasting. x is dense in any order; its axes are
 * taken as they lie in memory, neighbours that go the same way merged into one: [kept, reduced, kept] for the sum of
 * channels-last images over their pixels. What is innermost decides the kernel:
 *   kept      columns: a block has TX packs of columns and TY rows at a time
 *   reduced   runs: lanes, or a block, share the elements that become one number
 * Where that makes too few blocks, the rows of each are cut into parts, whose results go to the workspace as floats; the
 * block that is done last reduces them. All cuts depend on the shape alone. x is f32 or bf16; sums are f32. */
#include "column_sum.h"
#include "last_block.h"
#include <math.h>

enum { THREADS = 256, BLOCKS_ENOUGH = 264, BLOCKS_WANTED = 512 };

struct axis {
    int64_t n, stride, out; /* out: the output's stride, 0 where reduced */
};

struct axes {
    int32_t count;
    axis at[DR_MAX_RANK]; /* outermost first */
};

struct split {
    axes kept, reduced;   /* without the innermost axis of x */
    axis inner;           /* stride 1 */
    int64_t groups, rows; /* products of kept and of reduced */
};

struct target {
    void *y;
    bool narrow; /* y is bf16 */
    float factor;
    float *part;        /* [groups, cuts, columns], where rows are cut */
    uint32_t *arrivals; /* a counter for the blocks that share a group */
};

__device__ inline void put(const target &to, int64_t i, float v)
{
    if (to.narrow) store((bf16 *)to.y, i, to.factor * v);
    else store((float *)to.y, i, to.factor * v);
}

/* Offsets into x and into the output of the i-th position over the axes, counted with the innermost fastest. */
__device__ inline int64_t seek(const axes &list, int64_t i, int64_t *out)
{
    int64_t offset = 0;
    for (int k = list.count - 1; k >= 0; k--) {
        const int64_t rest = k > 0 ? i / list.at[k].n : 0, at = i - rest * list.at[k].n;
        i = rest;
        offset += at * list.at[k].stride;
        *out += at * list.at[k].out;
    }
    return offset;
}

template <bool MAX> __device__ inline float start_of() { return MAX ? -INFINITY : 0.0f; }
template <bool MAX> __device__ inline float joined(float a, float b) /* of maxima NaN wins */
{
    if (!MAX) return a + b;
    return b > a || b != b ? b : a;
}

/* ---- columns ----------------------------------------------------------------------------------------------------- */

struct columns {
    split s;
    int64_t items, tiles;        /* groups x tiles of TX packs */
    int64_t cuts, rows_of_cut;
    int32_t tx, ty;              /* powers of two; THREADS/(tx ty) items in a block */
};

/* Rows from, from + step, ... before end. STRAIGHT: they lie `stride` apart, else where the reduced axes say. */
template <typename T, int V, bool MAX, bool STRAIGHT>
__device__ inline void add_rows(float total[V], const T *x, const axes *reduced, int64_t stride, int64_t from, int64_t end,
                                int64_t step)
{
    int64_t none = 0;
#pragma unroll 4
    for (int64_t r = from; r < end; r += step) {
        const pack<T, V> p = load_pack<T, V>(x, STRAIGHT ? r * stride : seek(*reduced, r, &none));
#pragma unroll
        for (int v = 0; v < V; v++) total[v] = joined<MAX>(total[v], to_float(p.v[v]));
    }
}

/* The totals of a block's TY rows, into those of the first. */
template <int V, bool MAX> __device__ inline void join_rows(float total[V], float shared[V][THREADS], int ty, const columns &k)
{
    const int tid = threadIdx.x;
#pragma unroll
    for (int v = 0; v < V; v++) shared[v][tid] = total[v];
    for (int half = k.ty / 2; half > 0; half /= 2) {
        __syncthreads();
        if (ty >= half) continue;
#pragma unroll
        for (int v = 0; v < V; v++) {
            total[v] = joined<MAX>(total[v], shared[v][tid + half * k.tx]);
            shared[v][tid] = total[v];
        }
    }
}

template <typename T, int V, bool MAX> __global__ void reduce_columns(columns k, const T *x, target to)
{
    __shared__ float shared[V][THREADS];
    __shared__ uint32_t flag;
    const int tid = threadIdx.x, tx = tid & (k.tx - 1), ty = tid / k.tx & (k.ty - 1), per_block = THREADS / (k.tx * k.ty);
    const int64_t part = blockIdx.x % k.cuts, item = blockIdx.x / k.cuts * per_block + tid / (k.tx * k.ty);
    const int64_t group = item / k.tiles, c = (item % k.tiles * k.tx + tx) * V, C = k.s.inner.n;
    const bool active = item < k.items && c < C;
    const int64_t from = part * k.rows_of_cut + ty, after = (part + 1) * k.rows_of_cut, end = min(after, k.s.rows);
    const axes *reduced = &k.s.reduced;
    int64_t place = c * k.s.inner.out;
    float total[V];
#pragma unroll
    for (int v = 0; v < V; v++) total[v] = start_of<MAX>();
    if (active) {
        const T *own = x + seek(k.s.kept, group, &place) + c;
        if (reduced->count <= 1) add_rows<T, V, MAX, true>(total, own, reduced, reduced->at[0].stride, from, end, k.ty);
        else add_rows<T, V, MAX, false>(total, own, reduced, 0, from, end, k.ty);
    }
    join_rows<V, MAX>(total, shared, ty, k);
    if (k.cuts > 1) {
        float *parts = to.part + group * k.cuts * C + c;
        for (int v = 0; v < V && active && ty == 0; v++) parts[part * C + v] = total[v];
        if (!last_to_arrive(to.arrivals + blockIdx.x / k.cuts, (uint32_t)k.cuts, &flag)) return;
#pragma unroll
        for (int v = 0; v < V; v++) total[v] = start_of<MAX>();
        if (active) add_rows<float, V, MAX, true>(total, parts, reduced, C, ty, k.cuts, k.ty);
        join_rows<V, MAX>(total, shared, ty, k);
    }
    if (!active || ty > 0) return;
#pragma unroll
    for (int v = 0; v < V; v++) put(to, place + v * k.s.inner.out, total[v]);
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

struct runs {
    split s;
    int64_t packs, packs_of_row; /* of a group and of a row; what a single row has beyond its packs comes last */
    int64_t cuts, packs_of_cut;
    int32_t lanes; /* for a group: a power of two up to 32, or THREADS, which cuts need */
};

/* What a group's lanes have, joined, in each of them. */
template <bool MAX> __device__ inline float joined_lanes(float v, int lanes, float *warp)
{
    const int tid = threadIdx.x;
    for (int step = (lanes < 32 ? lanes : 32) / 2; step > 0; step /= 2)
        v = joined<MAX>(v, __shfl_xor_sync(0xffffffffu, v, step));
    if (lanes < THREADS) return v;
    if (tid % 32 == 0) warp[tid / 32] = v;
    __syncthreads();
    v = warp[0];
    for (int w = 1; w < THREADS / 32; w++) v = joined<MAX>(v, warp[w]);
    __syncthreads();
    return v;
}

/* Packs from, from + step, ... before end of a group. STRAIGHT: it is a single row. */
template <typename T, int V, bool MAX, bool STRAIGHT>
__device__ inline void add_packs(float total[V], const runs &k, const T *x, int64_t from, int64_t end, int64_t step)
{
    int64_t none = 0;
#pragma unroll 4
    for (int64_t i = from; i < end; i += step) {
        const int64_t row = STRAIGHT ? 0 : i / k.packs_of_row;
        const int64_t at = STRAIGHT ? i * V : seek(k.s.reduced, row, &none) + (i - row * k.packs_of_row) * V;
        const pack<T, V> p = load_pack<T, V>(x, at);
#pragma unroll
        for (int v = 0; v < V; v++) total[v] = joined<MAX>(total[v], to_float(p.v[v]));
    }
}

template <typename T, int V, bool MAX> __global__ void reduce_runs(runs k, const T *x, target to)
{
    __shared__ float warp[THREADS / 32];
    __shared__ uint32_t flag;
    const int tid = threadIdx.x, lane = tid & (k.lanes - 1);
    const int64_t part = blockIdx.x % k.cuts, group = blockIdx.x / k.cuts * (THREADS / k.lanes) + tid / k.lanes;
    const bool active = group < k.s.groups;
    const int64_t from = part * k.packs_of_cut, end = min(from + k.packs_of_cut, k.packs);
    int64_t place = 0;
    float total[V];
#pragma unroll
    for (int v = 0; v < V; v++) total[v] = start_of<MAX>();
    if (active) {
        const T *own = x + seek(k.s.kept, group, &place);
        if (k.s.reduced.count == 0) add_packs<T, V, MAX, true>(total, k, own, from + lane, end, k.lanes);
        else add_packs<T, V, MAX, false>(total, k, own, from + lane, end, k.lanes);
        const int64_t rest = k.s.inner.n - k.packs_of_row * V;
        if (part == k.cuts - 1)
            for (int64_t i = lane; i < rest; i += k.lanes)
                total[0] = joined<MAX>(total[0], load(own, k.packs_of_row * V + i));
    }
#pragma unroll
    for (int v = 1; v < V; v++) total[0] = joined<MAX>(total[0], total[v]);
    float sum = joined_lanes<MAX>(total[0], k.lanes, warp);
    if (k.cuts > 1) {
        const float *parts = to.part + group * k.cuts;
        if (lane == 0) to.part[group * k.cuts + part] = sum;
        if (!last_to_arrive(to.arrivals + group, (uint32_t)k.cuts, &flag)) return;
        sum = start_of<MAX>();
        for (int64_t i = lane; i < k.cuts; i += k.lanes) sum = joined<MAX>(sum, parts[i]);
        sum = joined_lanes<MAX>(sum, k.lanes, warp);
    }
    if (active && lane == 0) put(to, place, sum);
}

/* ---- how x is split ---------------------------------------------------------------------------------------------- */

/* x's axes by falling stride; size 1 left out; merged where both x and the output step evenly through two of them. */
static axes merged_axes(const dr_view *x, const int64_t out[DR_MAX_RANK])
{
    axes list = {}, merged = {};
    for (int d = 0; d < x->rank; d++) {
        if (x->shape[d] == 1) continue;
        int at = list.count++;
        for (; at > 0 && list.at[at - 1].stride < x->stride[d]; at--) list.at[at] = list.at[at - 1];
        list.at[at] = axis{ x->shape[d], x->stride[d], out[d] };
    }
    for (int i = 0; i < list.count; i++) {
        const axis inner = list.at[i];
        axis *outer = merged.count > 0 ? &merged.at[merged.count - 1] : NULL;
        const bool even = outer && outer->stride == inner.stride * inner.n && outer->out == inner.out * inner.n;
        if (even) *outer = axis{ outer->n * inner.n, inner.stride, inner.out };
        else merged.at[merged.count++] = inner;
    }
    return merged;
}

static split split_of(const dr_view *x, const int64_t out[DR_MAX_RANK])
{
    const axes list = merged_axes(x, out);
    split s = {};
    s.groups = s.rows = 1;
    s.inner = list.count > 0 ? list.at[list.count - 1] : axis{ 1, 1, 0 };
    for (int i = 0; i + 1 < list.count; i++) {
        axes *side = list.at[i].out != 0 ? &s.kept : &s.reduced;
        side->at[side->count++] = list.at[i];
        *(list.at[i].out != 0 ? &s.groups : &s.rows) *= list.at[i].n;
    }
    return s;
}

static bool strides_fit(const axes *list, int V)
{
    for (int k = 0; k < list->count; k++)
        if (list->at[k].stride % V != 0) return false;
    return true;
}

/* Can rows be read in packs? A row that is alone may have a rest. */
template <typename T> static bool fits_packs(const split *s, const void *x, bool alone)
{
    const int V = widest<T>();
    if (!dr_aligned(x, 16) || !strides_fit(&s->kept, V) || !strides_fit(&s->reduced, V)) return false;
    return s->inner.n % V == 0 || alone;
}

static int32_t power_of_two(int64_t n, int32_t most) /* the smallest from n on */
{
    int32_t p = 1;
    while (p < n && p < most) p *= 2;
    return p;
}

/* Into how many parts n steps of each of `blocks` blocks are cut: until there are enough blocks, but not into fewer than 8
 * steps; and so that a thread adds 1024 numbers at most, for the rounding. */
static int64_t cuts_for(int64_t blocks, int64_t n)
{
    int64_t cuts = blocks >= BLOCKS_ENOUGH ? 1 : dr_min64(BLOCKS_WANTED / blocks, n / 8);
    if (cuts < dr_blocks_for(n, 1024)) cuts = dr_blocks_for(n, 1024);
    return cuts > 1 && blocks <= DR_ARRIVALS ? cuts : 1;
}

/* batch_invariant: neither the number of groups nor what else is reduced beside them changes the order of a sum. */
static columns columns_of(const split *s, int V, size_t element, bool invariant)
{
    columns k = {};
    const int64_t packs = s->inner.n / V;
    k.s = *s;
    k.tx = power_of_two(packs, 32);
    int64_t blocks = 0;
    for (;; k.tx /= 2) { /* 64 bytes are enough to read at a place */
        k.ty = power_of_two(s->rows, THREADS / k.tx);
        k.tiles = dr_blocks_for(packs, k.tx);
        k.items = s->groups * k.tiles;
        blocks = dr_blocks_for(k.items, THREADS / (k.tx * k.ty));
        if ((blocks >= BLOCKS_ENOUGH && !invariant) || (size_t)k.tx * (size_t)V * element <= 64 || k.tx == 1) break;
    }
    k.cuts = invariant ? 1 : cuts_for(blocks, dr_blocks_for(s->rows, k.ty));
    k.rows_of_cut = dr_blocks_for(s->rows, k.cuts);
    k.cuts = dr_blocks_for(s->rows, k.rows_of_cut);
    return k;
}

static runs runs_of(const split *s, int V, bool invariant)
{
    runs k = {};
    k.s = *s;
    k.packs_of_row = s->inner.n / V;
    k.packs = s->rows * k.packs_of_row;
    k.lanes = k.packs > 512 ? (int32_t)THREADS : power_of_two(k.packs, 32);
    const int64_t blocks = dr_blocks_for(s->groups, THREADS / k.lanes);
    k.cuts = k.lanes == THREADS && !invariant ? cuts_for(blocks, dr_blocks_for(k.packs, k.lanes)) : 1;
    k.packs_of_cut = dr_blocks_for(k.packs, k.cuts);
    if (k.cuts > 1) k.cuts = dr_blocks_for(k.packs, k.packs_of_cut);
    return k;
}

/* ---- launches ---------------------------------------------------------------------------------------------------- */

/* Room for the parts of n totals; false after dr_fail. */
static bool make_parts(const dr_kargs *a, target *to, int64_t n, int64_t cuts)
{
    if (cuts == 1) return true;
    to->part = (float *)dr_cuda_workspace(a, (size_t)(n * cuts) * sizeof(float));
    to->arrivals = dr_cuda_of(a)->arrivals;
    return to->part != NULL;
}

template <typename T, int V, bool MAX>
static void launch_columns(const dr_kargs *a, const split *s, const T *x, target to)
{
    const columns k = columns_of(s, V, sizeof(T), dr_cuda_of(a)->batch_invariant);
    const unsigned blocks = (unsigned)(dr_blocks_for(k.items, THREADS / (k.tx * k.ty)) * k.cuts);
    if (!make_parts(a, &to, s->groups * s->inner.n, k.cuts)) return;
    DR_LAUNCH(a, (reduce_columns<T, V, MAX>), blocks, THREADS, 0, k, x, to);
}

template <typename T, int V, bool MAX> static void launch_runs(const dr_kargs *a, const split *s, const T *x, target to)
{
    const runs k = runs_of(s, V, dr_cuda_of(a)->batch_invariant);
    const unsigned blocks = (unsigned)(dr_blocks_for(s->groups, THREADS / k.lanes) * k.cuts);
    if (!make_parts(a, &to, s->groups, k.cuts)) return;
    DR_LAUNCH(a, (reduce_runs<T, V, MAX>), blocks, THREADS, 0, k, x, to);
}

template <typename T, bool MAX> static void reduce_split(const dr_kargs *a, const split *s, const T *x, target to)
{
    constexpr int V = widest<T>();
    const bool whole = s->rows == 1 && s->groups == 1 && !dr_cuda_of(a)->batch_invariant;
    const bool kept = s->inner.out != 0, packs = fits_packs<T>(s, x, !kept && whole);
    if (kept && packs) launch_columns<T, V, MAX>(a, s, x, to);
    else if (kept) launch_columns<T, 1, MAX>(a, s, x, to);
    else if (packs) launch_runs<T, V, MAX>(a, s, x, to);
    else launch_runs<T, 1, MAX>(a, s, x, to);
}

extern "C" void dr_cuda_column_sum(const dr_kargs *a, const void *x, int32_t x_dtype, void *y, int32_t y_dtype, int64_t G,
                                   int64_t R, int64_t C, double factor)
{
    dr_view view = {};
    view.rank = 3;
    view.shape[0] = G, view.shape[1] = R, view.shape[2] = C;
    view.stride[0] = R * C, view.stride[1] = C, view.stride[2] = 1;
    const int64_t out[DR_MAX_RANK] = { C, 0, 1 };
    const target to = { y, y_dtype == DR_BF16, (float)factor, NULL, NULL };
    const split s = split_of(&view, out);
    if (x_dtype == DR_BF16) reduce_split<bf16, false>(a, &s, (const bf16 *)x, to);
    else reduce_split<float, false>(a, &s, (const float *)x, to);
}

/* ---- kernels ----------------------------------------------------------------------------------------------------- */

__global__ void fill_reduced(target to, int64_t n) /* what is made of no elements: 0, or 0/0 as a mean */
{
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i < n) put(to, i, 0.0f);
}

/* x -> y = factor * (reduction of x); reduced: which axes of x. y has the others, row-major. */
template <typename T, bool MAX> static void reduce(const dr_kargs *a, const bool reduced[DR_MAX_RANK], bool mean)
{
    const dr_view *x = &a->in[0];
    const int64_t n = dr_numel(x), kept = dr_numel(&a->out[0]);
    int64_t out[DR_MAX_RANK] = { 0 }, stride = 1, count = 1; /* count: elements of x for each of y */
    for (int d = x->rank - 1; d >= 0; d--) {
        out[d] = reduced[d] ? 0 : stride;
        *(reduced[d] ? &count : &stride) *= x->shape[d];
    }
    const float factor = mean ? (float)(1.0 / (double)count) : 1.0f;
    const target to = { dr_out(a, 0), a->out[0].dtype == DR_BF16, factor, NULL, NULL };
    if (kept == 0) return;
    if (n == 0) {
        DR_LAUNCH(a, fill_reduced, (unsigned)dr_blocks_for(kept, THREADS), THREADS, 0, to, kept);
        return;
    }
    const split s = split_of(x, out);
    reduce_split<T, MAX>(a, &s, (const T *)dr_in(a, 0), to);
}

template <typename T, bool MAX> static void over_dims(const dr_kargs *a, bool mean)
{
    const dr_ints *dims = &((const dr_reduce_attr *)a->attr)->dims;
    bool reduced[DR_MAX_RANK];
    for (int d = 0; d < DR_MAX_RANK; d++) reduced[d] = dims->n == 0;
    for (int64_t i = 0; i < dims->n; i++) reduced[dims->v[i] < 0 ? dims->v[i] + a->in[0].rank : dims->v[i]] = true;
    reduce<T, MAX>(a, reduced, mean);
}

template <typename T> static void sum(const dr_kargs *a) { over_dims<T, false>(a, false); }
template <typename T> static void mean(const dr_kargs *a) { over_dims<T, false>(a, true); } /* of nothing: NaN */
template <typename T> static void amax(const dr_kargs *a) { over_dims<T, true>(a, false); }

template <typename T> static void sum_to(const dr_kargs *a) /* x -> y, whose shape broadcasts to x's */
{
    const dr_view *x = &a->in[0], *y = &a->out[0];
    bool reduced[DR_MAX_RANK] = { false };
    for (int d = 0; d < x->rank; d++) {
        const int own = d - (x->rank - y->rank); /* the same axis in y */
        reduced[d] = own < 0 || y->shape[own] != x->shape[d];
    }
    reduce<T, false>(a, reduced, false);
}

DR_KERNEL(sum, DR_F32, sum<float>)
DR_KERNEL(sum, DR_BF16, sum<bf16>)
DR_KERNEL(mean, DR_F32, mean<float>)
DR_KERNEL(mean, DR_BF16, mean<bf16>)
DR_KERNEL(amax, DR_F32, amax<float>)
DR_KERNEL(amax, DR_BF16, amax<bf16>)
DR_KERNEL(sum_to, DR_F32, sum_to<float>)
DR_KERNEL(sum_to, DR_BF16, sum_to<bf16>)
