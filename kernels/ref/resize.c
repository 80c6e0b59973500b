/* resize.c: nearest, bilinear and bicubic (a = -0.75), never antialiased; PyTorch's rules for positions. All three are
 * separable: along an axis, output i is a weighted sum of 1, 2 or 4 inputs (its taps). The gradient runs it backwards.
 *   nearest: input floor(i in/out), exactly
 *   else: position (i + 1/2) in/out - 1/2, or i (in - 1)/(out - 1) with align_corners     Keys 1981 for the cubic */
#include "element.h"

typedef struct taps {
    int n;
    int64_t at[4];
    double weight[4];
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
        int64_t left = (int64_t)position;
        double t = position - (double)left;
        return (taps){ .n = 2, .at = { inside(left, n_in), inside(left + 1, n_in) }, .weight = { 1 - t, t } };
    }
    int64_t left = (int64_t)floor(position);
    double t = position - (double)left;
    return (taps){ .n = 4,
                   .at = { inside(left - 1, n_in), inside(left, n_in), inside(left + 1, n_in), inside(left + 2, n_in) },
                   .weight = { cubic(t + 1), cubic(t), cubic(1 - t), cubic(2 - t) } };
}

static void resize_ref(const dr_kargs *a) /* x [B,C,H,W] -> y [B,C,Ho,Wo] */
{
    const dr_resize_attr *attr = a->attr;
    const int64_t images = dr_ref_count(&a->in[0], 0, 2), H = a->in[0].shape[2], W = a->in[0].shape[3];
    const int64_t Ho = a->out[0].shape[2], Wo = a->out[0].shape[3];
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t oy = 0; oy < Ho; oy++)
        for (int64_t ox = 0; ox < Wo; ox++) {
            const taps row = taps_of(attr, oy, H, Ho), column = taps_of(attr, ox, W, Wo);
            for (int64_t n = 0; n < images; n++)
                for (int j = 0; j < row.n; j++)
                    for (int i = 0; i < column.n; i++)
                        m.out[0][(n * Ho + oy) * Wo + ox] +=
                            row.weight[j] * column.weight[i] * m.in[0][(n * H + row.at[j]) * W + column.at[i]];
        }
    dr_ref_close(&m);
}

static void resize_backward_ref(const dr_kargs *a) /* dy [B,C,Ho,Wo] -> dx [B,C,H,W] */
{
    const dr_resize_backward_attr *attr = a->attr;
    const int64_t images = dr_ref_count(&a->in[0], 0, 2), H = a->out[0].shape[2], W = a->out[0].shape[3];
    const int64_t Ho = a->in[0].shape[2], Wo = a->in[0].shape[3];
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t oy = 0; oy < Ho; oy++)
        for (int64_t ox = 0; ox < Wo; ox++) {
            const taps row = taps_of(attr, oy, H, Ho), column = taps_of(attr, ox, W, Wo);
            for (int64_t n = 0; n < images; n++)
                for (int j = 0; j < row.n; j++)
                    for (int i = 0; i < column.n; i++)
                        m.out[0][(n * H + row.at[j]) * W + column.at[i]] +=
                            row.weight[j] * column.weight[i] * m.in[0][(n * Ho + oy) * Wo + ox];
        }
    dr_ref_close(&m);
}

DR_KERNEL(resize, DR_ANY_DTYPE, resize_ref)
DR_KERNEL(resize_backward, DR_ANY_DTYPE, resize_backward_ref)
