/* nearest_neighbour.c: are samples copies of training images?
 *                                       Meehan, Chaudhuri & Dasgupta 2020 (closer); Carlini et al. 2023 (copied)
 *   d(x) = distance of x to its nearest training image, in pixels;  T = the test images, which nobody has trained on
 *   copied = share of samples with d(x) < the `quantile` of d over T       ideal: `quantile`
 *   closer = P[d(sample) < d(test image)], ties half                        ideal: 0.5; towards 1 where copied
 * Samples that are smoother than real images lie closer to them, too: closer alone is no proof; look at pictures. */
#include "neighbours.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    double quantile;
    int64_t tests;
    rows train, given, test, seen; /* test: of those given, the ones that set the scale */
    bool prepared;
    double *real;   /* [test.n]: squared distances, rising */
    double *sample; /* [seen.n] */
} nearest_neighbour;

static const dr_param params[] = {
    DR_REAL(nearest_neighbour, quantile, 0.01, 0.0, 1.0, "share of real test images that count as if copied"),
    DR_INT(nearest_neighbour, tests, 2000, 1, 1 << 24, "test images at most that set the scale, evenly spaced"),
    DR_END
};

static void forget_prepared(nearest_neighbour *m)
{
    free(m->sample);
    free(m->real);
    m->sample = m->real = NULL;
    m->prepared = false;
}

static dr_status reset(void *self)
{
    nearest_neighbour *m = self;
    forget_prepared(m);
    rows_clear(&m->train);
    rows_clear(&m->given);
    rows_clear(&m->seen);
    return DR_OK;
}

static void destroy(void *self)
{
    nearest_neighbour *m = self;
    forget_prepared(m);
    rows_free(&m->train);
    rows_free(&m->given);
    rows_free(&m->test);
    rows_free(&m->seen);
}

static dr_status reference(void *self, dr_tensor *real, dr_split split)
{
    nearest_neighbour *m = self;
    if (split == DR_TRAIN) return rows_append(&m->train, real, "nearest_neighbour", &m->given);
    return rows_append(&m->given, real, "nearest_neighbour", &m->train);
}

static dr_status update(void *self, dr_tensor *output, dr_tensor *label)
{
    nearest_neighbour *m = self;
    (void)label;
    forget_prepared(m);
    return rows_append(&m->seen, output, "nearest_neighbour", &m->train);
}

static int64_t samples(void *self) { return ((const nearest_neighbour *)self)->seen.n; }

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static dr_status prepare(nearest_neighbour *m)
{
    if (m->train.n == 0 || m->given.n == 0) {
        return dr_fail(DR_EINVAL,
                       "metric nearest_neighbour: needs real images of both splits: give them to reference()");
    }
    forget_prepared(m);
    if (rows_thinned(&m->given, m->tests, &m->test)) return dr_failed();
    m->real = malloc((size_t)m->test.n * sizeof *m->real);
    m->sample = malloc((size_t)m->seen.n * sizeof *m->sample);
    if (!m->real || !m->sample) return dr_fail(DR_ENOMEM, "metric nearest_neighbour: no memory");
    if (neighbours_distance(&m->test, &m->train, 1, "nearest_neighbour", m->real) ||
        neighbours_distance(&m->seen, &m->train, 1, "nearest_neighbour", m->sample)) {
        return dr_failed();
    }
    qsort(m->real, (size_t)m->test.n, sizeof *m->real, rising);
    m->prepared = true;
    return DR_OK;
}

/* How many of the rising numbers are below x. */
static int64_t below(const double *sorted, int64_t n, double x)
{
    int64_t low = 0, high = n;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (sorted[middle] < x) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static double quantile_of(const double *sorted, int64_t n, double q)
{
    const double at = q * (double)(n - 1);
    const int64_t i = (int64_t)at;
    const double next = i + 1 < n ? sqrt(sorted[i + 1]) : sqrt(sorted[i]);
    return sqrt(sorted[i]) + (at - (double)i) * (next - sqrt(sorted[i]));
}

static dr_status evaluate(void *self, const int64_t *rows, int64_t n, double *value)
{
    nearest_neighbour *m = self;
    if (!m->prepared && prepare(m)) return dr_failed();
    const double limit = quantile_of(m->real, m->test.n, m->quantile);
    double copied = 0.0, farther = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const double d = m->sample[rows[i]];
        const int64_t less = below(m->real, m->test.n, d);
        const int64_t not_more = below(m->real, m->test.n, nextafter(d, INFINITY));
        copied += sqrt(d) < limit;
        farther += (double)(less + not_more) / 2.0;
    }
    value[0] = copied / (double)n;
    value[1] = 1.0 - farther / ((double)n * (double)m->test.n);
    return DR_OK;
}

DR_METRIC(nearest_neighbour,
          "Samples nearer to a training image than real test images are: copied (ideal: quantile), closer (0.5)",
          params, .space = DR_SPACE_PIXELS, .references = DR_REFERENCE_TRAIN | DR_REFERENCE_TEST, .values = 2,
          .value_name = { "copied", "closer" }, .range = { { 0.0, 1.0 }, { 0.0, 1.0 } }, .reset = reset,
          .reference = reference, .update = update, .samples = samples, .evaluate = evaluate, .destroy = destroy)
