/* avg_pool2d.c: y = the mean of each k x k window, windows `stride` apart, no padding. Images lie channels-last, so a
 * window is summed for a tile of channels at once. f32 or bf16. */
#include "bf16.h"
#include "cpu_backend.h"
#include <stdbool.h>

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
    const double share = 1.0 / (double)(p->k * p->k);
    double sum[TILE];
    for (int64_t c = 0; c < channels; c++) sum[c] = 0;
    for (int64_t ky = 0; ky < p->k; ky++)
        for (int64_t kx = 0; kx < p->k; kx++) {
            const void *pixel = dr_from(type, x, (ky * p->W + kx) * p->C);
            for (int64_t c = 0; c < channels; c++) sum[c] += (double)dr_load(type, pixel, c);
        }
    for (int64_t c = 0; c < channels; c++) dr_store(type, y, c, (float)(share * sum[c]));
}

VM_INLINE void row_of_windows(int type, const pool *p, const void *x, void *y) /* y [Wo,C] */
{
    for (int64_t ox = 0; ox < p->Wo; ox++)
        for (int64_t c = 0; c < p->C; c += TILE)
            window(type, p, dr_from(type, x, ox * p->stride * p->C + c), dr_into(type, y, ox * p->C + c),
                   dr_min64(TILE, p->C - c));
}

static void avg_pool2d(const dr_kargs *a) /* x [B,C,H,W] -> y [B,C,Ho,Wo] */
{
    const dr_avg_pool2d_attr *attr = a->attr;
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

/* Windows that hold position i of an axis: from *first to before *end. */
static void windows_over(const pool *p, int64_t i, int64_t count, int64_t *first, int64_t *end)
{
    *first = i < p->k ? 0 : (i - p->k) / p->stride + 1;
    *end = dr_min64(i / p->stride + 1, count);
}

/* dx at pixel (iy, ix) of image b: what the windows over it give */
VM_INLINE void pixel_backward(int type, const pool *p, const void *dy, int64_t iy, int64_t ix, void *restrict dx,
                              int64_t channels)
{
    const double share = 1.0 / (double)(p->k * p->k);
    int64_t top, bottom, left, right;
    double sum[TILE];
    windows_over(p, iy, p->Ho, &top, &bottom);
    windows_over(p, ix, p->Wo, &left, &right);
    for (int64_t c = 0; c < channels; c++) sum[c] = 0;
    for (int64_t oy = top; oy < bottom; oy++)
        for (int64_t ox = left; ox < right; ox++) {
            const void *pixel = dr_from(type, dy, (oy * p->Wo + ox) * p->C);
            for (int64_t c = 0; c < channels; c++) sum[c] += (double)dr_load(type, pixel, c);
        }
    for (int64_t c = 0; c < channels; c++) dr_store(type, dx, c, (float)(share * sum[c]));
}

VM_INLINE void row_backward(int type, const pool *p, const void *dy, int64_t iy, void *dx) /* dy [Ho,Wo,C], dx [W,C] */
{
    for (int64_t ix = 0; ix < p->W; ix++)
        for (int64_t c = 0; c < p->C; c += TILE)
            pixel_backward(type, p, dr_from(type, dy, c), iy, ix, dr_into(type, dx, ix * p->C + c),
                           dr_min64(TILE, p->C - c));
}

static void avg_pool2d_backward(const dr_kargs *a) /* dy [B,C,Ho,Wo] -> dx [B,C,H,W] */
{
    const dr_avg_pool2d_backward_attr *attr = a->attr;
    const pool p = pool_of(&a->out[0], &a->in[0], attr->kernel, attr->stride);
    const bool narrow = a->in[0].dtype == DR_BF16;
#pragma omp parallel for schedule(static) if (dr_numel(&a->out[0]) > DR_CPU_PARALLEL)
    for (int64_t row = 0; row < p.B * p.H; row++) {
        const int64_t from = row / p.H * p.Ho * p.Wo * p.C, to = row * p.W * p.C, iy = row % p.H;
        if (narrow)
            row_backward(DR_BF16, &p, dr_from(DR_BF16, dr_in(a, 0), from), iy, dr_into(DR_BF16, dr_out(a, 0), to));
        else row_backward(DR_F32, &p, dr_from(DR_F32, dr_in(a, 0), from), iy, dr_into(DR_F32, dr_out(a, 0), to));
    }
}

DR_KERNEL(avg_pool2d, DR_F32, avg_pool2d)
DR_KERNEL(avg_pool2d, DR_BF16, avg_pool2d)
DR_KERNEL(avg_pool2d_backward, DR_F32, avg_pool2d_backward)
DR_KERNEL(avg_pool2d_backward, DR_BF16, avg_pool2d_backward)
