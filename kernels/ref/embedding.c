/* embedding.c: y = the rows of a table that ids name; the gradient adds up where an id is repeated. */
#include "element.h"

static bool ids_fit(const dr_kargs *a, const double *ids, int64_t n, int64_t rows)
{
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] >= 0 && ids[i] < (double)rows) continue;
        dr_fail(DR_EINVAL, "%s: id %.0f at position %lld is outside [0, %lld]", a->op, ids[i], (long long)i,
                (long long)rows - 1);
        return false;
    }
    return true;
}

static void embedding_ref(const dr_kargs *a) /* weight [N,D], ids i32 [..] -> y [..,D] */
{
    const int64_t N = a->in[0].shape[0], D = a->in[0].shape[1], n = dr_numel(&a->in[1]);
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *weight = m.in[0], *ids = m.in[1];
    if (ids_fit(a, ids, n, N)) {
        for (int64_t i = 0; i < n; i++)
            for (int64_t d = 0; d < D; d++) m.out[0][i * D + d] = weight[(int64_t)ids[i] * D + d];
    }
    dr_ref_close(&m);
}

static void embedding_backward_ref(const dr_kargs *a) /* dy [..,D], ids i32 [..] -> dweight [N,D] */
{
    const int64_t N = a->out[0].shape[0], D = a->out[0].shape[1], n = dr_numel(&a->in[1]);
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *dy = m.in[0], *ids = m.in[1];
    if (ids_fit(a, ids, n, N)) {
        for (int64_t i = 0; i < n; i++)
            for (int64_t d = 0; d < D; d++) m.out[0][(int64_t)ids[i] * D + d] += dy[i * D + d];
    }
    dr_ref_close(&m);
}

DR_KERNEL(embedding, DR_ANY_DTYPE, embedding_ref)
DR_KERNEL(embedding_backward, DR_ANY_DTYPE, embedding_backward_ref)
