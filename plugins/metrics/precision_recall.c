/* precision_recall.c: are the samples like real images, and are all real images among the like of the samples?
 *                                                                  Kynkaanniemi, Karras, Laine, Lehtinen & Aila 2019
 *   manifold(S) = union over s in S of the ball around s that reaches to its k-th nearest neighbour in S
 *   precision = share of samples in manifold(real),   recall = share of real images in manifold(samples)
 * Both depend on the numbers of images: compare at the same ones; as in the paper, as many real ones as samples. In a
 * resample the samples' balls keep the radii that they have among all samples: copies at distance 0 would shrink them
 * to nothing. */
#include "neighbours.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t k;
    bool balanced;
    rows given, real, seen; /* real: of those given, the ones in use */
    bool prepared;
    uint8_t *precise; /* [seen.n]: in the real manifold */
    hits recalled;    /* (sample's ball, real image in it) */
    uint8_t *reached; /* [real.n]: room */
} precision_recall;

static const dr_param params[] = {
    DR_INT(precision_recall, k, 3, 1, NEIGHBOURS_MOST, "the neighbour that a ball reaches to"),
    DR_BOOL(precision_recall, balanced, 1, "take as many real images as there are samples, evenly spaced"),
    DR_END
};

static void forget_prepared(precision_recall *m)
{
    free(m->precise);
    free(m->reached);
    hits_free(&m->recalled);
    m->precise = m->reached = NULL;
    m->prepared = false;
}

static dr_status reset(void *self)
{
    precision_recall *m = self;
    forget_prepared(m);
    rows_clear(&m->given);
    rows_clear(&m->seen);
    return DR_OK;
}

static void destroy(void *self)
{
    precision_recall *m = self;
    forget_prepared(m);
    rows_free(&m->given);
    rows_free(&m->real);
    rows_free(&m->seen);
}

static dr_status reference(void *self, dr_tensor *real, dr_split split)
{
    precision_recall *m = self;
    (void)split;
    return rows_append(&m->given, real, "precision_recall", NULL);
}

static dr_status update(void *self, dr_tensor *output, dr_tensor *label)
{
    precision_recall *m = self;
    (void)label;
    forget_prepared(m);
    return rows_append(&m->seen, output, "precision_recall", &m->given);
}

static int64_t samples(void *self) { return ((const precision_recall *)self)->seen.n; }

static dr_status prepare(precision_recall *m)
{
    hits real = { 0 };
    if (m->given.n == 0)
        return dr_fail(DR_EINVAL, "metric precision_recall: needs real images: give them to reference()");
    forget_prepared(m);
    if (rows_thinned(&m->given, m->balanced ? m->seen.n : m->given.n, &m->real)) return dr_failed();
    m->precise = calloc((size_t)m->seen.n + 1, 1);
    m->reached = calloc((size_t)m->real.n + 1, 1);
    if (!m->precise || !m->reached) return dr_fail(DR_ENOMEM, "metric precision_recall: no memory");
    if (hits_find(&m->real, &m->seen, m->k, "precision_recall", &real) == DR_OK) {
        for (int64_t h = 0; h < real.n; h++) m->precise[real.point[h]] = 1;
        hits_find(&m->seen, &m->real, m->k, "precision_recall", &m->recalled);
    }
    hits_free(&real);
    m->prepared = !dr_failed();
    return dr_failed();
}

static double share(const uint8_t *yes, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += yes[i];
    return (double)count / (double)n;
}

static dr_status evaluate(void *self, const int64_t *rows, int64_t n, double *value)
{
    precision_recall *m = self;
    int64_t precise = 0;
    if (!m->prepared && prepare(m)) return dr_failed();
    uint8_t *there = calloc((size_t)m->seen.n, 1);
    if (!there) return dr_fail(DR_ENOMEM, "metric precision_recall: no memory");
    for (int64_t i = 0; i < n; i++) {
        precise += m->precise[rows[i]];
        there[rows[i]] = 1;
    }
    memset(m->reached, 0, (size_t)m->real.n);
    for (int64_t h = 0; h < m->recalled.n; h++) m->reached[m->recalled.point[h]] |= there[m->recalled.center[h]];
    value[0] = (double)precise / (double)n;
    value[1] = share(m->reached, m->real.n);
    free(there);
    return DR_OK;
}

DR_METRIC(precision_recall, "Share of samples within the real images' manifold, and the reverse; 1 is ideal", params,
          .space = DR_SPACE_FEATURES, .references = DR_REFERENCE_TEST, .values = 2,
          .value_name = { "precision", "recall" }, .range = { { 0.0, 1.0 }, { 0.0, 1.0 } }, .reset = reset,
          .reference = reference, .update = update, .samples = samples, .evaluate = evaluate, .destroy = destroy, .better = { 1, 1 })
