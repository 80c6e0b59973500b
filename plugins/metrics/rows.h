/* rows.h: samples as rows of numbers, f32 [n,D], that grow with each update; and products between two such sets. */
#ifndef DRIFT_METRICS_ROWS_H
#define DRIFT_METRICS_ROWS_H

#include <drift/plugin.h>
#include <stdbool.h>

typedef struct rows {
    int64_t n, D, room; /* D: 0 before the first */
    float *v;           /* [n,D] */
} rows;

void rows_clear(rows *r); /* forgets all; keeps the memory */
void rows_free(rows *r);
/* Adds t [B,..] as rows of D numbers each; `like` (or NULL): another set, whose D they must have. */
dr_status rows_append(rows *r, dr_tensor *t, const char *metric, const rows *like);
dr_status rows_thinned(const rows *r, int64_t n, rows *out); /* n at most, evenly spaced; out is zeroed, or was used */
/* Calls each(ctx, i, j0, n, product) with product[k] = a_i . b_{j0+k}, for every i and every j in [j0, j0 + n).
 * Products are f32, of the device's matmul. */
typedef void product_fn(void *ctx, int64_t i, int64_t j0, int64_t n, const float *product);
dr_status rows_products(const rows *a, const rows *b, product_fn *each, void *ctx);
double *rows_squares(const rows *r, const char *metric); /* |row|^2 [n], to free(); NULL on failure */

#endif
