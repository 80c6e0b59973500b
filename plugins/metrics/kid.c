/* kid.c: kernel inception distance: the squared maximum mean discrepancy of features.     Binkowski et al. 2018
 *   k(a, b) = (a.b / D + 1)^3
 *   KID = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(r_i, r_j) - 2 mean_{i,j} k(x_i, r_j)        x samples, r real
 * Unbiased at any number of samples, so it may be below 0. Pairs of samples are taken within blocks of `block` samples,
 * which bounds the memory (n block numbers) and not the number of samples. In a resample, pairs of two copies of one
 * sample are left out, so that it stays unbiased. */
#include "rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t block;
    rows real, seen;
    bool prepared;
    double real_mean; /* mean_{i != j} k(r_i, r_j) */
    double *cross;    /* [n]: mean_j k(x_i, r_j) */
    float *pairs;     /* [n,block]: k(x_i, x_j), j in i's block */
    double *weight;   /* [n]: room */
} kid;

static const dr_param params[] = {
    DR_INT(kid, block, 2000, 2, 1 << 20, "samples whose pairs are taken together"),
    DR_END
};

static void forget_prepared(kid *m)
{
    free(m->cross);
    free(m->pairs);
    free(m->weight);
    m->cross = m->weight = NULL, m->pairs = NULL;
    m->prepared = false;
}

static dr_status reset(void *self)
{
    kid *m = self;
    forget_prepared(m);
    rows_clear(&m->real);
    rows_clear(&m->seen);
    return DR_OK;
}

static void destroy(void *self)
{
    kid *m = self;
    forget_prepared(m);
    rows_free(&m->real);
    rows_free(&m->seen);
}

static dr_status reference(void *self, dr_tensor *real, dr_split split)
{
    kid *m = self;
    (void)split;
    return rows_append(&m->real, real, "kid", NULL);
}

static dr_status update(void *self, dr_tensor *output, dr_tensor *label)
{
    kid *m = self;
    (void)label;
    forget_prepared(m);
    return rows_append(&m->seen, output, "kid", &m->real);
}

static int64_t samples(void *self) { return ((const kid *)self)->seen.n; }

/* ---- what is computed once --------------------------------------------------------------------------------------- */
static double kernel(double product, int64_t D)
{
    const double s = product / (double)D + 1.0;
    return s * s * s;
}

static void add_real(void *ctx, int64_t i, int64_t j0, int64_t n, const float *product)
{
    kid *m = ctx;
    double sum = 0.0;
    for (int64_t k = 0; k < n; k++) sum += i == j0 + k ? 0.0 : kernel((double)product[k], m->real.D);
    m->real_mean += sum / ((double)m->real.n * (double)(m->real.n - 1));
}

static void add_cross(void *ctx, int64_t i, int64_t j0, int64_t n, const float *product)
{
    kid *m = ctx;
    double sum = 0.0;
    (void)j0;
    for (int64_t k = 0; k < n; k++) sum += kernel((double)product[k], m->real.D);
    m->cross[i] += sum / (double)m->real.n;
}

typedef struct block_at {
    kid *m;
    int64_t first;
} block_at;

static void keep_pairs(void *ctx, int64_t i, int64_t j0, int64_t n, const float *product)
{
    const block_at *b = ctx;
    float *row = b->m->pairs + (b->first + i) * b->m->block + j0;
    for (int64_t k = 0; k < n; k++) row[k] = (float)kernel((double)product[k], b->m->seen.D);
}

static int64_t block_size(const kid *m, int64_t first)
{
    return m->seen.n - first < m->block ? m->seen.n - first : m->block;
}

static dr_status fill(kid *m)
{
    m->real_mean = 0.0;
    rows_products(&m->real, &m->real, add_real, m);
    rows_products(&m->seen, &m->real, add_cross, m);
    for (int64_t first = 0; first < m->seen.n; first += m->block) {
        const rows part = { .n = block_size(m, first), .D = m->seen.D, .v = m->seen.v + first * m->seen.D };
        block_at b = { m, first };
        rows_products(&part, &part, keep_pairs, &b);
    }
    m->prepared = !dr_failed();
    return dr_failed();
}

static dr_status prepare(kid *m)
{
    if (m->real.n < 2)
        return dr_fail(DR_EINVAL, "metric kid: needs two real images at least: give them to reference()");
    forget_prepared(m);
    m->cross = calloc((size_t)m->seen.n, sizeof *m->cross);
    m->weight = calloc((size_t)m->seen.n, sizeof *m->weight);
    m->pairs = malloc((size_t)(m->seen.n * m->block) * sizeof *m->pairs);
    if (m->cross && m->weight && m->pairs) return fill(m);
    return dr_fail(DR_ENOMEM, "metric kid: no memory for the pairs of %lld samples", (long long)m->seen.n);
}

/* ---- evaluation -------------------------------------------------------------------------------------------------- */

/* sum over pairs i != j of the block of w_i w_j k(x_i, x_j); adds the pairs' weight to *total. */
static double block_sum(const kid *m, int64_t first, double *total)
{
    const int64_t n = block_size(m, first);
    const double *w = m->weight + first;
    double sum = 0.0, weights = 0.0, squares = 0.0;
    for (int64_t i = 0; i < n; i++) {
        if (w[i] == 0.0) continue;
        const float *row = m->pairs + (first + i) * m->block;
        double of_row = -w[i] * (double)row[i];
        for (int64_t j = 0; j < n; j++) of_row += w[j] * (double)row[j];
        sum += w[i] * of_row;
        weights += w[i], squares += w[i] * w[i];
    }
    *total += weights * weights - squares;
    return sum;
}

static dr_status evaluate(void *self, const int64_t *rows, int64_t n, double *value)
{
    kid *m = self;
    double within = 0.0, total = 0.0, cross = 0.0;
    if (m->seen.n < 2) return dr_fail(DR_EINVAL, "metric kid: needs two samples at least");
    if (!m->prepared && prepare(m)) return dr_failed();
    memset(m->weight, 0, (size_t)m->seen.n * sizeof *m->weight);
    for (int64_t i = 0; i < n; i++) {
        m->weight[rows[i]] += 1.0;
        cross += m->cross[rows[i]] / (double)n;
    }
    for (int64_t first = 0; first < m->seen.n; first += m->block) within += block_sum(m, first, &total);
    if (total == 0.0) { /* a resample of one sample alone */
        within = (double)m->pairs[rows[0] * m->block + rows[0] % m->block];
        total = 1.0;
    }
    *value = within / total + m->real_mean - 2.0 * cross;
    return DR_OK;
}

DR_METRIC(kid, "Kernel distance (unbiased squared MMD, cubic kernel) of features; 0 is ideal, it may fall below",
          params, .space = DR_SPACE_FEATURES, .references = DR_REFERENCE_TEST, .values = 1, .value_name = { "kid" },
          .reset = reset, .reference = reference, .update = update, .samples = samples, .evaluate = evaluate,
          .destroy = destroy, .better = { -1 })
