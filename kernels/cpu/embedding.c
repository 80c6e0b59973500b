/* embedding.c: y = the rows of a table that ids name; the gradient adds up where an id is repeated. */
#include "cpu_backend.h"
#include <stdbool.h>
#include <string.h>

static bool ids_fit(const dr_kargs *a, const int32_t *ids, int64_t n, int64_t rows)
{
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] >= 0 && ids[i] < rows) continue;
        dr_fail(DR_EINVAL, "%s: id %d at position %lld is outside [0, %lld]", a->op, (int)ids[i], (long long)i,
                (long long)rows - 1);
        return false;
    }
    return true;
}

static void embedding_f32(const dr_kargs *a) /* weight [N,D], ids i32 [..] -> y [..,D] */
{
    const int64_t N = a->in[0].shape[0], D = a->in[0].shape[1], n = dr_numel(&a->in[1]);
    const float *weight = dr_in(a, 0);
    const int32_t *ids = dr_in(a, 1);
    float *y = dr_out(a, 0);
    if (!ids_fit(a, ids, n, N) || D == 0) return;
#pragma omp parallel for schedule(static) if (n * D > DR_CPU_PARALLEL)
    for (int64_t i = 0; i < n; i++) memcpy(y + i * D, weight + ids[i] * D, (size_t)D * sizeof(float));
}

enum { TILE = 256 };

/* One row of the table: the sum of dy's rows in `list`, in doubles, since an id may be repeated very often. */
static void sum_of_rows(const float *dy, const int64_t *list, int64_t count, int64_t D, int64_t width,
                        float *restrict to)
{
    double sum[TILE];
    for (int64_t d = 0; d < width; d++) sum[d] = 0;
    for (int64_t k = 0; k < count; k++) {
        const float *row = dy + list[k] * D;
        for (int64_t d = 0; d < width; d++) sum[d] += (double)row[d];
    }
    for (int64_t d = 0; d < width; d++) to[d] = (float)sum[d];
}

static void embedding_backward_f32(const dr_kargs *a) /* dy [..,D], ids i32 [..] -> dweight [N,D] */
{
    const int64_t N = a->out[0].shape[0], D = a->out[0].shape[1], n = dr_numel(&a->in[1]);
    const float *dy = dr_in(a, 0);
    const int32_t *ids = dr_in(a, 1);
    float *dweight = dr_out(a, 0);
    if (!ids_fit(a, ids, n, N)) return;

    /* Positions sorted by id: those of id r are list[first[r]] to before list[first[r + 1]]. */
    int64_t *first = dr_cpu_workspace(a, (size_t)(N + 1 + n) * sizeof(int64_t)), *list = first + N + 1;
    if (!first) return;
    memset(first, 0, (size_t)(N + 1) * sizeof *first);
    for (int64_t i = 0; i < n; i++) first[ids[i] + 1]++;
    for (int64_t r = 0; r < N; r++) first[r + 1] += first[r];
    for (int64_t i = 0; i < n; i++) list[first[ids[i]]++] = i;
    for (int64_t r = N; r > 0; r--) first[r] = first[r - 1]; /* each was moved on to its end */
    first[0] = 0;

    const int64_t tiles = (D + TILE - 1) / TILE;
#pragma omp parallel for collapse(2) schedule(dynamic, 16) if (n * D > DR_CPU_PARALLEL)
    for (int64_t t = 0; t < tiles; t++)
        for (int64_t r = 0; r < N; r++) {
            const int64_t from = t * TILE, count = first[r + 1] - first[r];
            sum_of_rows(dy + from, list + first[r], count, D, dr_min64(TILE, D - from), dweight + r * D + from);
        }
}

DR_KERNEL(embedding, DR_F32, embedding_f32)
DR_KERNEL(embedding_backward, DR_F32, embedding_backward_f32)
