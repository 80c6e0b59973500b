/* batch_moments.c: mean and variance of each channel in one walk over memory: rows are summed as distances from the mean
 * of the rows before them, and joined to those, so that a large mean cancels nowhere.     Chan et al. 1983
 * Blocks of rows depend on the shape alone and are joined in order. */
#include "batch_moments.h"
#include "bf16.h"

/* Joins `count` values of a given mean and sum of squared distances to those of before. */
static inline void join(double *mean, double *squares, int64_t before, double new_mean, double new_squares,
                        int64_t count)
{
    const double delta = new_mean - *mean, share = (double)count / (double)(before + count);
    *mean += delta * share;
    *squares += new_squares + delta * delta * ((double)before * share);
}

/* Rows [row, row + count): sums of x - origin and of its square, [C] each. */
VM_INLINE void sum_distances(int type, const void *x, int64_t row, int64_t count, int64_t C,
                             const float *restrict origin, float *restrict sum, float *restrict square)
{
    for (int64_t c = 0; c < C; c++) sum[c] = square[c] = 0;
    int64_t r = row;
    for (; r + 4 <= row + count; r += 4) /* four at a time: fewer sums to load and store */
        for (int64_t c = 0; c < C; c++) {
            const float d0 = dr_load(type, x, r * C + c) - origin[c],
                        d1 = dr_load(type, x, (r + 1) * C + c) - origin[c];
            const float d2 = dr_load(type, x, (r + 2) * C + c) - origin[c],
                        d3 = dr_load(type, x, (r + 3) * C + c) - origin[c];
            sum[c] += (d0 + d1) + (d2 + d3);
            square[c] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        }
    for (; r < row + count; r++)
        for (int64_t c = 0; c < C; c++) {
            const float d = dr_load(type, x, r * C + c) - origin[c];
            sum[c] += d;
            square[c] += d * d;
        }
}

/* The middle one of three elements, `step` apart: one row that is far off is no origin to take distances from. */
VM_INLINE float middle(int type, const void *x, int64_t at, int64_t step)
{
    const float a = dr_load(type, x, at), b = dr_load(type, x, at + step), c = dr_load(type, x, at + 2 * step);
    const float low = a < b ? a : b, high = a < b ? b : a, rest = high < c ? high : c;
    return low < rest ? rest : low;
}

/* Rows [first, last) of x: mean and squares [C]; scratch [3 C]. The squares of some rows about their own mean are those
 * about the origin less count (mean - origin)^2. What that cancels is no larger than what joining then adds for the
 * distance between the two means; at first, where the origin is one of the rows, 64 times what that row adds. */
VM_INLINE void row_moments_of(int type, const void *x, int64_t first, int64_t last, int64_t C, double *mean,
                              double *squares, float *scratch)
{
    const int64_t step = dr_rows_at_once(C);
    float *origin = scratch, *sum = scratch + C, *square = scratch + 2 * C;
    for (int64_t c = 0; c < C; c++) {
        mean[c] = squares[c] = 0;
        origin[c] = middle(type, x, first * C + c, last - first < 3 ? 0 : C);
    }
    for (int64_t row = first; row < last; row += step) {
        const int64_t count = dr_min64(step, last - row);
        sum_distances(type, x, row, count, C, origin, sum, square);
        for (int64_t c = 0; c < C; c++) {
            const double shift = (double)sum[c] / (double)count,
                         own = (double)square[c] - shift * shift * (double)count;
            join(&mean[c], &squares[c], row - first, (double)origin[c] + shift, own > 0 ? own : 0, count);
            origin[c] = (float)mean[c];
        }
    }
}

static void row_moments(int type, const void *x, int64_t first, int64_t last, int64_t C, double *mean, double *squares,
                        float *scratch)
{
    if (type == DR_BF16) row_moments_of(DR_BF16, x, first, last, C, mean, squares, scratch);
    else row_moments_of(DR_F32, x, first, last, C, mean, squares, scratch);
}

/* one channel of planes: the runs x[(b C + c) L .. + L) for every b */
VM_INLINE void plane_moments_of(int type, const void *x, const dr_norm_shape *s, int64_t c, double *mean,
                                double *squares)
{
    *mean = *squares = 0;
    for (int64_t b = 0; b < s->planes; b++) {
        const int64_t run = (b * s->C + c) * s->L;
        double sum = 0, square = 0;
        for (int64_t i = 0; i < s->L; i++) sum += (double)dr_load(type, x, run + i);
        sum /= (double)s->L;
        for (int64_t i = 0; i < s->L; i++) {
            const double d = (double)dr_load(type, x, run + i) - sum;
            square += d * d;
        }
        join(mean, squares, b * s->L, sum, square, s->L);
    }
}

static void plane_moments(const void *x, const dr_norm_shape *s, int64_t c, double *mean, double *squares)
{
    if (s->type == DR_BF16) plane_moments_of(DR_BF16, x, s, c, mean, squares);
    else plane_moments_of(DR_F32, x, s, c, mean, squares);
}

bool dr_batch_moments(const dr_kargs *a, const dr_norm_shape *s, float *mean, float *var)
{
    const int64_t C = s->C, n = s->n;
    const void *x = dr_in(a, 0);
    if (s->L > 0) {
#pragma omp parallel for schedule(static) if (n * C > DR_CPU_PARALLEL)
        for (int64_t c = 0; c < C; c++) {
            double m, squares;
            plane_moments(x, s, c, &m, &squares);
            mean[c] = (float)m;
            var[c] = (float)(squares / (double)n);
        }
        return true;
    }
    const dr_blocks blocks = dr_cut(n, dr_rows_at_once(C));
    const int64_t doubles = 2 * C + (3 * C + 1) / 2; /* mean, squares; and three rows of floats */
    double *partial = dr_cpu_workspace(a, (size_t)(blocks.count * doubles) * sizeof(double));
    if (!partial) return false;
#pragma omp parallel for schedule(static) if (n * C > DR_CPU_PARALLEL)
    for (int64_t k = 0; k < blocks.count; k++) {
        double *p = partial + k * doubles;
        row_moments(s->type, x, k * blocks.size, dr_min64(n, (k + 1) * blocks.size), C, p, p + C, (float *)(p + 2 * C));
    }
    for (int64_t c = 0; c < C; c++) {
        double m = 0, squares = 0;
        for (int64_t k = 0; k < blocks.count; k++) {
            const double *p = partial + k * doubles;
            join(&m, &squares, k * blocks.size, p[c], p[C + c], dr_min64(blocks.size, n - k * blocks.size));
        }
        mean[c] = (float)m;
        var[c] = (float)(squares / (double)n);
    }
    return true;
}
