/* softmax.c: y = exp(x - max x)/sum exp(x - max x) along one axis; the maximum keeps exp from overflowing. Around the
 * axis x is [outer, n, inner]: rows where inner is 1, else tiles of columns. f32 keeps exp(..) in y until the sum is
 * known; bf16 would round it, so there it is worked out twice. */
#include "bf16.h"
#include "cpu_backend.h"
#include <stdbool.h>

enum { TILE = 128 };

typedef struct extent {
    int64_t outer, n, inner, tiles;
} extent;

static extent extent_of(const dr_view *x, int64_t dim)
{
    const int axis = (int)(dim < 0 ? dim + x->rank : dim);
    const int64_t inner = dr_count(x, axis + 1, x->rank);
    return (extent){ dr_count(x, 0, axis), x->shape[axis], inner, (inner + TILE - 1) / TILE };
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

VM_INLINE void row(int type, const void *x, void *restrict y, int64_t n)
{
    float largest = -INFINITY;
    double sum = 0;
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < n; i++) largest = dr_load(type, x, i) > largest ? dr_load(type, x, i) : largest;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        const float e = vm_exp(dr_load(type, x, i) - largest);
        if (type == DR_F32) dr_store(type, y, i, e);
        sum += (double)e;
    }
    const float scale = (float)(1.0 / sum);
    for (int64_t i = 0; i < n; i++) {
        const float e = type == DR_F32 ? dr_load(type, y, i) : vm_exp(dr_load(type, x, i) - largest);
        dr_store(type, y, i, e * scale);
    }
}

VM_INLINE void columns(int type, const void *x, void *restrict y, int64_t n, int64_t stride, int64_t width)
{
    float largest[TILE], scale[TILE];
    double sum[TILE];
    for (int64_t c = 0; c < width; c++) {
        largest[c] = -INFINITY;
        sum[c] = 0;
    }
    for (int64_t k = 0; k < n; k++)
        for (int64_t c = 0; c < width; c++) {
            const float value = dr_load(type, x, k * stride + c);
            largest[c] = value > largest[c] ? value : largest[c];
        }
    for (int64_t k = 0; k < n; k++)
        for (int64_t c = 0; c < width; c++) {
            const float e = vm_exp(dr_load(type, x, k * stride + c) - largest[c]);
            if (type == DR_F32) dr_store(type, y, k * stride + c, e);
            sum[c] += (double)e;
        }
    for (int64_t c = 0; c < width; c++) scale[c] = (float)(1.0 / sum[c]);
    for (int64_t k = 0; k < n; k++)
        for (int64_t c = 0; c < width; c++) {
            const int64_t at = k * stride + c;
            const float e = type == DR_F32 ? dr_load(type, y, at) : vm_exp(dr_load(type, x, at) - largest[c]);
            dr_store(type, y, at, e * scale[c]);
        }
}

/* Tile t of outer position o. */
VM_INLINE void tile(int type, const extent *e, int64_t o, int64_t t, const void *x, void *y)
{
    const int64_t at = o * e->n * e->inner + t * TILE;
    const void *from = dr_from(type, x, at);
    if (e->inner == 1) row(type, from, dr_into(type, y, at), e->n);
    else columns(type, from, dr_into(type, y, at), e->n, e->inner, dr_min64(TILE, e->inner - t * TILE));
}

static void softmax(const dr_kargs *a) /* x -> y */
{
    const extent e = extent_of(&a->in[0], ((const dr_softmax_attr *)a->attr)->dim);
    const bool narrow = a->in[0].dtype == DR_BF16;
#pragma omp parallel for collapse(2) schedule(static) if (e.outer * e.n * e.inner > DR_CPU_PARALLEL / 4)
    for (int64_t o = 0; o < e.outer; o++)
        for (int64_t t = 0; t < e.tiles; t++) {
            if (narrow) tile(DR_BF16, &e, o, t, dr_in(a, 0), dr_out(a, 0));
            else tile(DR_F32, &e, o, t, dr_in(a, 0), dr_out(a, 0));
        }
}

/* ---- backward: dx = y (dy - sum y dy) ---------------------------------------------------------------------------- */

VM_INLINE void row_backward(int type, const void *y, const void *dy, void *restrict dx, int64_t n)
{
    double dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t i = 0; i < n; i++) dot += (double)dr_load(type, y, i) * (double)dr_load(type, dy, i);
    const float mean = (float)dot;
    for (int64_t i = 0; i < n; i++) dr_store(type, dx, i, dr_load(type, y, i) * (dr_load(type, dy, i) - mean));
}

VM_INLINE void columns_backward(int type, const void *y, const void *dy, void *restrict dx, int64_t n, int64_t stride,
                                int64_t width)
{
    double dot[TILE];
    float mean[TILE];
    for (int64_t c = 0; c < width; c++) dot[c] = 0;
    for (int64_t k = 0; k < n; k++)
        for (int64_t c = 0; c < width; c++)
            dot[c] += (double)dr_load(type, y, k * stride + c) * (double)dr_load(type, dy, k * stride + c);
    for (int64_t c = 0; c < width; c++) mean[c] = (float)dot[c];
    for (int64_t k = 0; k < n; k++)
        for (int64_t c = 0; c < width; c++) {
            const int64_t at = k * stride + c;
            dr_store(type, dx, at, dr_load(type, y, at) * (dr_load(type, dy, at) - mean[c]));
        }
}

VM_INLINE void tile_backward(int type, const extent *e, int64_t o, int64_t t, const void *y, const void *dy, void *dx)
{
    const int64_t at = o * e->n * e->inner + t * TILE, width = dr_min64(TILE, e->inner - t * TILE);
    const void *own_y = dr_from(type, y, at), *own_dy = dr_from(type, dy, at);
    if (e->inner == 1) row_backward(type, own_y, own_dy, dr_into(type, dx, at), e->n);
    else columns_backward(type, own_y, own_dy, dr_into(type, dx, at), e->n, e->inner, width);
}

static void softmax_backward(const dr_kargs *a) /* y, dy -> dx */
{
    const extent e = extent_of(&a->in[0], ((const dr_softmax_backward_attr *)a->attr)->dim);
    const bool narrow = a->in[0].dtype == DR_BF16;
#pragma omp parallel for collapse(2) schedule(static) if (e.outer * e.n * e.inner > DR_CPU_PARALLEL)
    for (int64_t o = 0; o < e.outer; o++)
        for (int64_t t = 0; t < e.tiles; t++) {
            if (narrow) tile_backward(DR_BF16, &e, o, t, dr_in(a, 0), dr_in(a, 1), dr_out(a, 0));
            else tile_backward(DR_F32, &e, o, t, dr_in(a, 0), dr_in(a, 1), dr_out(a, 0));
        }
}

DR_KERNEL(softmax, DR_F32, softmax)
DR_KERNEL(softmax, DR_BF16, softmax)
DR_KERNEL(softmax_backward, DR_F32, softmax_backward)
DR_KERNEL(softmax_backward, DR_BF16, softmax_backward)
