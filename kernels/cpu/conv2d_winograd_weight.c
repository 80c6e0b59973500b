/* conv2d_winograd_weight.c: the weight gradient by Winograd's forms:
 *   dw = G^T [ sum over tiles of (B^T x B) (A dy A^T) ] G
 * For each of the points the sum over tiles is a product of matrices [K,tiles] [tiles,outputs]. The tiles are cut into
 * parts by shape alone; each part is summed on its own, and the parts are added in order. */
#include "conv2d_winograd_sides.h"
#include <omp.h>
#include <string.h>

enum { MOST_PARTS = 16, FEWEST_TILES = 128, FEWEST_AT_ONCE = 48 }; /* parts; tiles of one */
static const int64_t most_bytes = (int64_t)32 << 20;               /* of all parts' sums */
static const int64_t block_bytes = 512 << 10; /* of the transformed tiles that are multiplied at once */

typedef struct sizes { /* in floats */
    int64_t parts, tiles, step_v, step_y, outputs, sum, part, each;
} sizes;

static sizes sizes_of(const winograd_conv *w)
{
    const int64_t points = w->points * w->points;
    sizes z = { .parts = 1, .outputs = w->panels * PANEL };
    z.sum = points * w->K * z.outputs;
    z.part = (w->taps * w->taps * w->K + 1) * z.outputs;
    const int64_t room = most_bytes / (z.part * (int64_t)sizeof(float));
    while (z.parts < MOST_PARTS && 2 * z.parts * FEWEST_TILES <= w->tiles && 2 * z.parts <= room) z.parts *= 2;
    const int64_t fit = block_bytes / (points * (w->pitch_k + z.outputs) * (int64_t)sizeof(float));
    z.tiles = fit < FEWEST_AT_ONCE ? FEWEST_AT_ONCE : fit;
    z.step_v = z.tiles * w->pitch_k + LANES;
    z.step_y = z.tiles * z.outputs + LANES;
    z.each = z.sum + points * (z.step_v + z.step_y) + z.outputs;
    return z;
}

/* Tiles [first, last), at most z->tiles: transformed, then added to the sums [points^2][panels][K][PANEL]. */
static void block(const winograd_conv *w, const sizes *z, int64_t first, int64_t last, float *zeros, float *sum,
                  float *bias)
{
    const int64_t points = w->points * w->points;
    float *v = sum + z->sum, *y = v + points * z->step_v;
    void *pixel[MOST_POINTS * MOST_POINTS];
    for (int64_t t = first; t < last; t++) {
        for (int64_t phase = 0; phase < w->in.phases; phase++) {
            dr_winograd_pixels(w, &w->in, t, phase, w->points, zeros, pixel);
            dr_winograd_from_input(w->form, w->type, (const void *const *)pixel, w->in.C,
                                   v + (t - first) * w->pitch_k + phase * w->in.padded, z->step_v);
        }
        for (int64_t phase = 0; phase < w->out.phases; phase++) {
            dr_winograd_pixels(w, &w->out, t, phase, w->tile, zeros, pixel);
            dr_winograd_from_output(w->form, w->type, (const void *const *)pixel, w->out.C,
                                    y + (t - first) * z->outputs + phase * w->out.padded, z->step_y,
                                    bias + phase * w->out.padded);
        }
    }
    for (int64_t p = 0; p < points; p++)
        for (int64_t panel = 0; panel < w->panels; panel++)
            dr_winograd_add_product(w->K, last - first, v + p * z->step_v, w->pitch_k,
                                    y + p * z->step_y + panel * PANEL, z->outputs,
                                    sum + (p * w->panels + panel) * w->K * PANEL);
}

/* One part: its sums transformed back to [panels][K][taps^2][PANEL], then the bias' */
static void sum_part(const winograd_conv *w, const sizes *z, int64_t part, float *zeros, float *own, float *to)
{
    const int64_t first = part * w->tiles / z->parts, last = (part + 1) * w->tiles / z->parts;
    const int64_t taps = w->taps * w->taps, step = w->panels * w->K * PANEL;
    float *bias = to + taps * w->K * z->outputs;
    memset(own, 0, (size_t)z->sum * sizeof(float));
    memset(bias, 0, (size_t)z->outputs * sizeof(float));
    for (int64_t t = first; t < last; t += z->tiles) block(w, z, t, dr_min64(t + z->tiles, last), zeros, own, bias);
    for (int64_t i = 0; i < w->panels * w->K; i++)
        for (int64_t half = 0; half < PANEL; half += LANES)
            dr_winograd_to_weight(w->form, own + i * PANEL + half, step, to + i * taps * PANEL + half);
}

/* One input channel and panel: the parts added and put where the weight has them. */
static void gather(const winograd_conv *w, const sizes *z, const float *sums, int64_t panel, int64_t k, float *dw)
{
    int64_t phase, place[MOST_TAPS * MOST_TAPS];
    const int64_t first = dr_winograd_panel(w, panel, &phase), ci = k % w->in.padded, taps = w->taps * w->taps;
    dr_winograd_taps(w, k / w->in.padded, phase, place);
    for (int64_t i = 0; i < taps && ci < w->in.C; i++) {
        double total[PANEL] = { 0 };
        const float *from = sums + ((panel * w->K + k) * taps + i) * PANEL;
        if (place[i] < 0) continue;
        for (int64_t part = 0; part < z->parts; part++)
            for (int64_t co = 0; co < PANEL; co++) total[co] += (double)from[part * z->part + co];
        for (int64_t co = 0; co < PANEL && first + co < w->out.C; co++)
            dw[(first + co) * w->weight_out + ci * w->weight_in + place[i]] = (float)total[co];
    }
}

static void gather_bias(const winograd_conv *w, const sizes *z, const float *sums, float *db)
{
    for (int64_t co = 0; co < w->out.C; co++) {
        double total = 0;
        for (int64_t part = 0; part < z->parts; part++)
            for (int64_t phase = 0; phase < w->out.phases; phase++)
                total += (double)sums[(part + 1) * z->part - z->outputs + phase * w->out.padded + co];
        db[co] = (float)total;
    }
}

void dr_winograd_weight(const dr_kargs *a, const conv_shape *s, int form, dr_winograd_image large,
                        dr_winograd_image small, float *dw, float *db)
{
    const winograd_conv w = dr_winograd_gathering(s, form, large, small);
    const sizes z = sizes_of(&w);
    const int64_t threads = omp_get_max_threads(), widest = w.pitch_k > z.outputs ? w.pitch_k : z.outputs;
    float *sums = dr_cpu_workspace(a, (size_t)(z.parts * z.part + widest + threads * z.each) * sizeof(float));
    if (!sums) return;
    float *zeros = sums + z.parts * z.part, *own = zeros + widest;
    memset(zeros, 0, (size_t)widest * sizeof(float));
#pragma omp parallel
    {
        float *mine = own + omp_get_thread_num() * z.each;
        memset(mine, 0, (size_t)z.each * sizeof(float)); /* outputs that fill up a panel stay 0 */
#pragma omp for schedule(dynamic, 1)
        for (int64_t part = 0; part < z.parts; part++) sum_part(&w, &z, part, zeros, mine, sums + part * z.part);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < w.panels * w.K; i++) gather(&w, &z, sums, i / w.K, i % w.K, dw);
    }
    if (s->bias) gather_bias(&w, &z, sums, db);
}
