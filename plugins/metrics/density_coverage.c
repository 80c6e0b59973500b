/* density_coverage.c: precision and recall by real images' balls alone, so that outliers among the samples count for
 * nothing.                                                                     Naeem, Oh, Uh, Choi & Yoo 2020
 *   B_i = ball around real image i that reaches to its k-th nearest real neighbour;  N real images, M samples
 *   density  = (1/(k M)) sum_j sum_i [sample j in B_i]          coverage = (1/N) sum_i [some sample j in B_i]
 * Both have the expectation 1 - or, coverage, 1 - 2^-k for N = M large - where samples are as real images; density may
 * be above 1. Coverage grows with M/N: compare at the same numbers of images. */
#include "neighbours.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t k;
    bool balanced;
    rows given, real, seen; /* real: of those given, the ones in use */
    bool prepared;
    hits inside;      /* (real image's ball, sample in it) */
    int32_t *count;   /* [seen.n]: balls that the sample lies in */
    uint8_t *covered; /* [real.n]: room */
} density_coverage;

static const dr_param params[] = {
    DR_INT(density_coverage, k, 5, 1, NEIGHBOURS_MOST, "the neighbour that a ball reaches to"),
    DR_BOOL(density_coverage, balanced, 1, "take as many real images as there are samples, evenly spaced"),
    DR_END
};

static void forget_prepared(density_coverage *m)
{
    free(m->count);
    free(m->covered);
    hits_free(&m->inside);
    m->count = NULL, m->covered = NULL;
    m->prepared = false;
}

static dr_status reset(void *self)
{
    density_coverage *m = self;
    forget_prepared(m);
    rows_clear(&m->given);
    rows_clear(&m->seen);
    return DR_OK;
}

static void destroy(void *self)
{
    density_coverage *m = self;
    forget_prepared(m);
    rows_free(&m->given);
    rows_free(&m->real);
    rows_free(&m->seen);
}

static dr_status reference(void *self, dr_tensor *real, dr_split split)
{
    density_coverage *m = self;
    (void)split;
    return rows_append(&m->given, real, "density_coverage", NULL);
}

static dr_status update(void *self, dr_tensor *output, dr_tensor *label)
{
    density_coverage *m = self;
    (void)label;
    forget_prepared(m);
    return rows_append(&m->seen, output, "density_coverage", &m->given);
}

static int64_t samples(void *self) { return ((const density_coverage *)self)->seen.n; }

static dr_status prepare(density_coverage *m)
{
    if (m->given.n == 0)
        return dr_fail(DR_EINVAL, "metric density_coverage: needs real images: give them to reference()");
    forget_prepared(m);
    if (rows_thinned(&m->given, m->balanced ? m->seen.n : m->given.n, &m->real)) return dr_failed();
    m->count = calloc((size_t)m->seen.n + 1, sizeof *m->count);
    m->covered = calloc((size_t)m->real.n + 1, 1);
    if (!m->count || !m->covered) return dr_fail(DR_ENOMEM, "metric density_coverage: no memory");
    if (hits_find(&m->real, &m->seen, m->k, "density_coverage", &m->inside)) return dr_failed();
    for (int64_t h = 0; h < m->inside.n; h++) m->count[m->inside.point[h]]++;
    m->prepared = true;
    return DR_OK;
}

static dr_status evaluate(void *self, const int64_t *rows, int64_t n, double *value)
{
    density_coverage *m = self;
    int64_t balls = 0, covered = 0;
    if (!m->prepared && prepare(m)) return dr_failed();
    uint8_t *there = calloc((size_t)m->seen.n, 1);
    if (!there) return dr_fail(DR_ENOMEM, "metric density_coverage: no memory");
    for (int64_t i = 0; i < n; i++) {
        balls += m->count[rows[i]];
        there[rows[i]] = 1;
    }
    memset(m->covered, 0, (size_t)m->real.n);
    for (int64_t h = 0; h < m->inside.n; h++) m->covered[m->inside.center[h]] |= there[m->inside.point[h]];
    for (int64_t i = 0; i < m->real.n; i++) covered += m->covered[i];
    free(there);
    value[0] = (double)balls / ((double)m->k * (double)n);
    value[1] = (double)covered / (double)m->real.n;
    return DR_OK;
}

DR_METRIC(density_coverage, "How densely samples lie among real images, and the share of those with a sample near",
          params, .space = DR_SPACE_FEATURES, .references = DR_REFERENCE_TEST, .values = 2,
          .value_name = { "density", "coverage" }, .range = { { 0.0, INFINITY }, { 0.0, 1.0 } }, .reset = reset,
          .reference = reference, .update = update, .samples = samples, .evaluate = evaluate, .destroy = destroy, .better = { 1, 1 })
