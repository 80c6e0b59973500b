/* softmax.c: y = exp(x - max x)/sum exp(x - max x) along one axis; the maximum keeps exp from overflowing. Around the
 * axis x is [outer, n, inner]: rows where inner is 1, else tiles of columns. */
#include "cpu_backend.h"
#include "vector_math.h"

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

static void row(const float *x, float *restrict y, int64_t n)
{
    float largest = -INFINITY;
    double sum = 0;
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < n; i++) largest = x[i] > largest ? x[i] : largest;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        const float e = vm_exp(x[i] - largest);
        y[i] = e;
        sum += (double)e;
    }
    const float scale = (float)(1.0 / sum);
    for (int64_t i = 0; i < n; i++) y[i] *= scale;
}

static void columns(const float *x, float *restrict y, int64_t n, int64_t stride, int64_t width)
{
    float largest[TILE];
    double sum[TILE];
    for (int64_t c = 0; c < width; c++) {
        largest[c] = -INFINITY;
        sum[c] = 0;
    }
    for (int64_t k = 0; k < n; k++)
        for (int64_t c = 0; c < width; c++)
            largest[c] = x[k * stride + c] > largest[c] ? x[k * stride + c] : largest[c];
    for (int64_t k = 0; k < n; k++)
        for (int64_t c = 0; c < width; c++) {
            const float e = vm_exp(x[k * stride + c] - largest[c]);
            y[k * stride + c] = e;
            sum[c] += (double)e;
        }
    for (int64_t c = 0; c < width; c++) largest[c] = (float)(1.0 / sum[c]);
    for (int64_t k = 0; k < n; k++)
        for (int64_t c = 0; c < width; c++) y[k * stride + c] *= largest[c];
}

static void softmax_f32(const dr_kargs *a) /* x -> y */
{
    const extent e = extent_of(&a->in[0], ((const dr_softmax_attr *)a->attr)->dim);
    const float *x = dr_in(a, 0);
    float *y = dr_out(a, 0);
#pragma omp parallel for collapse(2) schedule(static) if (e.outer * e.n * e.inner > DR_CPU_PARALLEL / 4)
    for (int64_t o = 0; o < e.outer; o++)
        for (int64_t t = 0; t < e.tiles; t++) {
            const int64_t at = o * e.n * e.inner + t * TILE;
            if (e.inner == 1) row(x + at, y + at, e.n);
            else columns(x + at, y + at, e.n, e.inner, dr_min64(TILE, e.inner - t * TILE));
        }
}

/* ---- backward: dx = y (dy - sum y dy) ---------------------------------------------------------------------------- */

static void row_backward(const float *y, const float *dy, float *restrict dx, int64_t n)
{
    double dot = 0;
#pragma omp simd reduction(+ : dot)
    for (int64_t i = 0; i < n; i++) dot += (double)y[i] * (double)dy[i];
    const float mean = (float)dot;
    for (int64_t i = 0; i < n; i++) dx[i] = y[i] * (dy[i] - mean);
}

static void columns_backward(const float *y, const float *dy, float *restrict dx, int64_t n, int64_t stride,
                             int64_t width)
{
    double dot[TILE];
    float mean[TILE];
    for (int64_t c = 0; c < width; c++) dot[c] = 0;
    for (int64_t k = 0; k < n; k++)
        for (int64_t c = 0; c < width; c++) dot[c] += (double)y[k * stride + c] * (double)dy[k * stride + c];
    for (int64_t c = 0; c < width; c++) mean[c] = (float)dot[c];
    for (int64_t k = 0; k < n; k++)
        for (int64_t c = 0; c < width; c++) dx[k * stride + c] = y[k * stride + c] * (dy[k * stride + c] - mean[c]);
}

static void softmax_backward_f32(const dr_kargs *a) /* y, dy -> dx */
{
    const extent e = extent_of(&a->in[0], ((const dr_softmax_backward_attr *)a->attr)->dim);
    const float *y = dr_in(a, 0), *dy = dr_in(a, 1);
    float *dx = dr_out(a, 0);
#pragma omp parallel for collapse(2) schedule(static) if (e.outer * e.n * e.inner > DR_CPU_PARALLEL)
    for (int64_t o = 0; o < e.outer; o++)
        for (int64_t t = 0; t < e.tiles; t++) {
            const int64_t at = o * e.n * e.inner + t * TILE;
            if (e.inner == 1) row_backward(y + at, dy + at, dx + at, e.n);
            else columns_backward(y + at, dy + at, dx + at, e.n, e.inner, dr_min64(TILE, e.inner - t * TILE));
        }
}

DR_KERNEL(softmax, DR_F32, softmax_f32)
DR_KERNEL(softmax_backward, DR_F32, softmax_backward_f32)
