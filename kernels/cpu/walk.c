/* walk.c: the order of the axes, the joining of axes, and sharing the runs out to threads. */
#include "walk.h"

enum { PIECE = 8192 }; /* elements that a thread takes at a time */

dr_walk dr_walk_of(const dr_view *const *v, int tensors)
{
    dr_walk w = { .tensors = tensors };
    int axis[DR_MAX_RANK], n = 0;
    for (int d = 0; d < v[0]->rank; d++) { /* axes of more than one element, by falling stride of v[0] */
        if (v[0]->shape[d] == 1) continue;
        int at = n++;
        while (at > 0 && v[0]->stride[axis[at - 1]] < v[0]->stride[d]) {
            axis[at] = axis[at - 1];
            at--;
        }
        axis[at] = d;
    }
    for (int k = 0; k < n; k++) {
        int64_t stride[DR_WALK_TENSORS];
        bool joins = w.rank > 0; /* the axis before is this one's continuation in every tensor */
        for (int i = 0; i < tensors; i++) {
            const int own = axis[k] - (v[0]->rank - v[i]->rank);
            stride[i] = own < 0 || v[i]->shape[own] == 1 ? 0 : v[i]->stride[own];
            joins = joins && w.stride[i][w.rank - 1] == stride[i] * v[0]->shape[axis[k]];
        }
        if (!joins) w.rank++;
        w.shape[w.rank - 1] = joins ? w.shape[w.rank - 1] * v[0]->shape[axis[k]] : v[0]->shape[axis[k]];
        for (int i = 0; i < tensors; i++) w.stride[i][w.rank - 1] = stride[i];
    }
    return w;
}

/* runs [first, last), counted over all axes but the last */
static void walk_range(const dr_walk *w, dr_run run, const void *ctx, int64_t first, int64_t last)
{
    const int outer = w->rank - 1;
    int64_t index[DR_MAX_RANK] = { 0 }, offset[DR_WALK_TENSORS] = { 0 }, step[DR_WALK_TENSORS];
    for (int i = 0; i < w->tensors; i++) step[i] = w->stride[i][outer];
    int64_t rest = first;
    for (int d = outer - 1; d >= 0; d--) {
        index[d] = rest % w->shape[d];
        rest /= w->shape[d];
        for (int i = 0; i < w->tensors; i++) offset[i] += index[d] * w->stride[i][d];
    }
    for (int64_t r = first; r < last; r++) {
        run(ctx, w->shape[outer], offset, step);
        for (int d = outer - 1; d >= 0; d--) {
            for (int i = 0; i < w->tensors; i++) offset[i] += w->stride[i][d];
            if (++index[d] < w->shape[d]) break;
            for (int i = 0; i < w->tensors; i++) offset[i] -= w->shape[d] * w->stride[i][d];
            index[d] = 0;
        }
    }
}

void dr_walk_run(const dr_walk *w, dr_run run, const void *ctx)
{
    const int64_t zero[DR_WALK_TENSORS] = { 0 };
    if (w->rank == 0) {
        run(ctx, 1, zero, zero);
        return;
    }
    int64_t runs = 1;
    for (int d = 0; d < w->rank - 1; d++) runs *= w->shape[d];
    const int64_t n = w->shape[w->rank - 1];
    if (runs == 0 || n == 0) return;
    if (runs < 8) { /* few long ones: cut each */
        const int64_t cuts = (n + PIECE - 1) / PIECE;
#pragma omp parallel for schedule(static) if (runs * n > DR_CPU_PARALLEL)
        for (int64_t item = 0; item < runs * cuts; item++) {
            const int64_t start = item % cuts * PIECE, count = dr_min64(PIECE, n - start);
            int64_t offset[DR_WALK_TENSORS], step[DR_WALK_TENSORS], rest = item / cuts;
            for (int i = 0; i < w->tensors; i++) {
                step[i] = w->stride[i][w->rank - 1];
                offset[i] = start * step[i];
            }
            for (int d = w->rank - 2; d >= 0; d--) {
                for (int i = 0; i < w->tensors; i++) offset[i] += rest % w->shape[d] * w->stride[i][d];
                rest /= w->shape[d];
            }
            run(ctx, count, offset, step);
        }
        return;
    }
    const int64_t each = n >= PIECE ? 1 : PIECE / n, tasks = (runs + each - 1) / each;
#pragma omp parallel for schedule(static) if (runs * n > DR_CPU_PARALLEL)
    for (int64_t task = 0; task < tasks; task++)
        walk_range(w, run, ctx, task * each, dr_min64(runs, (task + 1) * each));
}

void dr_pieces(int64_t count, dr_piece piece, const void *ctx)
{
    const int64_t pieces = (count + PIECE - 1) / PIECE;
#pragma omp parallel for schedule(static) if (count > DR_CPU_PARALLEL)
    for (int64_t k = 0; k < pieces; k++) piece(ctx, k * PIECE, dr_min64(PIECE, count - k * PIECE));
}
