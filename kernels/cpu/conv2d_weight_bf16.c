/* conv2d_weight_bf16.c: the weight gradient of conv2d_weight.c with bf16 images and f32 sums. AVX512-BF16 multiplies pairs
 * of numbers, sum += a0 b0 + a1 b1; here the two of a pair are neighbouring output pixels (ox, ox + 1) of one channel. So
 * a few images at a time are first laid out in pairs:
 *   dy: [row][j][Co][2] = dy[2j], dy[2j + 1]
 *   x:  [variant v][row][j][Ci][2] = x[2js - p + v], x[2js + s - p + v], zero outside the image
 * The kernel's column kx meets dy's pair j in variant kx mod 2s at j + kx div 2s, so that min(k, 2s) variants are enough. A
 * tile of up to 13 x 32 (co x ci) sums stays in 26 registers while the pairs pass by. On processors with AMX oneDNN is
 * faster. */
#include "conv2d_weight_bf16.h"
#include "bf16.h"

#if defined(__AVX512BF16__) && !defined(__AMX_BF16__)
#include <immintrin.h>
#include <omp.h>

enum { TILE_CO = 13, TILE_CI = 32 };
static const int64_t images_bytes = 600 << 10; /* of what is laid out in pairs, which should stay in the second cache */

typedef struct layout { /* of one image in pairs; sizes in pairs of numbers, of four bytes each */
    int64_t pairs;      /* of output pixels in a row, the last one filled up with a zero */
    int64_t variants, reach;      /* of x; pairs of a row of one variant */
    int64_t x_row, variant, x, dy; /* one row of a variant, one variant, all of x, all of dy */
} layout;

static layout layout_of(const conv_shape *s)
{
    layout l = { .pairs = (s->Wo + 1) / 2, .variants = dr_min64(s->k, 2 * s->stride) };
    l.reach = l.pairs + (s->k - 1) / (2 * s->stride);
    l.x_row = l.reach * s->Ci;
    l.variant = s->H * l.x_row;
    l.x = l.variants * l.variant;
    l.dy = s->Ho * l.pairs * s->Co;
    return l;
}

static int64_t images_at_once(const layout *l)
{
    const int64_t fit = images_bytes / ((l->x + l->dy) * 4);
    return fit < 1 ? 1 : fit;
}

bool dr_conv2d_weight_bf16_suits(const conv_shape *s)
{
    return s->Ci % TILE_CI == 0 && s->Co >= 8 && dr_conv2d_weight_blocks(s) >= DR_CONV_FEWEST_BLOCKS &&
           s->Wo >= 4; /* of shorter rows too much is filled up */
}

/* to[c] = first[c], second[c]; NULL: outside the image */
static inline void pair_up(const uint16_t *restrict first, const uint16_t *restrict second, uint32_t *restrict to,
                           int64_t channels)
{
    if (first && second) {
        for (int64_t c = 0; c < channels; c++) to[c] = first[c] | (uint32_t)second[c] << 16;
    } else if (first) {
        for (int64_t c = 0; c < channels; c++) to[c] = first[c];
    } else if (second) {
        for (int64_t c = 0; c < channels; c++) to[c] = (uint32_t)second[c] << 16;
    } else {
        for (int64_t c = 0; c < channels; c++) to[c] = 0;
    }
}

static const uint16_t *pixel(const uint16_t *row, int64_t at, int64_t width, int64_t channels)
{
    return at >= 0 && at < width ? row + at * channels : NULL;
}

static void lay_x(const conv_shape *s, const layout *l, const uint16_t *x, uint32_t *to)
{
    for (int64_t v = 0; v < l->variants; v++)
        for (int64_t iy = 0; iy < s->H; iy++) {
            const uint16_t *row = x + iy * s->W * s->Ci;
            for (int64_t j = 0; j < l->reach; j++, to += s->Ci) {
                const int64_t first = 2 * j * s->stride - s->padding + v;
                pair_up(pixel(row, first, s->W, s->Ci), pixel(row, first + s->stride, s->W, s->Ci), to, s->Ci);
            }
        }
}

static void lay_dy(const conv_shape *s, const layout *l, const uint16_t *dy, uint32_t *to)
{
    for (int64_t oy = 0; oy < s->Ho; oy++) {
        const uint16_t *row = dy + oy * s->Wo * s->Co;
        for (int64_t j = 0; j < l->pairs; j++, to += s->Co)
            pair_up(row + 2 * j * s->Co, pixel(row, 2 * j + 1, s->Wo, s->Co), to, s->Co);
    }
}

typedef struct tile_place {
    const uint32_t *x, *dy; /* of the first image, at the tile's first channels; x at the kernel's column */
    float *sums;            /* [co][Ci] of the tile */
    int64_t images, ky;
} tile_place;

