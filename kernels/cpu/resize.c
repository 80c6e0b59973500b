/* resize.c: nearest, bilinear and bicubic (a = -0.75), never antialiased; PyTorch's rules for positions. All three are
 * separable: along an axis, output i is a weighted sum of 1, 2 or 4 inputs (its taps). A row of y is made from a
 * weighted sum of whole rows of x, and then along that row; the gradient runs it backwards. f32 or bf16, sums in f32.
 *   nearest: input floor(i in/out), exactly
 *   else: position (i + 1/2) in/out - 1/2, or i (in - 1)/(out - 1) with align_corners     Keys 1981 for the cubic */
#include "bf16.h"
#include "cpu_backend.h"
#include <omp.h>
#include <stdbool.h>
#include <string.h>

enum { TAPS = 4 };

typedef struct taps { /* of one output position */
    int32_t n;
    float weight[TAPS];
    int64_t at[TAPS];
} taps;

static int64_t inside(int64_t i, int64_t n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

static double cubic(double distance) /* Keys' kernel, a = -0.75 */
{
    const double a = -0.75, d = fabs(distance);
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    if (d < 2) return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
    return 0;
}

/* What the i-th of n_out pixels is made of, among n_in. */
static taps taps_of(const dr_resize_attr *attr, int64_t i, int64_t n_in, int64_t n_out)
{
    if (attr->mode == DR_RESIZE_NEAREST) return (taps){ .n = 1, .at = { i * n_in / n_out }, .weight = { 1 } };

    double position = ((double)i + 0.5) * (double)n_in / (double)n_out - 0.5;
    if (attr->align_corners) position = n_out > 1 ? (double)i * (double)(n_in - 1) / (double)(n_out - 1) : 0;
    if (attr->mode == DR_RESIZE_BILINEAR) {
        if (position < 0) position = 0;
        const int64_t left = (int64_t)position;
        const double t = position - (double)left;
        return (taps){ .n = 2,
                       .at = { inside(left, n_in), inside(left + 1, n_in) },
                       .weight = { (float)(1 - t), (float)t } };
    }
    const int64_t left = (int64_t)floor(position);
    const double t = position - (double)left;
    return (taps){ .n = 4,
                   .at = { inside(left - 1, n_in), inside(left, n_in), inside(left + 1, n_in), inside(left + 2, n_in) },
                   .weight = { (float)cubic(t + 1), (float)cubic(t), (float)cubic(1 - t), (float)cubic(2 - t) } };
}

static void all_taps(const dr_resize_attr *attr, int64_t n_in, int64_t n_out, taps *list)
{
    for (int64_t i = 0; i < n_out; i++) list[i] = taps_of(attr, i, n_in, n_out);
}

VM_INLINE void add_scaled(int type, float *restrict to, float weight, const void *restrict from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] += weight * dr_load(type, from, i);
}

VM_INLINE void scaled(int type, float *restrict to, float weight, const void *restrict from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] = weight * dr_load(type, from, i);
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

/* Output pixel [C] from n pixels of the row x, which is of from_type; n is a constant where this is called. */
VM_INLINE void pixel(int n, int from_type, int type, const taps *t, const void *x, void *restrict y, int64_t C)
{
    for (int64_t c = 0; c < C; c++) {
        float sum = t->weight[0] * dr_load(from_type, x, t->at[0] * C + c);
        for (int k = 1; k < n; k++) sum += t->weight[k] * dr_load(from_type, x, t->at[k] * C + c);
        dr_store(type, y, c, sum);
    }
}

/* One row: x [W,C], of from_type -> y [Wo,C] */
VM_INLINE void along_row(int from_type, int type, const taps *columns, const void *x, void *y, int64_t Wo, int64_t C)
{
    for (int64_t ox = 0; ox < Wo; ox++) {
        const taps *t = &columns[ox];
        void *to = dr_into(type, y, ox * C);
        if (t->n == 1) pixel(1, from_type, type, t, x, to, C);
        else if (t->n == 2) pixel(2, from_type, type, t, x, to, C);
        else pixel(TAPS, from_type, type, t, x, to, C);
    }
}

/* One row of y from the image x [H,W,C]; sum [W C] is scratch. */
VM_INLINE void resized_row(int type, const taps *t, const taps *columns, const void *x, float *sum, void *y, int64_t W,
                           int64_t Wo, int64_t C)
{
    const void *line = dr_from(type, x, t->at[0] * W * C);
    if (t->n == 1) {
        along_row(type, type, columns, line, y, Wo, C);
        return;
    }
    scaled(type, sum, t->weight[0], line, W * C);
    for (int k = 1; k < t->n; k++) add_scaled(type, sum, t->weight[k], dr_from(type, x, t->at[k] * W * C), W * C);
    along_row(DR_F32, type, columns, sum, y, Wo, C);
}

