/* max_pool2d.c: y = the maximum of each k x k window, windows `stride` apart, no padding. The gradient goes to the
 * first maximum of the window in row-major order. NaN is largest. Images lie channels-last, so a window is searched for
 * a tile of channels at once. f32 or bf16. */
#include "bf16.h"
#include "cpu_backend.h"
#include <omp.h>
#include <stdbool.h>
#include <string.h>

enum { TILE = 64 };

typedef struct pool {
    int64_t B, C, H, W, Ho, Wo, k, stride;
} pool;

static pool pool_of(const dr_view *x, const dr_view *y, int64_t kernel, int64_t stride)
{
    return (pool){ x->shape[0], x->shape[1], x->shape[2], x->shape[3],
                   y->shape[2], y->shape[3], kernel,      stride ? stride : kernel };
}

/* x: the window's first pixel, at the tile's first channel */
VM_INLINE void window(int type, const pool *p, const void *x, void *restrict y, int64_t channels)
{
    float largest[TILE];
    for (int64_t c = 0; c < channels; c++) largest[c] = dr_load(type, x, c);
    for (int64_t ky = 0; ky < p->k; ky++)
        for (int64_t kx = 0; kx < p->k; kx++) {
            const void *pixel = dr_from(type, x, (ky * p->W + kx) * p->C);
            for (int64_t c = 0; c < channels; c++) {
                const float value = dr_load(type, pixel, c);
                largest[c] = (value > largest[c]) | (value != value) ? value : largest[c];
            }
        }
    for (int64_t c = 0; c < channels; c++) dr_store(type, y, c, largest[c]);
}

VM_INLINE void row_of_windows(int type, const pool *p, const void *x, void *y) /* y [Wo,C] */
{
    for (int64_t ox = 0; ox < p->Wo; ox++)
        for (int64_t c = 0; c < p->C; c += TILE)
            window(type, p, dr_from(type, x, ox * p->stride * p->C + c), dr_into(type, y, ox * p->C + c),
                   dr_min64(TILE, p->C - c));
}

static void max_pool2d(const dr_kargs *a) /* x [B,C,H,W] -> y [B,C,Ho,Wo] */
{
    const dr_max_pool2d_attr *attr = a->attr;
    const pool p = pool_of(&a->in[0], &a->out[0], attr->kernel, attr->stride);
    const bool narrow = a->in[0].dtype == DR_BF16;
#pragma omp parallel for schedule(static) if (dr_numel(&a->in[0]) > DR_CPU_PARALLEL)
    for (int64_t row = 0; row < p.B * p.Ho; row++) {
        const int64_t from = (row / p.Ho * p.H + row % p.Ho * p.stride) * p.W * p.C, to = row * p.Wo * p.C;
        if (narrow)
            row_of_windows(DR_BF16, &p, dr_from(DR_BF16, dr_in(a, 0), from), dr_into(DR_BF16, dr_out(a, 0), to));
        else row_of_windows(DR_F32, &p, dr_from(DR_F32, dr_in(a, 0), from), dr_into(DR_F32, dr_out(a, 0), to));
    }
}

/* ---- backward: dx is added up in f32 ---------------------------------------------------------------------------- */

/* Adds dy to dx at the window's first maximum. */
VM_INLINE void window_backward(int type, const pool *p, const void *x, const void *dy, float *restrict dx,
                               int64_t channels)
{
    float largest[TILE];
    int32_t at[TILE]; /* which pixel of the window */
    for (int64_t c = 0; c < channels; c++) {
        largest[c] = dr_load(type, x, c);
        at[c] = 0;
    }
    for (int32_t i = 1; i < p->k * p->k; i++) {
        const void *pixel = dr_from(type, x, (i / p->k * p->W + i % p->k) * p->C);
        for (int64_t c = 0; c < channels; c++) {
            const float value = dr_load(type, pixel, c);
            const bool first_nan = (value != value) & (largest[c] == largest[c]),
                       take = (value > largest[c]) | first_nan;
            largest[c] = take ? value : largest[c];
            at[c] = take ? i : at[c];
        }
    }
    for (int32_t i = 0; i < p->k * p->k; i++) {
        float *pixel = dx + (i / p->k * p->W + i % p->k) * p->C;
        for (int64_t c = 0; c < channels; c++) pixel[c] += at[c] == i ? dr_load(type, dy, c) : 0.0f;
    }
}

