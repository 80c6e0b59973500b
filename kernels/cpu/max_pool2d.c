/* max_pool2d.c: y = the maximum of each k x k window, windows `stride` apart, no padding. The gradient goes to the
 * first maximum of the window in row-major order. NaN is largest. Images lie channels-last, so a window is searched for
 * a tile of channels at once. */
#include "cpu_backend.h"
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
static void window(const pool *p, const float *x, float *restrict y, int64_t channels)
{
    for (int64_t c = 0; c < channels; c++) y[c] = x[c];
    for (int64_t ky = 0; ky < p->k; ky++)
        for (int64_t kx = 0; kx < p->k; kx++) {
            const float *pixel = x + (ky * p->W + kx) * p->C;
            for (int64_t c = 0; c < channels; c++) y[c] = (pixel[c] > y[c]) | (pixel[c] != pixel[c]) ? pixel[c] : y[c];
        }
}

static void max_pool2d_f32(const dr_kargs *a) /* x [B,C,H,W] -> y [B,C,Ho,Wo] */
{
    const dr_max_pool2d_attr *attr = a->attr;
    const pool p = pool_of(&a->in[0], &a->out[0], attr->kernel, attr->stride);
    const float *x = dr_in(a, 0);
    float *y = dr_out(a, 0);
#pragma omp parallel for schedule(static) if (dr_numel(&a->in[0]) > DR_CPU_PARALLEL)
    for (int64_t row = 0; row < p.B * p.Ho; row++)
        for (int64_t ox = 0; ox < p.Wo; ox++)
            for (int64_t c = 0; c < p.C; c += TILE) {
                const int64_t b = row / p.Ho, oy = row % p.Ho;
                const float *first = x + ((b * p.H + oy * p.stride) * p.W + ox * p.stride) * p.C + c;
                window(&p, first, y + (row * p.Wo + ox) * p.C + c, dr_min64(TILE, p.C - c));
            }
}

/* Adds dy to dx at the window's first maximum. */
static void window_backward(const pool *p, const float *x, const float *dy, float *restrict dx, int64_t channels)
{
    float largest[TILE];
    int32_t at[TILE]; /* which pixel of the window */
    for (int64_t c = 0; c < channels; c++) {
        largest[c] = x[c];
        at[c] = 0;
    }
    for (int32_t i = 1; i < p->k * p->k; i++) {
        const float *pixel = x + (i / p->k * p->W + i % p->k) * p->C;
        for (int64_t c = 0; c < channels; c++) {
            const bool first_nan = (pixel[c] != pixel[c]) & (largest[c] == largest[c]),
                       take = (pixel[c] > largest[c]) | first_nan;
            largest[c] = take ? pixel[c] : largest[c];
            at[c] = take ? i : at[c];
        }
    }
    for (int32_t i = 0; i < p->k * p->k; i++) {
        float *pixel = dx + (i / p->k * p->W + i % p->k) * p->C;
        for (int64_t c = 0; c < channels; c++) pixel[c] += at[c] == i ? dy[c] : 0.0f;
    }
}

static void row_of_windows_backward(const pool *p, const float *x, const float *dy, float *dx)
{
    for (int64_t ox = 0; ox < p->Wo; ox++)
        for (int64_t c = 0; c < p->C; c += TILE) {
            const int64_t at = ox * p->stride * p->C + c;
            window_backward(p, x + at, dy + ox * p->C + c, dx + at, dr_min64(TILE, p->C - c));
        }
}

/* x [B,C,H,W], dy [B,C,Ho,Wo] -> dx [B,C,H,W]. Windows that overlap add up in dx, so a thread has whole images; else it
 * has the rows of a row of windows, and those up to the next one. */
static void max_pool2d_backward_f32(const dr_kargs *a)
{
    const dr_max_pool2d_backward_attr *attr = a->attr;
    const pool p = pool_of(&a->in[0], &a->in[1], attr->kernel, attr->stride);
    const float *x = dr_in(a, 0), *dy = dr_in(a, 1);
    float *dx = dr_out(a, 0);
    if (dr_numel(&a->out[0]) == 0) return;
    const int64_t bands = p.stride >= p.k ? p.Ho : 1, each = p.Ho / bands; /* rows of windows in a band */
#pragma omp parallel for collapse(2) schedule(static) if (dr_numel(&a->in[0]) > DR_CPU_PARALLEL)
    for (int64_t b = 0; b < p.B; b++)
        for (int64_t band = 0; band < bands; band++) {
            const int64_t top = band * each * p.stride, bottom = band + 1 < bands ? top + each * p.stride : p.H;
            float *image = dx + b * p.H * p.W * p.C;
            memset(image + top * p.W * p.C, 0, (size_t)((bottom - top) * p.W * p.C) * sizeof(float));
            for (int64_t oy = band * each; oy < (band + 1) * each; oy++) {
                const int64_t corner = oy * p.stride * p.W * p.C;
                row_of_windows_backward(&p, x + b * p.H * p.W * p.C + corner, dy + (b * p.Ho + oy) * p.Wo * p.C,
                                        image + corner);
            }
        }
}

DR_KERNEL(max_pool2d, DR_F32, max_pool2d_f32)
DR_KERNEL(max_pool2d_backward, DR_F32, max_pool2d_backward_f32)
