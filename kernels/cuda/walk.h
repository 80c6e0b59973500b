/* walk.h: goes through several tensors of one (broadcast) shape together, in the order of the first one's memory. Axes
 * that lie behind one another in all of them are joined, so that most walks have one axis, and no divisions. Where the
 * innermost axis allows it an item is a pack of `lanes` elements, and one element otherwise.
 * Indices on the device are 32 bits wide: larger tensors are walked in several pieces, one launch each:
 *     walk_range r = walk_range_of(views, 2, lanes);
 *     for (walk w; walk_next(&r, &w);) DR_LAUNCH(a, kernel, walk_blocks(a, &w), WALK_THREADS, 0, w); */
#ifndef DRIFT_CUDA_WALK_H
#define DRIFT_CUDA_WALK_H

#include "divisor.h"
#include "memory_order.h"

enum { WALK_TENSORS = 4, WALK_THREADS = 128 };

struct walk {
    int32_t items, rank, lanes;
    divisor shape[DR_MAX_RANK];                /* axis 0 is the innermost, counted in items */
    int32_t stride[WALK_TENSORS][DR_MAX_RANK]; /* elements; 0 where a tensor is repeated */
    void *data[WALK_TENSORS];
};

/* ---- on the host: what is left to do ----------------------------------------------------------------------------- */

struct walk_range {
    int tensors, rank, lanes;
    int64_t shape[DR_MAX_RANK], stride[WALK_TENSORS][DR_MAX_RANK];
    int64_t part[DR_MAX_RANK], start[DR_MAX_RANK]; /* of the next piece */
    char *data[WALK_TENSORS];
    int64_t element[WALK_TENSORS]; /* bytes */
    bool done;
};

/* The axes of more than one element, by rising stride of v[0], joined where they can be. */
static inline void walk_join_axes(walk_range *r, const dr_view *const *v)
{
    int axis[DR_MAX_RANK], n = 0;
    for (int d = v[0]->rank - 1; d >= 0; d--) {
        if (v[0]->shape[d] == 1) continue;
        int at = n++;
        for (; at > 0 && v[0]->stride[axis[at - 1]] > v[0]->stride[d]; at--) axis[at] = axis[at - 1];
        axis[at] = d;
    }
    for (int k = 0; k < n; k++) {
        int64_t stride[WALK_TENSORS];
        bool joins = r->rank > 0;
        for (int t = 0; t < r->tensors; t++) {
            const int own = axis[k] - (v[0]->rank - v[t]->rank);
            stride[t] = own < 0 || v[t]->shape[own] == 1 ? 0 : v[t]->stride[own];
            joins = joins && stride[t] == r->stride[t][r->rank - 1] * r->shape[r->rank - 1];
        }
        if (joins) {
            r->shape[r->rank - 1] *= v[0]->shape[axis[k]];
            continue;
        }
        r->shape[r->rank] = v[0]->shape[axis[k]];
        for (int t = 0; t < r->tensors; t++) r->stride[t][r->rank] = stride[t];
        r->rank++;
    }
}

static inline bool walk_packs(const walk_range *r, int64_t lanes) /* can items be packs of so many? */
{
    if (r->shape[0] % lanes != 0 || r->stride[0][0] != 1) return false;
    for (int t = 0; t < r->tensors; t++) {
        const int64_t bytes = dr_min64(16, lanes * r->element[t]);
        if (r->stride[t][0] == 0) continue; /* one element for all of the pack */
        if (r->stride[t][0] != 1 || !dr_aligned(r->data[t], (size_t)bytes)) return false;
        for (int d = 1; d < r->rank; d++)
            if (r->stride[t][d] % lanes != 0) return false;
    }
    return true;
}

/* Pieces: whole inner axes as long as they fit 32-bit indices, then a part of one axis, and one index of the others. */
static inline void walk_cut(walk_range *r)
{
    const int64_t most = (int64_t)1 << 30;
    int64_t items = 1, last[WALK_TENSORS] = { 0, 0, 0, 0 };
    bool whole = true;
    for (int d = 0; d < r->rank; d++) {
        int64_t part = whole ? most / items : 1;
        for (int t = 0; t < r->tensors; t++)
            if (r->stride[t][d] > 0) part = dr_min64(part, (most - last[t]) / r->stride[t][d] + 1);
        r->part[d] = part < r->shape[d] ? part : r->shape[d];
        whole = whole && part >= r->shape[d];
        items *= r->part[d];
        for (int t = 0; t < r->tensors; t++) last[t] += (r->part[d] - 1) * r->stride[t][d];
        r->done = r->done || r->shape[d] == 0;
    }
}

