/* conv2d_winograd.c: convolutions by Winograd's forms. A block of tiles is small enough for the second cache, or, where
 * the weights are large, one panel of them is:
 *   V[p] [tiles,K]  = transformed input, for each of the points p
 *   M[p] [tiles,panel of outputs] = V[p] U[p],  U[p] [K,panel] = transformed weights
 *   y = act(M transformed back, plus bias) */
#include "conv2d_act.h"
#include "conv2d_winograd_sides.h"
#include <omp.h>
#include <string.h>

/* ---- blocks of tiles ---------------------------------------------------------------------------------------------- */

static const int64_t block_bytes = 512 << 10, past_bytes = 16 << 20; /* of V and M; of y */
static const int64_t large_weights = 8 << 20, shared_bytes = 12 << 20; /* by panels: of U, from which on; of V */
enum { TILES = 8 * ROWS }; /* by panels: whose M is made at once */

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
    z.u = w->panels * points * dr_winograd_step_u(w);
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

/* Tiles first to last, as rows of V from `at` on */
static void read_tiles(const winograd_conv *w, const sizes *z, int64_t first, int64_t last, int64_t at,
                       float *zeros, float *v)
{
    void *pixel[MOST_POINTS * MOST_POINTS];
    for (int64_t t = first; t < last; t++)
        for (int64_t phase = 0; phase < w->in.phases; phase++) {
            dr_winograd_pixels(w, &w->in, t, phase, w->points, zeros, pixel);
            dr_winograd_from_input(w->form, w->type, (const void *const *)pixel, w->in.C,
                                   v + (at + t - first) * w->pitch_k + phase * w->in.padded, z->step_v);
        }
}

/* One panel of outputs of tiles first to last, which begin at v; u: the panel's weights */
static void write_panel(const winograd_conv *w, const sizes *z, int64_t first, int64_t last, int64_t panel,
                        const float *v, const float *u, const float *bias, bool past, float *m)
{
    int64_t phase;
    void *pixel[MOST_POINTS * MOST_POINTS];
    const int64_t c = dr_winograd_panel(w, panel, &phase), points = w->points * w->points;
    for (int64_t p = 0; p < points; p++)
        dr_winograd_product(last - first, w->K, v + p * z->step_v, w->pitch_k, u + p * dr_winograd_step_u(w),
                            m + p * z->step_m);
    for (int64_t t = first; t < last; t++) {
        dr_winograd_pixels(w, &w->out, t, phase, w->tile, NULL, pixel);
        for (int64_t i = 0; i < w->tile * w->tile; i++)
            if (pixel[i]) pixel[i] = (char *)pixel[i] + c * element(w);
        tile_back(w, z, t, m + (t - first) * PANEL, bias ? bias + c : NULL, pixel, dr_min64(PANEL, w->out.C - c), past);
    }
}

static void block(const winograd_conv *w, const sizes *z, int64_t first, int64_t last, const float *u,
                  const float *bias, bool past, float *zeros, float *v)
{
    const int64_t points = w->points * w->points;
    read_tiles(w, z, first, last, 0, zeros, v);
    for (int64_t panel = 0; panel < w->panels; panel++)
        write_panel(w, z, first, last, panel, v, u + panel * points * dr_winograd_step_u(w), bias, past,
                    v + points * z->step_v);
}

/* An image that the caches would not hold until it is read again is written past them, in whole lines. */
static bool goes_past(const winograd_conv *w)
{
    const winograd_side *y = &w->out;
    const int64_t bytes = w->B * y->H * y->W * y->pitch * element(w), line = 64 / element(w);
    return bytes >= past_bytes && y->C % line == 0 && y->pitch % line == 0 && (uintptr_t)y->data % 64 == 0;
}

/* Few tiles with large weights: U would not fit any cache, and be read for each block of tiles. So all threads share V of
 * many tiles, and each transforms a panel of weights just before it uses it. */
static void convolve_by_panels(const dr_kargs *a, const winograd_conv *w, const void *weight, const float *bias)
{
    const int64_t threads = omp_get_max_threads(), points = w->points * w->points;
    const int64_t panel_floats = points * dr_winograd_step_u(w);
    const int64_t fit = shared_bytes / (points * w->pitch_k * (int64_t)sizeof(float)), most = fit < TILES ? TILES : fit;
    const int64_t blocks = (w->tiles + most - 1) / most, tiles = (w->tiles + blocks - 1) / blocks;
    const sizes z = { .tiles = tiles, .step_v = tiles * w->pitch_k + LANES, .step_m = TILES * PANEL + LANES };
    const int64_t each = panel_floats + points * z.step_m;
    float *v = dr_cpu_workspace(a, (size_t)(points * z.step_v + w->pitch_k + threads * each) * sizeof(float));
    if (!v) return;
    float *zeros = v + points * z.step_v, *own = zeros + w->pitch_k;
    const bool past = goes_past(w);
    memset(zeros, 0, (size_t)w->pitch_k * sizeof(float));
#pragma omp parallel
    for (int64_t first = 0; first < w->tiles; first += tiles) {
        const int64_t last = dr_min64(first + tiles, w->tiles);
        float *u = own + omp_get_thread_num() * each, *m = u + panel_floats;
#pragma omp for schedule(static)
        for (int64_t t = first; t < last; t++) read_tiles(w, &z, t, t + 1, t - first, zeros, v);
#pragma omp for schedule(dynamic, 1)
        for (int64_t panel = 0; panel < w->panels; panel++) {
            for (int64_t k = 0; k < w->K; k++) dr_winograd_filter(w, weight, k, panel, u);
            for (int64_t t = first; t < last; t += TILES)
                write_panel(w, &z, t, dr_min64(t + TILES, last), panel, v + (t - first) * w->pitch_k, u, bias, past, m);
        }
        if (past) dr_winograd_past_done();
    }
}

static void convolve(const dr_kargs *a, const winograd_conv *w, const void *weight, const float *bias)
{
    const int64_t threads = omp_get_max_threads();
    const sizes z = sizes_of(w, threads);
    if (z.u * (int64_t)sizeof(float) > large_weights) {
        convolve_by_panels(a, w, weight, bias);
        return;
    }
    const bool past = goes_past(w);
    const int64_t panel_floats = w->points * w->points * dr_winograd_step_u(w);
    float *u = dr_cpu_workspace(a, (size_t)(z.u + w->pitch_k + threads * z.each) * sizeof(float));
    if (!u) return;
    float *zeros = u + z.u, *own = zeros + w->pitch_k;
    memset(zeros, 0, (size_t)w->pitch_k * sizeof(float));
#pragma omp parallel
    {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < w->panels * w->K; i++)
            dr_winograd_filter(w, weight, i % w->K, i / w->K, u + i / w->K * panel_floats);
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
