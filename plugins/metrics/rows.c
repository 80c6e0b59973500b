/* rows.c: samples as rows of numbers, and products between two sets of them, in blocks that fit into memory. */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

void rows_clear(rows *r) { r->n = r->D = 0; }

void rows_free(rows *r)
{
    free(r->v);
    *r = (rows){ 0 };
}

static dr_status make_room(rows *r, int64_t numbers, const char *metric)
{
    if (numbers <= r->room) return DR_OK;
    const int64_t room = 2 * r->room > numbers ? 2 * r->room : numbers;
    float *grown = realloc(r->v, (size_t)room * sizeof *grown);
    if (!grown) return dr_fail(DR_ENOMEM, "metric %s: no memory for %lld numbers", metric, (long long)room);
    r->v = grown, r->room = room;
    return DR_OK;
}

dr_status rows_append(rows *r, dr_tensor *t, const char *metric, const rows *like)
{
    const dr_view *v = dr_tensor_view(t);
    int64_t D = 1;
    if (dr_failed()) return dr_failed();
    if (!v || v->rank < 2) return dr_fail(DR_ESHAPE, "metric %s: expects a row for each sample, [B,..]", metric);
    for (int i = 1; i < v->rank; i++) D *= v->shape[i];
    if ((r->D > 0 && D != r->D) || (like && like->D > 0 && D != like->D)) {
        return dr_fail(DR_ESHAPE, "metric %s: rows of %lld numbers after rows of %lld", metric, (long long)D,
                       (long long)(r->D > 0 ? r->D : like->D));
    }
    const int64_t B = v->shape[0];
    if (make_room(r, (r->n + B) * D, metric)) return dr_failed();
    if (B > 0 && dr_tensor_read(t, DR_F32, r->v + r->n * D)) return dr_failed();
    r->n += B, r->D = D;
    return DR_OK;
}

dr_status rows_thinned(const rows *r, int64_t n, rows *out)
{
    rows_clear(out);
    if (n > r->n) n = r->n;
    if (make_room(out, n * r->D, "of real images")) return dr_failed();
    for (int64_t i = 0; i < n; i++) {
        memcpy(out->v + i * r->D, r->v + i * r->n / n * r->D, (size_t)r->D * sizeof *out->v);
    }
    out->n = n, out->D = r->D;
    return DR_OK;
}

/* ---- products ---------------------------------------------------------------------------------------------------- */
enum { BLOCK_A = 512, BLOCK_B = 4096 };

static dr_tensor *block_of(const rows *r, int64_t start, int64_t n)
{
    return dr_tensor_from(DR_F32, DR_SHAPE(n, r->D), r->v + start * r->D);
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* One block of a against one of b; blocks are given back at once, since they would pile up in the scope. */
static dr_status block_product(dr_tensor *b, const rows *a, int64_t i, int64_t m, float *out)
{
    dr_tensor *x = dr_keep(block_of(a, i, m));
    dr_tensor *y = dr_keep(dr_matmul(x, b, 0, 1)); /* [m,n] */
    dr_tensor_read(y, DR_F32, out);
    dr_release(y);
    dr_release(x);
    return dr_failed();
}

dr_status rows_products(const rows *a, const rows *b, product_fn *each, void *ctx)
{
    float *out = malloc((size_t)(BLOCK_A * BLOCK_B) * sizeof *out);
    if (!out) return dr_fail(DR_ENOMEM, "no memory for a block of products");
    for (int64_t j = 0; j < b->n && !dr_failed(); j += BLOCK_B) {
        const int64_t n = least(BLOCK_B, b->n - j);
        dr_tensor *right = dr_keep(block_of(b, j, n));
        for (int64_t i = 0; i < a->n && !dr_failed(); i += BLOCK_A) {
            const int64_t m = least(BLOCK_A, a->n - i);
            if (block_product(right, a, i, m, out)) break;
            for (int64_t k = 0; k < m; k++) each(ctx, i + k, j, n, out + k * n);
        }
        dr_release(right);
    }
    free(out);
    return dr_failed();
}

double *rows_squares(const rows *r, const char *metric)
{
    double *square = calloc((size_t)r->n + 1, sizeof *square);
    if (!square) {
        dr_fail(DR_ENOMEM, "metric %s: no memory for %lld rows", metric, (long long)r->n);
        return NULL;
    }
    for (int64_t i = 0; i < r->n; i++) {
        for (int64_t d = 0; d < r->D; d++) square[i] += (double)r->v[i * r->D + d] * r->v[i * r->D + d];
    }
    return square;
}
