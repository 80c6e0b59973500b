/* mse.c: the squared error sum of w (pred - target)^2, w one weight per row, over the number of elements if a mean.
 * pred and target lie alike, with axes in any order: memory is [outer, B, inner] around the axis of the rows. They are
 * f32 or bf16; the loss and the weights are f32. */
#include "bf16.h"
#include "cpu_backend.h"
#include <stdbool.h>

typedef struct lines { /* stretches of `length` elements of one row; line l belongs to row l % B */
    int64_t count, length, B;
} lines;

static lines lines_of(const dr_view *pred, const float *weight)
{
    const int64_t n = dr_numel(pred);
    if (!weight || n == 0 || pred->shape[0] == 1) return (lines){ 1, n, 1 };
    const int64_t B = pred->shape[0], inner = pred->stride[0];
    return (lines){ n / inner, inner, B };
}

VM_INLINE double squares(int type, const void *pred, const void *target, int64_t first, int64_t n)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = first; i < first + n; i++) {
        const double error = (double)(dr_load(type, pred, i) - dr_load(type, target, i));
        sum += error * error;
    }
    return sum;
}

static void mse(const dr_kargs *a) /* pred [B,..], target [B,..], weight [B] or NULL -> loss [] */
{
    const void *pred = dr_in(a, 0), *target = dr_in(a, 1);
    const float *weight = dr_optional(a, 2);
    const bool narrow = a->in[0].dtype == DR_BF16;
    const int64_t n = dr_numel(&a->in[0]), least = DR_CPU_PARALLEL / 4;
    const lines l = lines_of(&a->in[0], weight);
    const int64_t piece = dr_min64(l.length, least),
                  pieces = piece > 0 ? (l.length + piece - 1) / piece : 0; /* of a line */
    const dr_blocks cut = dr_cut(l.count * pieces, piece > 0 ? (least + piece - 1) / piece : 1);
    double partial[DR_CPU_BLOCKS], sum = 0;

#pragma omp parallel for schedule(static) if (n > DR_CPU_PARALLEL)
    for (int64_t b = 0; b < cut.count; b++) {
        double total = 0;
        for (int64_t i = b * cut.size; i < dr_min64((b + 1) * cut.size, l.count * pieces); i++) {
            const int64_t line = i / pieces, from = i % pieces * piece, at = line * l.length + from;
            const int64_t count = dr_min64(piece, l.length - from);
            const double square =
                narrow ? squares(DR_BF16, pred, target, at, count) : squares(DR_F32, pred, target, at, count);
            total += weight ? (double)weight[line % l.B] * square : square;
        }
        partial[b] = total;
    }
    for (int64_t b = 0; b < cut.count; b++) sum += partial[b];
    *(float *)dr_out(a, 0) =
        (float)(((const dr_mse_attr *)a->attr)->reduction == DR_REDUCE_MEAN ? sum / (double)n : sum);
}

VM_INLINE void slopes(int type, float factor, const void *pred, const void *target, void *restrict dpred, int64_t first,
                      int64_t last)
{
    for (int64_t i = first; i < last; i++)
        dr_store(type, dpred, i, factor * (dr_load(type, pred, i) - dr_load(type, target, i)));
}

static void mse_backward(const dr_kargs *a) /* pred, target, dloss [], weight or NULL -> dpred */
{
    const void *pred = dr_in(a, 0), *target = dr_in(a, 1);
    const float *weight = dr_optional(a, 3);
    void *dpred = dr_out(a, 0);
    const bool narrow = a->in[0].dtype == DR_BF16;
    const int64_t n = dr_numel(&a->in[0]);
    const lines l = lines_of(&a->in[0], weight);
    double share = 2.0 * (double)*(const float *)dr_in(a, 2);
    if (((const dr_mse_backward_attr *)a->attr)->reduction == DR_REDUCE_MEAN) share /= (double)n;

    const int64_t piece = dr_min64(l.length, DR_CPU_PARALLEL / 4),
                  pieces = piece > 0 ? (l.length + piece - 1) / piece : 0;
#pragma omp parallel for collapse(2) schedule(static) if (n > DR_CPU_PARALLEL)
    for (int64_t line = 0; line < l.count; line++)
        for (int64_t k = 0; k < pieces; k++) {
            const float factor = (float)(weight ? share * (double)weight[line % l.B] : share);
            const int64_t from = line * l.length + k * piece, to = dr_min64(from + piece, (line + 1) * l.length);
            if (narrow) slopes(DR_BF16, factor, pred, target, dpred, from, to);
            else slopes(DR_F32, factor, pred, target, dpred, from, to);
        }
}

DR_KERNEL(mse, DR_F32, mse)
DR_KERNEL(mse, DR_BF16, mse)
DR_KERNEL(mse_backward, DR_F32, mse_backward)
DR_KERNEL(mse_backward, DR_BF16, mse_backward)