VM_INLINE void row_of_windows_backward(int type, const pool *p, const void *x, const void *dy, float *dx)
{
    for (int64_t ox = 0; ox < p->Wo; ox++)
        for (int64_t c = 0; c < p->C; c += TILE) {
            const int64_t at = ox * p->stride * p->C + c;
            window_backward(type, p, dr_from(type, x, at), dr_from(type, dy, ox * p->C + c), dx + at,
                            dr_min64(TILE, p->C - c));
        }
}

/* `each` rows of windows, and the `rows` rows of the image from the first of them on */
VM_INLINE void band_backward(int type, const pool *p, int64_t each, int64_t rows, const void *x, const void *dy,
                             float *sum, void *dx)
{
    const int64_t line = p->W * p->C, n = rows * line;
    memset(sum, 0, (size_t)n * sizeof(float));
    for (int64_t oy = 0; oy < each; oy++)
        row_of_windows_backward(type, p, dr_from(type, x, oy * p->stride * line), dr_from(type, dy, oy * p->Wo * p->C),
                                sum + oy * p->stride * line);
    for (int64_t i = 0; type != DR_F32 && i < n; i++) dr_store(type, dx, i, sum[i]);
}

/* x [B,C,H,W], dy [B,C,Ho,Wo] -> dx [B,C,H,W]. Windows that overlap add up in dx, so a thread has whole images; else it
 * has the rows of a row of windows, and those up to the next one. */
static void max_pool2d_backward(const dr_kargs *a)
{
    const dr_max_pool2d_backward_attr *attr = a->attr;
    const pool p = pool_of(&a->in[0], &a->in[1], attr->kernel, attr->stride);
    const bool narrow = a->in[0].dtype == DR_BF16;
    if (dr_numel(&a->out[0]) == 0) return;
    const int64_t bands = p.stride >= p.k ? p.Ho : 1, each = p.Ho / bands; /* rows of windows in a band */
    const int64_t line = p.W * p.C, most = p.H;                            /* rows of an image that a band may have */
    float *sums = NULL;                                                    /* [threads, a band] */
    if (narrow) sums = dr_cpu_workspace(a, (size_t)(omp_get_max_threads() * most * line) * sizeof(float));
    if (narrow && !sums) return;
#pragma omp parallel for collapse(2) schedule(static) if (dr_numel(&a->in[0]) > DR_CPU_PARALLEL)
    for (int64_t b = 0; b < p.B; b++)
        for (int64_t band = 0; band < bands; band++) {
            const int64_t top = band * each * p.stride, rows = band + 1 < bands ? each * p.stride : p.H - top;
            const int64_t at = (b * p.H + top) * line, from = (b * p.Ho + band * each) * p.Wo * p.C;
            if (narrow)
                band_backward(DR_BF16, &p, each, rows, dr_from(DR_BF16, dr_in(a, 0), at),
                              dr_from(DR_BF16, dr_in(a, 1), from), sums + omp_get_thread_num() * most * line,
                              dr_into(DR_BF16, dr_out(a, 0), at));
            else
                band_backward(DR_F32, &p, each, rows, dr_from(DR_F32, dr_in(a, 0), at),
                              dr_from(DR_F32, dr_in(a, 1), from), (float *)dr_out(a, 0) + at, NULL);
        }
}

DR_KERNEL(max_pool2d, DR_F32, max_pool2d)
DR_KERNEL(max_pool2d, DR_BF16, max_pool2d)
DR_KERNEL(max_pool2d_backward, DR_F32, max_pool2d_backward)
DR_KERNEL(max_pool2d_backward, DR_BF16, max_pool2d_backward)
