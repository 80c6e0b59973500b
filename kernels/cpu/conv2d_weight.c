/* conv2d_weight.c: the weight gradient of a convolution,
 *   dw[co,ci,ky,kx] = sum over b,oy,ox of dy[b,co,oy,ox] x[b,ci,oy s - p + ky,ox s - p + kx],
 * as a sum of outer products over pixels. Channels-last, a pixel's channels are contiguous in both x and dy, so a tile
 * of up to 13 x 32 (co x ci) sums stays in 26 vector registers while a few images pass by; nothing is rearranged
 * before. Images are cut into blocks by shape alone, each with its own sums, which are added in order at the end. */
#include "conv2d_weight.h"
#include <string.h>

enum { MOST_BLOCKS = 16, TILE_CO = 13, TILE_CI = 32 };
static const int64_t most_bytes = (int64_t)32 << 20; /* of all blocks' sums */
static const int64_t images_bytes = 400 << 10;       /* of x and dy, which should stay in the second cache */

static int64_t weight_count(const conv_shape *s) { return s->k * s->k * s->Co * s->Ci; }

int64_t dr_conv2d_weight_blocks(const conv_shape *s)
{
    const int64_t fit = most_bytes / ((weight_count(s) + s->Co) * (int64_t)sizeof(float));
    return dr_min64(dr_min64(s->B, MOST_BLOCKS), fit);
}

bool dr_conv2d_weight_suits(const conv_shape *s)
{
#ifdef __AVX512F__
    return s->Ci % TILE_CI == 0 && s->Co >= 8 && dr_conv2d_weight_blocks(s) >= DR_CONV_FEWEST_BLOCKS &&
           s->Wo >= 12; /* short rows: oneDNN */
#else
    (void)s; /* with fewer or narrower registers the tile does not fit */
    return false;
#endif
}

typedef float vec __attribute__((vector_size(64)));
typedef float vec_unaligned __attribute__((vector_size(64), aligned(4)));

typedef struct tile_place {
    const float *x, *dy; /* of the first image, at the tile's first channels */
    float *sums;         /* [co][Ci] of the tile */
    int64_t images, ky, kx;
} tile_place;

/* n output channels times 32 input channels; n is a constant where this is called */
static inline __attribute__((always_inline)) void tile(const conv_shape *s, const tile_place *t, const int n)
{
    vec sum[TILE_CO][2];
    int64_t top, bottom, left, right;
    dr_conv_inside(s, t->ky, s->H, s->Ho, &top, &bottom);
    dr_conv_inside(s, t->kx, s->W, s->Wo, &left, &right);
#pragma GCC unroll 13
    for (int j = 0; j < n; j++) {
        sum[j][0] = *(const vec_unaligned *)(t->sums + j * s->Ci);
        sum[j][1] = *(const vec_unaligned *)(t->sums + j * s->Ci + 16);
    }
    for (int64_t b = 0; b < t->images; b++)
        for (int64_t oy = top; oy < bottom; oy++) {
            const int64_t iy = oy * s->stride - s->padding + t->ky, ix = left * s->stride - s->padding + t->kx;
            const float *x = t->x + ((b * s->H + iy) * s->W + ix) * s->Ci;
            const float *dy = t->dy + ((b * s->Ho + oy) * s->Wo + left) * s->Co;
            for (int64_t ox = left; ox < right; ox++) {
                const vec x0 = *(const vec_unaligned *)x, x1 = *(const vec_unaligned *)(x + 16);
#pragma GCC unroll 13
                for (int j = 0; j < n; j++) {
                    sum[j][0] += x0 * dy[j];
                    sum[j][1] += x1 * dy[j];
                }
                x += s->stride * s->Ci;
                dy += s->Co;
            }
        }
#pragma GCC unroll 13
    for (int j = 0; j < n; j++) {
        *(vec_unaligned *)(t->sums + j * s->Ci) = sum[j][0];
        *(vec_unaligned *)(t->sums + j * s->Ci + 16) = sum[j][1];
    }
}

