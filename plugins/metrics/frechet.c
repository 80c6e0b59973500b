/* frechet.c: distance of two Gaussians fitted to features of real and generated images.     Heusel et al. 2017 (FID)
 *   F = |mu - mu_r|^2 + tr S + tr S_r - 2 tr (S_r^1/2 S S_r^1/2)^1/2         mu, S: mean and covariance (n - 1)
 * S_r^1/2 comes once, from S_r's eigenvectors. With y = S_r^1/2 (x - mu_r) the last matrix is the covariance of y, so a
 * resample costs one covariance and its eigenvalues. Biased upwards by about 1/n: compare at the same n only. */
#include "rows.h"
#include "symmetric_eigen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    rows real, seen;
    /* made at the first evaluation after an update; NULL before */
    double *mean; /* [D] of the real rows */
    double *x;    /* [n,D]: seen - mean */
    double *y;    /* [n,D]: S_r^1/2 x */
    double real_trace;
    double *room;   /* [D,D], [D], [D] */
    int32_t *count; /* [n] */
} frechet;

static void forget_prepared(frechet *f)
{
    double **numbers[] = { &f->mean, &f->x, &f->y, &f->room };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        free(*numbers[i]);
        *numbers[i] = NULL;
    }
    free(f->count);
    f->count = NULL;
}

static dr_status reset(void *self)
{
    frechet *f = self;
    forget_prepared(f);
    rows_clear(&f->real);
    rows_clear(&f->seen);
    return DR_OK;
}

static void destroy(void *self)
{
    frechet *f = self;
    forget_prepared(f);
    rows_free(&f->real);
    rows_free(&f->seen);
}

static dr_status reference(void *self, dr_tensor *real, dr_split split)
{
    frechet *f = self;
    (void)split;
    return rows_append(&f->real, real, "frechet", NULL);
}

static dr_status update(void *self, dr_tensor *output, dr_tensor *label)
{
    frechet *f = self;
    (void)label;
    forget_prepared(f);
    return rows_append(&f->seen, output, "frechet", &f->real);
}

static int64_t samples(void *self) { return ((const frechet *)self)->seen.n; }

/* ---- covariances ------------------------------------------------------------------------------------------------- */

/* The lower triangle of C [D,D] += w z z^T, and its mirror image once at the end. */
static void add_square(double *C, int64_t D, const double *z, double w)
{
    for (int64_t i = 0; i < D; i++) {
        const double zi = w * z[i];
        double *row = C + i * D;
        for (int64_t j = 0; j <= i; j++) row[j] += zi * z[j];
    }
}

static void mirror(double *C, int64_t D)
{
    for (int64_t i = 0; i < D; i++) {
        for (int64_t j = 0; j < i; j++) C[j * D + i] = C[i * D + j];
    }
}

/* Covariance C [D,D] of the rows of y [m,D], row i taken count[i] times, n in all; mean and z [D] are room. */
static void covariance(const double *y, const int32_t *count, int64_t m, int64_t n, int64_t D, double *C, double *mean,
                       double *z)
{
    memset(mean, 0, (size_t)D * sizeof *mean);
    memset(C, 0, (size_t)(D * D) * sizeof *C);
    for (int64_t i = 0; i < m; i++) {
        for (int64_t d = 0; d < D && count[i]; d++) mean[d] += count[i] * y[i * D + d] / (double)n;
    }
    for (int64_t i = 0; i < m; i++) {
        if (!count[i]) continue;
        for (int64_t d = 0; d < D; d++) z[d] = y[i * D + d] - mean[d];
        add_square(C, D, z, count[i] / (double)(n - 1));
    }
    mirror(C, D);
}

static double trace(const double *C, int64_t D)
{
    double sum = 0.0;
    for (int64_t d = 0; d < D; d++) sum += C[d * D + d];
    return sum;
}

/* ---- what is computed once --------------------------------------------------------------------------------------- */

static double *numbers(int64_t n) { return calloc((size_t)n + 1, sizeof(double)); }

/* root = Q^T diag(sqrt(lambda)) Q of C, which is destroyed. */
static dr_status square_root(double *C, int64_t D, double *lambda, double *Q, double *root)
{
    if (symmetric_eigen(C, D, lambda, Q)) return dr_failed();
    memset(root, 0, (size_t)(D * D) * sizeof *root);
    for (int64_t k = 0; k < D; k++) add_square(root, D, Q + k * D, sqrt(fmax(lambda[k], 0.0)));
    mirror(root, D);
    return DR_OK;
}

