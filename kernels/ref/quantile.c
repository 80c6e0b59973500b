/* quantile.c: the q-quantile of each row, by linear interpolation between the sorted elements around q (n - 1). */
#include "element.h"

static int ascending(const void *left, const void *right) /* NaN last */
{
    double a = *(const double *)left, b = *(const double *)right;
    if (isnan(a) || isnan(b)) return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

static void quantile_ref(const dr_kargs *a) /* x [B,...] -> y [B]; a row with NaN, or with no elements, gives NaN */
{
    const double q = ((const dr_quantile_attr *)a->attr)->q;
    const int64_t B = dr_numel(&a->out[0]), n = dr_ref_count(&a->in[0], 1, a->in[0].rank);
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t b = 0; b < B; b++) {
        double *row = m.in[0] + b * n;
        qsort(row, (size_t)n, sizeof(double), ascending);
        if (n == 0 || isnan(row[n - 1])) {
            m.out[0][b] = NAN;
            continue;
        }
        double position = q * (double)(n - 1);
        int64_t below = (int64_t)position, above = below + 1 < n ? below + 1 : below;
        m.out[0][b] = row[below] + (position - (double)below) * (row[above] - row[below]);
    }
    dr_ref_close(&m);
}

DR_KERNEL(quantile, DR_ANY_DTYPE, quantile_ref)