static void resize(const dr_kargs *a) /* x [B,C,H,W] -> y [B,C,Ho,Wo] */
{
    const dr_resize_attr *attr = a->attr;
    const int64_t B = a->in[0].shape[0], C = a->in[0].shape[1], H = a->in[0].shape[2], W = a->in[0].shape[3];
    const int64_t Ho = a->out[0].shape[2], Wo = a->out[0].shape[3], threads = omp_get_max_threads();
    const bool narrow = a->in[0].dtype == DR_BF16;
    if (dr_numel(&a->out[0]) == 0) return;
    taps *rows = dr_cpu_workspace(a, (size_t)(Ho + Wo) * sizeof(taps) + (size_t)(threads * W * C) * sizeof(float));
    if (!rows) return;
    taps *columns = rows + Ho;
    float *lines = (float *)(columns + Wo); /* [threads,W,C] */
    all_taps(attr, H, Ho, rows);
    all_taps(attr, W, Wo, columns);
#pragma omp parallel for schedule(static) if (B * C * (Ho * Wo + H * W) > DR_CPU_PARALLEL)
    for (int64_t r = 0; r < B * Ho; r++) {
        const taps *t = &rows[r % Ho];
        const int64_t image = r / Ho * H * W * C, to = r * Wo * C;
        float *sum = lines + omp_get_thread_num() * W * C;
        if (narrow)
            resized_row(DR_BF16, t, columns, dr_from(DR_BF16, dr_in(a, 0), image), sum,
                        dr_into(DR_BF16, dr_out(a, 0), to), W, Wo, C);
        else
            resized_row(DR_F32, t, columns, dr_from(DR_F32, dr_in(a, 0), image), sum, dr_into(DR_F32, dr_out(a, 0), to),
                        W, Wo, C);
    }
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

/* One row: dy [Wo,C] -> dx [W,C], which it adds to */
static void along_row_backward(const taps *columns, const float *dy, float *restrict dx, int64_t Wo, int64_t C)
{
    for (int64_t ox = 0; ox < Wo; ox++) {
        const taps *t = &columns[ox];
        for (int k = 0; k < t->n; k++) add_scaled(DR_F32, dx + t->at[k] * C, t->weight[k], dy + ox * C, C);
    }
}

typedef struct use { /* row iy of x is a tap of row oy of y */
    int64_t oy;
    float weight;
} use;

/* The taps the other way round: row iy of x is used by list[first[iy]] to before list[first[iy + 1]]. */
static void uses_of_rows(const taps *rows, int64_t Ho, int64_t H, int64_t *first, use *list)
{
    memset(first, 0, (size_t)(H + 1) * sizeof *first);
    for (int64_t oy = 0; oy < Ho; oy++)
        for (int k = 0; k < rows[oy].n; k++) first[rows[oy].at[k] + 1]++;
    for (int64_t iy = 0; iy < H; iy++) first[iy + 1] += first[iy];
    for (int64_t oy = 0; oy < Ho; oy++)
        for (int k = 0; k < rows[oy].n; k++) list[first[rows[oy].at[k]]++] = (use){ oy, rows[oy].weight[k] };
    for (int64_t iy = H; iy > 0; iy--) first[iy] = first[iy - 1]; /* each was moved on to its end */
    first[0] = 0;
}

/* One row of dx [W,C] from the image dy [Ho,Wo,C] and what uses that row; line [Wo C] and sum [W C] are scratch. */
VM_INLINE void row_backward(int type, const use *u, const use *end, const taps *columns, const void *dy, float *line,
                            float *sum, void *dx, int64_t W, int64_t Wo, int64_t C)
{
    float *to = type == DR_F32 ? dx : sum;
    memset(to, 0, (size_t)(W * C) * sizeof(float));
    if (u < end) {
        scaled(type, line, u->weight, dr_from(type, dy, u->oy * Wo * C), Wo * C);
        while (++u < end) add_scaled(type, line, u->weight, dr_from(type, dy, u->oy * Wo * C), Wo * C);
        along_row_backward(columns, line, to, Wo, C);
    }
    for (int64_t i = 0; type != DR_F32 && i < W * C; i++) dr_store(type, dx, i, to[i]);
}

static void resize_backward(const dr_kargs *a) /* dy [B,C,Ho,Wo] -> dx [B,C,H,W] */
{
    const dr_resize_backward_attr *attr = a->attr;
    const int64_t B = a->out[0].shape[0], C = a->out[0].shape[1], H = a->out[0].shape[2], W = a->out[0].shape[3];
    const int64_t Ho = a->in[0].shape[2], Wo = a->in[0].shape[3], threads = omp_get_max_threads();
    const bool narrow = a->in[0].dtype == DR_BF16;
    if (dr_numel(&a->out[0]) == 0) return;
    const size_t table = (size_t)(Ho + Wo) * sizeof(taps), uses = (size_t)(TAPS * Ho) * sizeof(use),
                 index = (size_t)(H + 1) * sizeof(int64_t);
    taps *rows = dr_cpu_workspace(a, table + uses + index + (size_t)(threads * (W + Wo) * C) * sizeof(float));
    if (!rows) return;
    taps *columns = rows + Ho;
    use *list = (use *)(columns + Wo);
    int64_t *first = (int64_t *)(list + TAPS * Ho);
    float *lines = (float *)(first + H + 1); /* [threads,Wo + W,C] */
    all_taps(attr, H, Ho, rows);
    all_taps(attr, W, Wo, columns);
    uses_of_rows(rows, Ho, H, first, list);
#pragma omp parallel for schedule(static) if (B * C * (Ho * Wo + H * W) > DR_CPU_PARALLEL)
    for (int64_t r = 0; r < B * H; r++) {
        const use *u = list + first[r % H], *end = list + first[r % H + 1];
        const int64_t image = r / H * Ho * Wo * C, to = r * W * C;
        float *line = lines + omp_get_thread_num() * (W + Wo) * C;
        if (narrow)
            row_backward(DR_BF16, u, end, columns, dr_from(DR_BF16, dr_in(a, 0), image), line, line + Wo * C,
                         dr_into(DR_BF16, dr_out(a, 0), to), W, Wo, C);
        else
            row_backward(DR_F32, u, end, columns, dr_from(DR_F32, dr_in(a, 0), image), line, line + Wo * C,
                         dr_into(DR_F32, dr_out(a, 0), to), W, Wo, C);
    }
}

DR_KERNEL(resize, DR_F32, resize)
DR_KERNEL(resize, DR_BF16, resize)
DR_KERNEL(resize_backward, DR_F32, resize_backward)
DR_KERNEL(resize_backward, DR_BF16, resize_backward)
