/* argmax.c: the index of the largest element along one axis, the first where several are equal. NaN is largest. */
#include "cpu_backend.h"
#include <stdbool.h>

/* A row: its largest value, then where that first is. */
static int32_t argmax_of_row(const float *x, int64_t n)
{
    float largest = x[0];
    int nan = 0;
#pragma omp simd reduction(max : largest) reduction(| : nan)
    for (int64_t i = 0; i < n; i++) {
        largest = x[i] > largest ? x[i] : largest;
        nan |= x[i] != x[i];
    }
    for (int64_t i = 0; i < n; i++)
        if (nan ? x[i] != x[i] : x[i] == largest) return (int32_t)i;
    return 0;
}

enum { TILE = 128 };

/* `columns` (at most TILE) neighbouring lines of n elements, `stride` apart */
static void argmax_of_columns(const float *x, int64_t n, int64_t stride, int64_t columns, int32_t *at)
{
    float largest[TILE];
    for (int64_t c = 0; c < columns; c++) {
        largest[c] = x[c];
        at[c] = 0;
    }
    for (int64_t k = 1; k < n; k++) {
        const float *row = x + k * stride;
        for (int64_t c = 0; c < columns; c++) {
            const bool first_nan = (row[c] != row[c]) & (largest[c] == largest[c]),
                       take = (row[c] > largest[c]) | first_nan;
            largest[c] = take ? row[c] : largest[c];
            at[c] = take ? (int32_t)k : at[c];
        }
    }
}

static void argmax_f32(const dr_kargs *a) /* x -> index i32, without the axis */
{
    const dr_view *x = &a->in[0];
    const int64_t dim = ((const dr_argmax_attr *)a->attr)->dim;
    const int axis = (int)(dim < 0 ? dim + x->rank : dim);
    const int64_t outer = dr_count(x, 0, axis), n = x->shape[axis], inner = dr_count(x, axis + 1, x->rank);
    const float *from = dr_in(a, 0);
    int32_t *to = dr_out(a, 0);
    if (inner == 1) {
#pragma omp parallel for schedule(static) if (outer * n > DR_CPU_PARALLEL)
        for (int64_t o = 0; o < outer; o++) to[o] = argmax_of_row(from + o * n, n);
        return;
    }
    const int64_t tiles = (inner + TILE - 1) / TILE;
#pragma omp parallel for collapse(2) schedule(static) if (outer * n * inner > DR_CPU_PARALLEL)
    for (int64_t o = 0; o < outer; o++)
        for (int64_t t = 0; t < tiles; t++)
            argmax_of_columns(from + o * n * inner + t * TILE, n, inner, dr_min64(TILE, inner - t * TILE),
                              to + o * inner + t * TILE);
}

DR_KERNEL(argmax, DR_F32, argmax_f32)
