/* conv2d_winograd_product.c: products of small matrices for Winograd's convolutions: up to ROWS x PANEL sums stay in
 * registers, each step loads a row of b and spreads one number of each row of a. */
#include "conv2d_winograd_parts.h"

/* Row r of a lies at r / 4 groups of 4 rows, which keeps addresses in few registers. rows is a constant where this is
 * called. */
static inline __attribute__((always_inline)) void tile(const int rows, int64_t K, const float *a, int64_t a_row,
                                                       int64_t a_step, const float *b, int64_t b_step, float *c,
                                                       const bool add)
{
    vec sum[ROWS][2];
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++) {
        sum[r][0] = add ? *(const vec_unaligned *)(c + r * PANEL) : (vec){ 0 };
        sum[r][1] = add ? *(const vec_unaligned *)(c + r * PANEL + LANES) : (vec){ 0 };
    }
    for (int64_t k = 0; k < K; k++) {
        const vec b0 = *(const vec_unaligned *)b, b1 = *(const vec_unaligned *)(b + LANES);
#pragma GCC unroll 14
        for (int r = 0; r < rows; r++) {
            sum[r][0] += b0 * a[r * a_row];
            sum[r][1] += b1 * a[r * a_row];
        }
        a += a_step;
        b += b_step;
    }
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++) {
        *(vec_unaligned *)(c + r * PANEL) = sum[r][0];
        *(vec_unaligned *)(c + r * PANEL + LANES) = sum[r][1];
    }
}

/* One tile of `rows` rows: each number of rows has loops of its own. */
static inline __attribute__((always_inline)) void tile_of(int64_t rows, int64_t K, const float *a, int64_t a_row,
                                                          int64_t a_step, const float *b, int64_t b_step, float *c,
                                                          const bool add)
{
    switch (rows) {
#if defined(__AVX512F__)
    case 14: tile(14, K, a, a_row, a_step, b, b_step, c, add); break;
    case 13: tile(13, K, a, a_row, a_step, b, b_step, c, add); break;
    case 12: tile(12, K, a, a_row, a_step, b, b_step, c, add); break;
    case 11: tile(11, K, a, a_row, a_step, b, b_step, c, add); break;
    case 10: tile(10, K, a, a_row, a_step, b, b_step, c, add); break;
    case 9: tile(9, K, a, a_row, a_step, b, b_step, c, add); break;
    case 8: tile(8, K, a, a_row, a_step, b, b_step, c, add); break;
    case 7: tile(7, K, a, a_row, a_step, b, b_step, c, add); break;
#endif
    case 6: tile(6, K, a, a_row, a_step, b, b_step, c, add); break;
    case 5: tile(5, K, a, a_row, a_step, b, b_step, c, add); break;
    case 4: tile(4, K, a, a_row, a_step, b, b_step, c, add); break;
    case 3: tile(3, K, a, a_row, a_step, b, b_step, c, add); break;
    case 2: tile(2, K, a, a_row, a_step, b, b_step, c, add); break;
    default: tile(1, K, a, a_row, a_step, b, b_step, c, add); break;
    }
}

void dr_winograd_product(int64_t rows, int64_t K, const float *a, int64_t a_row, const float *b, float *c)
{
    const int64_t tiles = (rows + ROWS - 1) / ROWS;
    for (int64_t i = 0; i < tiles; i++) { /* of nearly equal size */
        const int64_t first = i * rows / tiles;
        tile_of((i + 1) * rows / tiles - first, K, a + first * a_row, a_row, 1, b, PANEL, c + first * PANEL, false);
    }
}

void dr_winograd_add_product(int64_t rows, int64_t K, const float *a, int64_t a_step, const float *b, int64_t b_step,
                             float *c)
{
    const int64_t tiles = (rows + ROWS - 1) / ROWS;
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t first = i * rows / tiles;
        tile_of((i + 1) * rows / tiles - first, K, a + first, 1, a_step, b, b_step, c + first * PANEL, true);
    }
}