/* v[0] has the whole shape; the others broadcast to it as NumPy does. */
static inline walk_range walk_range_of(const dr_view *const *v, int tensors, int lanes)
{
    walk_range r = {};
    r.tensors = tensors;
    r.lanes = 1;
    for (int t = 0; t < tensors; t++) {
        r.data[t] = (char *)v[t]->data;
        r.element[t] = dr_element_size(v[t]->dtype);
    }
    walk_join_axes(&r, v);
    if (r.rank == 0) r.shape[r.rank++] = 1;
    if (walk_packs(&r, lanes)) {
        r.lanes = lanes;
        r.shape[0] /= lanes;
        for (int t = 0; t < tensors; t++) r.stride[t][0] *= lanes;
    }
    walk_cut(&r);
    return r;
}

static inline bool walk_next(walk_range *r, walk *w) /* false: there is no further piece */
{
    if (r->done) return false;
    int64_t offset[WALK_TENSORS] = { 0, 0, 0, 0 };
    w->items = 1;
    w->rank = r->rank;
    w->lanes = r->lanes;
    for (int d = 0; d < r->rank; d++) {
        const int64_t n = dr_min64(r->part[d], r->shape[d] - r->start[d]);
        w->items *= (int32_t)n;
        w->shape[d] = divisor_of(n);
        for (int t = 0; t < r->tensors; t++) {
            w->stride[t][d] = (int32_t)r->stride[t][d]; /* of one item any will do */
            offset[t] += r->start[d] * r->stride[t][d];
        }
    }
    for (int t = 0; t < r->tensors; t++) w->data[t] = r->data[t] + offset[t] * r->element[t];
    r->done = true;
    for (int d = 0; d < r->rank && r->done; d++) { /* on to the next piece, the innermost axis first */
        r->start[d] += r->part[d];
        r->done = r->start[d] >= r->shape[d];
        if (r->done) r->start[d] = 0;
    }
    return true;
}

/* Enough blocks to fill the device twice; threads go on with further items. */
static inline unsigned dr_blocks_of_items(const dr_kargs *a, int64_t items)
{
    const int64_t most = 32 * (int64_t)dr_cuda_of(a)->multiprocessors;
    return (unsigned)dr_min64(dr_blocks_for(items, WALK_THREADS), most > 0 ? most : 1);
}
static inline unsigned walk_blocks(const dr_kargs *a, const walk *w) { return dr_blocks_of_items(a, w->items); }

/* ---- on the device ----------------------------------------------------------------------------------------------- */

/* Where item i begins in each tensor, in elements. */
template <int TENSORS> __device__ inline void walk_place(const walk &w, uint32_t i, int32_t *at)
{
    for (int t = 0; t < TENSORS; t++) at[t] = 0;
    for (int d = 0; d < DR_MAX_RANK; d++) {
        const bool outermost = d == w.rank - 1;
        const uint32_t next = outermost ? 0 : quotient(i, w.shape[d]), index = i - next * w.shape[d].by;
        for (int t = 0; t < TENSORS; t++) at[t] += (int32_t)index * w.stride[t][d];
        if (outermost) break;
        i = next;
    }
}

/* The N elements of an item that is a pack. */
template <typename T, int N> __device__ inline void walk_load(const walk &w, int t, int32_t at, float *v)
{
    const T *p = (const T *)w.data[t] + at;
    if (w.stride[t][0] == 0) {
        const float one = load(p, 0);
        for (int k = 0; k < N; k++) v[k] = one;
        return;
    }
    const pack<T, N> several = load_pack<T, N>(p, 0);
    for (int k = 0; k < N; k++) v[k] = to_float(several.v[k]);
}

template <typename T, int N> __device__ inline void walk_store(const walk &w, int32_t at, const float *v) /* tensor 0 */
{
    pack<T, N> several;
    for (int k = 0; k < N; k++) several.v[k] = from_float<T>(v[k]);
    store_pack<T, N>((T *)w.data[0] + at, 0, several);
}

#endif
