/* conv2d_winograd.c: convolutions by Winograd's forms. A block of tiles is small enough for the second cache:
 *   V[p] [tiles,K]  = transformed input, for each of the points p
 *   M[p] [tiles,panel of outputs] = V[p] U[p],  U[p] [K,panel] = transformed weights
 *   y = act(M transformed back, plus bias) */
#include "conv2d_act.h"
#include "conv2d_winograd_sides.h"
#include <omp.h>
#include <string.h>

/* ---- weights: U [panels][points^2][K][PANEL] ---------------------------------------------------------------------- */

/* One input channel, LANES output channels */
static void transform_weight(const winograd_conv *w, const float *weight, int64_t k, int64_t panel, int64_t half,
                             float *u)
{
    int64_t phase, place[MOST_TAPS * MOST_TAPS];
    const int64_t first = dr_winograd_panel(w, panel, &phase) + half * LANES, channels = w->out.C - first;
    const int64_t ci = k % w->in.padded, taps = w->taps * w->taps;
    vec taken[MOST_TAPS * MOST_TAPS] = { { 0 } };
    dr_winograd_taps(w, k / w->in.padded, phase, place);
    for (int64_t i = 0; i < taps; i++) {
        float lane[LANES] = { 0 };
        for (int64_t co = 0; co < LANES && co < channels; co++)
            if (place[i] >= 0 && ci < w->in.C)
                lane[co] = weight[(first + co) * w->weight_out + ci * w->weight_in + place[i]];
        taken[i] = *(const vec_unaligned *)lane;
    }
    dr_winograd_from_weight(w->form, taken, u + (panel * w->points * w->points * w->K + k) * PANEL + half * LANES,
                            w->K * PANEL);
}

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

/* Where the tile's part of `add` lies, if any; it is fetched while the tile is transformed back. */
static const float *const *add_to(const winograd_conv *w, int64_t t, float *const *pixel, const float **add)
{
    if (!w->add) return NULL;
    const int64_t b = t / (w->tiles_h * w->tiles_w);
    const int64_t ahead = (b - b % w->add_rows) * w->out.H * w->out.W * w->out.pitch;
    for (int64_t i = 0; i < w->tile * w->tile; i++) {
        add[i] = pixel[i] ? w->add + (pixel[i] - w->out.data - ahead) : NULL;
        if (!add[i]) continue;
        __builtin_prefetch(add[i]);
        __builtin_prefetch(add[i] + LANES);
    }
    return add;
}

static void block(const winograd_conv *w, const sizes *z, int64_t first, int64_t last, const float *u,
                  const float *bias, bool past, float *zeros, float *v)
{
    const int64_t points = w->points * w->points;
    void (*to_output)(int, const float *, int64_t, const float *, float *const *, int64_t) =
        past ? dr_winograd_to_output_past : dr_winograd_to_output;
    float *m = v + points * z->step_v, *pixel[MOST_POINTS * MOST_POINTS];
    const float *add[MOST_POINTS * MOST_POINTS];
    for (int64_t t = first; t < last; t++)
        for (int64_t phase = 0; phase < w->in.phases; phase++) {
            dr_winograd_pixels(w, &w->in, t, phase, w->points, zeros, pixel);
            dr_winograd_from_input(w->form, (const float *const *)pixel, w->in.C,
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
                if (pixel[i]) pixel[i] += c;
            const float *const *more = add_to(w, t, pixel, add);
            to_output(w->form, m + (t - first) * PANEL, z->step_m, bias ? bias + c : NULL, pixel,
                      dr_min64(PANEL, w->out.C - c));
            if (more || w->act != DR_ACT_NONE)
                dr_conv2d_finish_pixels(w->act, pixel, more, w->tile * w->tile, dr_min64(PANEL, w->out.C - c));
        }
    }
}

/* An image that the caches would not hold until it is read again is written past them; not where an epilogue reads it. */
static bool goes_past(const winograd_conv *w)
{
    const winograd_side *y = &w->out;
    const int64_t bytes = w->B * y->H * y->W * y->pitch * (int64_t)sizeof(float);
    if (w->add || w->act != DR_ACT_NONE) return false;
    return bytes >= past_bytes && y->C % LANES == 0 && y->pitch % LANES == 0 && (uintptr_t)y->data % sizeof(vec) == 0;
}

static void convolve(const dr_kargs *a, const winograd_conv *w, const float *weight, const float *bias)
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
            for (int64_t half = 0; half < 2; half++) transform_weight(w, weight, i % w->K, i / w->K, half, u);
#pragma omp for schedule(static)
        for (int64_t t = 0; t < w->tiles; t += z.tiles)
            block(w, &z, t, dr_min64(t + z.tiles, w->tiles), u, bias, past, zeros, own + omp_get_thread_num() * z.each);
        if (past) dr_winograd_past_done();
    }
}

void dr_winograd_gather(const dr_kargs *a, const conv_shape *s, int form, dr_winograd_image large, const float *weight,
                        const float *bias, dr_winograd_image small)
{
    const winograd_conv w = dr_winograd_gathering(s, form, large, small);
    convolve(a, &w, weight, bias);
}

void dr_winograd_spread(const dr_kargs *a, const conv_shape *s, int form, dr_winograd_image small, const float *weight,
                        const float *bias, dr_winograd_image large)
{
    const winograd_conv w = dr_winograd_spreading(s, form, small, large);
    convolve(a, &w, weight, bias);
}
