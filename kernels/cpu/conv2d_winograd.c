/* conv2d_winograd.c: convolutions by Winograd's forms. A block of tiles is small enough for the second cache:
 *   V[p] [tiles,K]  = transformed input, for each of the points p
 *   M[p] [tiles,panel of outputs] = V[p] U[p],  U[p] [K,panel] = transformed weights
 *   y = act(M transformed back, plus bias) */
#include "conv2d_act.h"
#include "conv2d_winograd_sides.h"
#include <omp.h>
#include <string.h>

/* ---- blocks of tiles ---------------------------------------------------------------------------------------------- */

static const int64_t block_bytes = 512 << 10, past_bytes = 16 << 20; /* of V and M; of y */

/* As many tiles as fit, in equal blocks, as many for each thread. */
static int64_t tiles_at_once(const winograd_conv *w, int64_t threads)
{
    const int64_t fit = block_bytes / (w->points * w->points * (w->pitch_k + PANEL) * (int64_t)sizeof(float));
    const int64_t most = fit < 2 * ROWS ? 2 * ROWS : fit / ROWS * ROWS;
    const int64_t blocks = (w->tiles + most * threads - 1) / (most * threads) * threads;
    return (w->tiles + blocks - 1) / blocks;
}

typedef struct sizes {                      /* in floats */
    int64_t tiles, step_v, step_m, u, each; /* at once; from point to point; all of U; V and M of a thread */
} sizes;

static sizes sizes_of(const winograd_conv *w, int64_t threads)
{
    const int64_t points = w->points * w->points, tiles = tiles_at_once(w, threads);
    sizes z = { .tiles = tiles, .step_v = tiles * w->pitch_k + LANES, .step_m = tiles * PANEL + LANES };
    z.u = w->panels * points * w->K * PANEL;
    z.each = points * (z.step_v + z.step_m);
    return z;
}

static int64_t element(const winograd_conv *w) { return w->type == DR_BF16 ? 2 : 4; } /* bytes of an image's number */

/* Where the tile's part of `add` lies, if any; it is fetched while the tile is transformed back. */
static const void *const *add_to(const winograd_conv *w, int64_t t, void *const *pixel, const void **add)
{
    if (!w->add) return NULL;
    const int64_t b = t / (w->tiles_h * w->tiles_w);
    const int64_t ahead = (b - b % w->add_rows) * w->out.H * w->out.W * w->out.pitch * element(w);
    for (int64_t i = 0; i < w->tile * w->tile; i++) {
        add[i] = pixel[i] ? (const char *)w->add + ((char *)pixel[i] - (char *)w->out.data - ahead) : NULL;
        if (!add[i]) continue;
        for (int64_t at = 0; at < PANEL * element(w); at += 64) __builtin_prefetch((const char *)add[i] + at);
    }
    return add;
}

/* One tile's products of a panel -> its pixels. In f32 and without an epilogue they go where they belong at once, else
 * by way of f32 sums that stay in the first cache. */
static void tile_back(const winograd_conv *w, const sizes *z, int64_t t, const float *m, const float *bias,
                      void *const *pixel, int64_t channels, bool past)
{
    if (w->type == DR_F32 && !w->add && w->act == DR_ACT_NONE) {
        (past ? dr_winograd_to_output_past : dr_winograd_to_output)(w->form, m, z->step_m, bias, (float *const *)pixel,
                                                                    channels);
        return;
    }
    _Alignas(64) float sums[MOST_TILE * MOST_TILE * PANEL];
    float *row[MOST_TILE * MOST_TILE];
    const void *add[MOST_TILE * MOST_TILE];
    const dr_conv2d_sums finished = { w->type, past, w->act, w->tile * w->tile, channels, PANEL, sums };
    const void *const *more = add_to(w, t, pixel, add);
    for (int64_t i = 0; i < w->tile * w->tile; i++) row[i] = sums + i * PANEL;
    dr_winograd_to_output(w->form, m, z->step_m, bias, row, channels);
    dr_conv2d_finish_pixels(&finished, more, pixel);
}

static void block(const winograd_conv *w, const sizes *z, int64_t first, int64_t last, const float *u,
                  const float *bias, bool past, float *zeros, float *v)
{
    const int64_t points = w->points * w->points;
    float *m = v + points * z->step_v;
    void *pixel[MOST_POINTS * MOST_POINTS];
    for (int64_t t = first; t < last; t++)
        for (int64_t phase = 0; phase < w->in.phases; phase++) {
            dr_winograd_pixels(w, &w->in, t, phase, w->points, zeros, pixel);
            dr_winograd_from_input(w->form, w->type, (const void *const *)pixel, w->in.C,
                                   v + (t - first) * w->pitch_k + phase * w->in.padded, z->step_v);
        }
    for (int64_t panel = 0; panel < w->panels; panel++) {
        int64_t phase;
        const int64_t c = dr_winograd_panel(w, panel, &phase);
        for (int64_t p = 0; p < points; p++)
            dr_winograd_product(last - first, w->K, v + p * z->step_v, w->pitch_k,
                                u + (panel * points + p) * w->K * PANEL, m + p * z->step_m);
        for (int64_t t = first; t < last; t++) {
            dr_winograd_pixels(w, &w->out, t, phase, w->tile, NULL, pixel);
            for (int64_t i = 0; i < w->tile * w->tile; i++)
                if (pixel[i]) pixel[i] = (char *)pixel[i] + c * element(w);
            tile_back(w, z, t, m + (t - first) * PANEL, bias ? bias + c : NULL, pixel, dr_min64(PANEL, w->out.C - c),
                      past);
        }
    }
}

/* An image that the caches would not hold until it is read again is written past them, in whole lines. */
static bool goes_past(const winograd_conv *w)
{
    const winograd_side *y = &w->out;
    const int64_t bytes = w->B * y->H * y->W * y->pitch * element(w), line = 64 / element(w);
    return bytes >= past_bytes && y->C % line == 0 && y->pitch % line == 0 && (uintptr_t)y->data % 64 == 0;
}

static void convolve(const dr_kargs *a, const winograd_conv *w, const void *weight, const float *bias)
{
    const int64_t threads = omp_get_max_threads();
    const sizes z = sizes_of(w, threads);
    const bool past = goes_past(w);
    float *u = dr_cpu_workspace(a, (size_t)(z.u + w->pitch_k + threads * z.each) * sizeof(float));
    if (!u) return;
    float *zeros = u + z.u, *own = zeros + w->pitch_k;
    memset(zeros, 0, (size_t)w->pitch_k * sizeof(float));
#pragma omp parallel
    {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < w->panels * w->K; i++)
            dr_winograd_filter(w, weight, i % w->K, i / w->K, u);
#pragma omp for schedule(static)
        for (int64_t t = 0; t < w->tiles; t += z.tiles)
            block(w, &z, t, dr_min64(t + z.tiles, w->tiles), u, bias, past, zeros, own + omp_get_thread_num() * z.each);
        if (past) dr_winograd_past_done();
    }
}

void dr_winograd_gather(const dr_kargs *a, const conv_shape *s, int form, dr_winograd_image large, const void *weight,
                        const float *bias, dr_winograd_image small)
{
    const winograd_conv w = dr_winograd_gathering(s, form, large, small);
    convolve(a, &w, weight, bias);
}

void dr_winograd_spread(const dr_kargs *a, const conv_shape *s, int form, dr_winograd_image small, const void *weight,
                        const float *bias, dr_winograd_image large)
{
    const winograd_conv w = dr_winograd_spreading(s, form, small, large);
    convolve(a, &w, weight, bias);
}
