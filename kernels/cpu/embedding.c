/* embedding.c: y = the rows of a table that ids name; the gradient adds up where an id is repeated. f32 or
 * bf16, and rows of f16 as they are. */
#include "bf16.h"
#include "memory_order.h"
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

static void embedding(const dr_kargs *a) /* weight [N,D], ids i32 [..] -> y [..,D] */
{
    const int64_t N = a->in[0].shape[0], D = a->in[0].shape[1], n = dr_numel(&a->in[1]);
    const int64_t bytes = D * dr_element_size(a->in[0].dtype); /* of a row */
    const char *weight = dr_in(a, 0);
    const int32_t *ids = dr_in(a, 1);
    char *y = dr_out(a, 0);
    if (!ids_fit(a, ids, n, N) || D == 0) return;
#pragma omp parallel for schedule(static) if (n * D > DR_CPU_PARALLEL)
    for (int64_t i = 0; i < n; i++) memcpy(y + i * bytes, weight + ids[i] * bytes, (size_t)bytes);
}

enum { TILE = 256 };

/* One row of the table: the sum of dy's rows in `list`, in doubles, since an id may be repeated very often. */
VM_INLINE void sum_of_rows(int type, const void *dy, const int64_t *list, int64_t count, int64_t D, int64_t width,
                           void *restrict to)
{
    double sum[TILE];
    for (int64_t d = 0; d < width; d++) sum[d] = 0;
    for (int64_t k = 0; k < count; k++) {
        const void *row = dr_from(type, dy, list[k] * D);
        for (int64_t d = 0; d < width; d++) sum[d] += (double)dr_load(type, row, d);
    }
    for (int64_t d = 0; d < width; d++) dr_store(type, to, d, (float)sum[d]);
}

static void embedding_backward(const dr_kargs *a) /* dy [..,D], ids i32 [..] -> dweight [N,D] */
{
    const int64_t N = a->out[0].shape[0], D = a->out[0].shape[1], n = dr_numel(&a->in[1]);
    const void *dy = dr_in(a, 0);
    const int32_t *ids = dr_in(a, 1);
    void *dweight = dr_out(a, 0);
    const bool narrow = a->in[0].dtype == DR_BF16;
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
            const int64_t from = t * TILE, count = first[r + 1] - first[r], width = dr_min64(TILE, D - from);
            const int64_t *own = list + first[r];
            if (narrow)
                sum_of_rows(DR_BF16, dr_from(DR_BF16, dy, from), own, count, D, width,
                            dr_into(DR_BF16, dweight, r * D + from));
            else
                sum_of_rows(DR_F32, dr_from(DR_F32, dy, from), own, count, D, width,
                            dr_into(DR_F32, dweight, r * D + from));
        }
}

DR_KERNEL(embedding, DR_F32, embedding)
DR_KERNEL(embedding, DR_BF16, embedding)
DR_KERNEL(embedding, DR_F16, embedding)
DR_KERNEL(embedding_backward, DR_F32, embedding_backward)
DR_KERNEL(embedding_backward, DR_BF16, embedding_backward)