static void tile_of(const conv_shape *s, const tile_place *t, int64_t n)
{
    switch (n) {
    case 13: tile(s, t, 13); break;
    case 12: tile(s, t, 12); break;
    case 11: tile(s, t, 11); break;
    case 10: tile(s, t, 10); break;
    case 9: tile(s, t, 9); break;
    case 8: tile(s, t, 8); break;
    case 7: tile(s, t, 7); break;
    case 6: tile(s, t, 6); break;
    case 5: tile(s, t, 5); break;
    default: tile(s, t, 4); break; /* Co >= 8 in tiles of up to 13: never fewer than 4 */
    }
}

/* images [first, last) -> sums [k,k,Co,Ci], then db [Co] */
static void block(const conv_shape *s, const float *x, const float *dy, int64_t first, int64_t last, float *sums)
{
    const int64_t x_size = s->H * s->W * s->Ci, dy_size = s->Ho * s->Wo * s->Co,
                  tiles = (s->Co + TILE_CO - 1) / TILE_CO;
    const int64_t fit = images_bytes / ((x_size + dy_size) * (int64_t)sizeof(float)), at_once = fit < 1 ? 1 : fit;
    float *db = sums + weight_count(s);
    memset(sums, 0, (size_t)(weight_count(s) + s->Co) * sizeof(float));
    for (int64_t b = first; b < last; b += at_once) {
        const int64_t images = dr_min64(at_once, last - b);
        for (int64_t ci = 0; ci < s->Ci; ci += TILE_CI)
            for (int64_t k = 0; k < s->k * s->k; k++)
                for (int64_t i = 0; i < tiles; i++) {
                    const int64_t co = i * s->Co / tiles; /* tiles of nearly equal size */
                    const tile_place t = { x + b * x_size + ci,
                                           dy + b * dy_size + co,
                                           sums + (k * s->Co + co) * s->Ci + ci,
                                           images,
                                           k / s->k,
                                           k % s->k };
                    tile_of(s, &t, (i + 1) * s->Co / tiles - co);
                }
        for (int64_t pixel = 0; s->bias && pixel < images * s->Ho * s->Wo; pixel++)
            for (int64_t co = 0; co < s->Co; co++) db[co] += dy[b * dy_size + pixel * s->Co + co];
    }
}

/* One output channel: the blocks' sums [k,k,Co,Ci] added in order, and turned to [Co,Ci,k,k]. */
void dr_conv2d_weight_gather(const conv_shape *s, const float *sums, int64_t blocks, int64_t co, float *dw, float *db)
{
    const int64_t each = weight_count(s) + s->Co, kernel = s->k * s->k, Ci = s->Ci;
    for (int64_t k = 0; k < kernel; k++)
        for (int64_t ci = 0; ci < Ci; ci += TILE_CI) {
            const float *from = sums + (k * s->Co + co) * Ci + ci;
            float total[TILE_CI] = { 0 };
            for (int64_t i = 0; i < blocks; i++)
                for (int64_t j = 0; j < TILE_CI; j++) total[j] += from[i * each + j];
            for (int64_t j = 0; j < TILE_CI; j++) dw[(co * Ci + ci + j) * kernel + k] = total[j];
        }
    float total = 0;
    for (int64_t i = 0; i < blocks; i++) total += sums[i * each + weight_count(s) + co];
    if (s->bias) db[co] = total;
}

size_t dr_conv2d_weight_bytes(const conv_shape *s)
{
    return (size_t)(dr_conv2d_weight_blocks(s) * (weight_count(s) + s->Co)) * sizeof(float);
}

void dr_conv2d_weight(const conv_shape *s, const float *x, const float *dy, float *dw, float *db, float *sums)
{
    const int64_t blocks = dr_conv2d_weight_blocks(s), each = weight_count(s) + s->Co;
#pragma omp parallel
    {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < blocks; i++)
            block(s, x, dy, i * s->B / blocks, (i + 1) * s->B / blocks, sums + i * each);
#pragma omp for schedule(static)
        for (int64_t co = 0; co < s->Co; co++) dr_conv2d_weight_gather(s, sums, blocks, co, dw, db);
    }
}