/* n output channels times 32 input channels; n is a constant where this is called */
static inline __attribute__((always_inline)) void tile(const conv_shape *s, const layout *l, const tile_place *t,
                                                       const int n)
{
    __m512 sum[TILE_CO][2];
    int64_t top, bottom;
    dr_conv_inside(s, t->ky, s->H, s->Ho, &top, &bottom);
#pragma GCC unroll 13
    for (int i = 0; i < n; i++) {
        sum[i][0] = _mm512_loadu_ps(t->sums + i * s->Ci);
        sum[i][1] = _mm512_loadu_ps(t->sums + i * s->Ci + 16);
    }
    for (int64_t b = 0; b < t->images; b++)
        for (int64_t oy = top; oy < bottom; oy++) {
            const uint32_t *x = t->x + b * l->x + (oy * s->stride - s->padding + t->ky) * l->x_row;
            const uint32_t *dy = t->dy + b * l->dy + oy * l->pairs * s->Co;
            for (int64_t j = 0; j < l->pairs; j++) {
                const __m512bh x0 = (__m512bh)_mm512_loadu_si512(x), x1 = (__m512bh)_mm512_loadu_si512(x + 16);
#pragma GCC unroll 13
                for (int i = 0; i < n; i++) {
                    const __m512bh pair = (__m512bh)_mm512_set1_epi32((int)dy[i]);
                    sum[i][0] = _mm512_dpbf16_ps(sum[i][0], x0, pair);
                    sum[i][1] = _mm512_dpbf16_ps(sum[i][1], x1, pair);
                }
                x += s->Ci;
                dy += s->Co;
            }
        }
#pragma GCC unroll 13
    for (int i = 0; i < n; i++) {
        _mm512_storeu_ps(t->sums + i * s->Ci, sum[i][0]);
        _mm512_storeu_ps(t->sums + i * s->Ci + 16, sum[i][1]);
    }
}

static void tile_of(const conv_shape *s, const layout *l, const tile_place *t, int64_t n)
{
    switch (n) {
    case 13: tile(s, l, t, 13); break;
    case 12: tile(s, l, t, 12); break;
    case 11: tile(s, l, t, 11); break;
    case 10: tile(s, l, t, 10); break;
    case 9: tile(s, l, t, 9); break;
    case 8: tile(s, l, t, 8); break;
    case 7: tile(s, l, t, 7); break;
    case 6: tile(s, l, t, 6); break;
    case 5: tile(s, l, t, 5); break;
    default: tile(s, l, t, 4); break; /* Co >= 8 in tiles of up to 13: never fewer than 4 */
    }
}

/* images [first, last) -> sums [k,k,Co,Ci], then db [Co]; pairs: room for images_at_once */
static void block(const conv_shape *s, const layout *l, const uint16_t *x, const uint16_t *dy, int64_t first, int64_t last,
                  float *sums, uint32_t *pairs)
{
    const int64_t x_size = s->H * s->W * s->Ci, dy_size = s->Ho * s->Wo * s->Co, at_once = images_at_once(l);
    const int64_t weights = s->k * s->k * s->Co * s->Ci, tiles = (s->Co + TILE_CO - 1) / TILE_CO;
    uint32_t *const x_pairs = pairs, *const dy_pairs = pairs + at_once * l->x;
    float *db = sums + weights;
    memset(sums, 0, (size_t)(weights + s->Co) * sizeof(float));
    for (int64_t b = first; b < last; b += at_once) {
        const int64_t images = dr_min64(at_once, last - b);
        for (int64_t i = 0; i < images; i++) {
            lay_x(s, l, x + (b + i) * x_size, x_pairs + i * l->x);
            lay_dy(s, l, dy + (b + i) * dy_size, dy_pairs + i * l->dy);
        }
        for (int64_t ci = 0; ci < s->Ci; ci += TILE_CI)
            for (int64_t k = 0; k < s->k * s->k; k++)
                for (int64_t i = 0; i < tiles; i++) {
                    const int64_t co = i * s->Co / tiles, kx = k % s->k; /* tiles of nearly equal size */
                    const int64_t v = kx % (2 * s->stride), shift = kx / (2 * s->stride);
                    const tile_place t = { x_pairs + v * l->variant + shift * s->Ci + ci, dy_pairs + co,
                                           sums + (k * s->Co + co) * s->Ci + ci, images, k / s->k };
                    tile_of(s, l, &t, (i + 1) * s->Co / tiles - co);
                }
        for (int64_t p = 0; s->bias && p < images * s->Ho * s->Wo; p++)
            for (int64_t co = 0; co < s->Co; co++) db[co] += dr_bf16_value(dy[b * dy_size + p * s->Co + co]);
    }
}

void dr_conv2d_weight_bf16(const dr_kargs *a, const conv_shape *s, const uint16_t *x, const uint16_t *dy, float *dw,
                           float *db)
{
    const layout l = layout_of(s);
    const int64_t blocks = dr_conv2d_weight_blocks(s), each = s->k * s->k * s->Co * s->Ci + s->Co;
    const int64_t pairs = images_at_once(&l) * (l.x + l.dy), room = (pairs + 15) / 16 * 16;
    float *sums = dr_cpu_workspace(a, (size_t)(blocks * each + omp_get_max_threads() * room + 16) * sizeof(float));
    if (!sums) return;
    uint32_t *laid = (uint32_t *)sums + (blocks * each + 15) / 16 * 16;
#pragma omp parallel
    {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < blocks; i++)
            block(s, &l, x, dy, i * s->B / blocks, (i + 1) * s->B / blocks, sums + i * each,
                  laid + omp_get_thread_num() * room);
#pragma omp for schedule(static)
        for (int64_t co = 0; co < s->Co; co++) dr_conv2d_weight_gather(s, sums, blocks, co, dw, db);
    }
}

#else
bool dr_conv2d_weight_bf16_suits(const conv_shape *s)
{
    (void)s;
    return false;
}

void dr_conv2d_weight_bf16(const dr_kargs *a, const conv_shape *s, const uint16_t *x, const uint16_t *dy, float *dw,
                           float *db)
{
    (void)s, (void)x, (void)dy, (void)dw, (void)db;
    dr_fail(DR_EINTERNAL, "%s: compiled without AVX512-BF16", a->op);
}
#endif