/* x = seen - mean, y = root x */
static void project(frechet *f, const double *root)
{
    const int64_t D = f->seen.D;
    for (int64_t i = 0; i < f->seen.n; i++) {
        double *x = f->x + i * D, *y = f->y + i * D;
        for (int64_t d = 0; d < D; d++) x[d] = f->seen.v[i * D + d] - f->mean[d];
        for (int64_t k = 0; k < D; k++) {
            for (int64_t d = 0; d < D; d++) y[d] += root[k * D + d] * x[k];
        }
    }
}

/* room: real [m,D], Q [D,D], root [D,D], lambda [D] */
static dr_status prepare_in(frechet *f, double *room)
{
    const int64_t D = f->real.D, m = f->real.n;
    double *real = room, *Q = real + m * D, *root = Q + D * D, *lambda = root + D * D;
    int32_t *once = malloc((size_t)m * sizeof *once);
    if (!once) return dr_fail(DR_ENOMEM, "metric frechet: no memory");
    for (int64_t i = 0; i < m; i++) once[i] = 1;
    for (int64_t i = 0; i < m * D; i++) real[i] = f->real.v[i];
    covariance(real, once, m, m, D, f->room, f->mean, lambda);
    free(once);
    f->real_trace = trace(f->room, D);
    if (square_root(f->room, D, lambda, Q, root)) return dr_failed();
    project(f, root);
    return DR_OK;
}

static dr_status prepare(frechet *f)
{
    const int64_t D = f->real.D, m = f->real.n, n = f->seen.n;
    if (m < 2) return dr_fail(DR_EINVAL, "metric frechet: needs two real images at least: give them to reference()");
    f->mean = numbers(D), f->x = numbers(n * D), f->y = numbers(n * D), f->room = numbers(D * D + 2 * D);
    f->count = malloc((size_t)n * sizeof *f->count);
    double *room = numbers(m * D + 2 * D * D + D);
    if (f->mean && f->x && f->y && f->room && f->count && room) {
        prepare_in(f, room);
    } else {
        dr_fail(DR_ENOMEM, "metric frechet: no memory for %lld rows of %lld", (long long)n, (long long)D);
    }
    free(room);
    if (dr_failed()) forget_prepared(f);
    return dr_failed();
}

/* ---- evaluation -------------------------------------------------------------------------------------------------- */

/* |mu - mu_r|^2 + tr S of the counted rows, which lie around mu_r; mean [D] is room. */
static double mean_and_trace(const frechet *f, int64_t n, double *mean)
{
    const int64_t D = f->seen.D;
    double squares = 0.0, square_of_mean = 0.0;
    memset(mean, 0, (size_t)D * sizeof *mean);
    for (int64_t i = 0; i < f->seen.n; i++) {
        for (int64_t d = 0; d < D && f->count[i]; d++) mean[d] += f->count[i] * f->x[i * D + d] / (double)n;
    }
    for (int64_t i = 0; i < f->seen.n; i++) {
        for (int64_t d = 0; d < D && f->count[i]; d++) {
            const double off = f->x[i * D + d] - mean[d];
            squares += f->count[i] * off * off;
        }
    }
    for (int64_t d = 0; d < D; d++) square_of_mean += mean[d] * mean[d];
    return square_of_mean + squares / (double)(n - 1);
}

static dr_status evaluate(void *self, const int64_t *rows, int64_t n, double *value)
{
    frechet *f = self;
    if (n < 2) return dr_fail(DR_EINVAL, "metric frechet: needs two samples at least");
    if (!f->mean && prepare(f)) return dr_failed();
    const int64_t D = f->seen.D;
    double *C = f->room, *mean = C + D * D, *lambda = mean + D, roots = 0.0;
    memset(f->count, 0, (size_t)f->seen.n * sizeof *f->count);
    for (int64_t i = 0; i < n; i++) f->count[rows[i]]++;
    covariance(f->y, f->count, f->seen.n, n, D, C, mean, lambda);
    if (symmetric_eigen(C, D, lambda, NULL)) return dr_failed();
    for (int64_t d = 0; d < D; d++) roots += sqrt(fmax(lambda[d], 0.0));
    *value = fmax(mean_and_trace(f, n, mean) + f->real_trace - 2.0 * roots, 0.0); /* below 0 by rounding only */
    return DR_OK;
}

DR_METRIC(frechet, "Frechet distance of features of real and generated images; 0 is ideal; biased up for few samples",
          NULL, .space = DR_SPACE_FEATURES, .references = DR_REFERENCE_TEST, .values = 1, .value_name = { "frechet" },
          .range = { { 0.0, INFINITY } }, .reset = reset, .reference = reference, .update = update, .samples = samples,
          .evaluate = evaluate, .destroy = destroy, .better = { -1 })
