/* symmetric_eigen.c: A = Q^T diag(lambda) Q of a symmetric matrix.     Golub & Van Loan, Matrix Computations, 8.3
 *   Householder reflections H = I - 2 v v^T / (v.v) bring A to tridiagonal form T;
 *   implicit QL steps with Wilkinson's shift bring T to diagonal form, one eigenvalue after another. */
#include "symmetric_eigen.h"

#include <math.h>
#include <stdlib.h>

/* ---- tridiagonal form: d [n] on the diagonal, e [n] below it, e[n-1] = 0 ----------------------------------------- */

/* v [m]: the reflection that takes the column x [m] to (alpha, 0, .., 0), scaled so that v.v = 2. Returns alpha; v is
 * zero where nothing is to be done. */
static double reflection(const double *x, int64_t m, double *v)
{
    double norm = 0.0, rest = 0.0;
    for (int64_t i = 0; i < m; i++) norm = hypot(norm, x[i]);
    for (int64_t i = 1; i < m; i++) rest = fmax(rest, fabs(x[i]));
    for (int64_t i = 0; i < m; i++) v[i] = 0.0;
    if (rest < 0x1p-1000) return x[0]; /* of a matrix of low rank such crumbs are left: no direction can be told of them */
    const double alpha = x[0] > 0.0 ? -norm : norm;
    const double scale = sqrt(norm) * sqrt(norm + fabs(x[0])); /* sqrt(v.v / 2); their product could underflow */
    for (int64_t i = 0; i < m; i++) v[i] = x[i] / scale;
    v[0] -= alpha / scale;
    return alpha;
}

/* B [m,m] (rows `stride` apart) becomes H B H = B - v w^T - w v^T,  w = p - (v.p / 2) v,  p = B v. w is room. */
static void reflect_both(double *B, int64_t stride, int64_t m, const double *v, double *w)
{
    double vp = 0.0;
    for (int64_t i = 0; i < m; i++) {
        w[i] = 0.0;
        for (int64_t j = 0; j < m; j++) w[i] += B[i * stride + j] * v[j];
        vp += w[i] * v[i];
    }
    for (int64_t i = 0; i < m; i++) w[i] -= vp / 2.0 * v[i];
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < m; j++) B[i * stride + j] -= v[i] * w[j] + w[i] * v[j];
    }
}

/* Rows k+1.. of Q [n,n] become H times them. w [n] is room. */
static void reflect_rows(double *Q, int64_t n, int64_t k, const double *v, double *w)
{
    const int64_t m = n - k - 1;
    double *rows = Q + (k + 1) * n;
    for (int64_t j = 0; j < n; j++) w[j] = 0.0;
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) w[j] += v[i] * rows[i * n + j];
    }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) rows[i * n + j] -= v[i] * w[j];
    }
}

static void tridiagonal(double *A, int64_t n, double *d, double *e, double *Q, double *room)
{
    double *column = room, *v = room + n, *w = room + 2 * n;
    for (int64_t k = 0; k < n; k++) {
        const int64_t m = n - k - 1;
        d[k] = A[k * n + k];
        e[k] = 0.0;
        if (m == 0) break;
        for (int64_t i = 0; i < m; i++) column[i] = A[(k + 1 + i) * n + k];
        e[k] = reflection(column, m, v);
        reflect_both(A + (k + 1) * n + k + 1, n, m, v, w);
        if (Q) reflect_rows(Q, n, k, v, w);
    }
}

/* ---- QL ---------------------------------------------------------------------------------------------------------- */

static void turn_rows(double *Q, int64_t n, int64_t i, double c, double s)
{
    double *a = Q + i * n, *b = a + n;
    for (int64_t j = 0; j < n; j++) {
        const double x = a[j], y = b[j];
        b[j] = s * x + c * y;
        a[j] = c * x - s * y;
    }
}

/* One step on rows l..m: the shift g is the eigenvalue of the leading 2x2 block that is nearer to d[l]; the bulge that
 * the first rotation makes is chased from m to l. */
static void step(double *d, double *e, int64_t n, int64_t l, int64_t m, double *Q)
{
    const double half = (d[l + 1] - d[l]) / (2.0 * e[l]);
    double g = d[m] - d[l] + e[l] / (half + copysign(hypot(half, 1.0), half));
    double s = 1.0, c = 1.0, moved = 0.0;
    for (int64_t i = m - 1; i >= l; i--) {
        const double f = s * e[i], b = c * e[i], r = hypot(f, g);
        e[i + 1] = r;
        if (r == 0.0) { /* the matrix has fallen into two parts */
            d[i + 1] -= moved;
            e[m] = 0.0;
            return;
        }
        s = f / r, c = g / r;
        const double gap = d[i + 1] - moved, twist = (d[i] - gap) * s + 2.0 * c * b;
        moved = s * twist;
        d[i + 1] = gap + moved;
        g = c * twist - b;
        if (Q) turn_rows(Q, n, i, c, s);
    }
    d[l] -= moved;
    e[l] = g;
    e[m] = 0.0;
}

/* What lies below the rounding of the whole matrix is nothing: a singular one would never come to rest. */
static int64_t end_of_block(const double *e, int64_t n, int64_t l, double size)
{
    int64_t m = l;
    while (m < n - 1 && fabs(e[m]) > 0x1p-53 * size) m++;
    return m;
}

static dr_status diagonal(double *d, double *e, int64_t n, double *Q)
{
    enum { MOST = 60 };
    double size = 0.0;
    for (int64_t i = 0; i < n; i++) size = fmax(size, fabs(d[i]) + fabs(e[i]));
    for (int64_t l = 0; l < n; l++) {
        for (int tries = 0;; tries++) {
            const int64_t m = end_of_block(e, n, l, size);
            if (tries == MOST || !isfinite(d[l])) return dr_fail(DR_EINVAL, "eigenvalues: the matrix is not finite");
            if (m == l) break;
            step(d, e, n, l, m, Q);
        }
    }
    return DR_OK;
}

dr_status symmetric_eigen(double *A, int64_t n, double *lambda, double *Q)
{
    double *room = malloc(4 * (size_t)n * sizeof *room + 1);
    if (!room) return dr_fail(DR_ENOMEM, "no memory for the eigenvalues of a matrix of %lld rows", (long long)n);
    for (int64_t i = 0; Q && i < n * n; i++) Q[i] = i % (n + 1) == 0 ? 1.0 : 0.0;
    tridiagonal(A, n, lambda, room + 3 * n, Q, room);
    const dr_status status = diagonal(lambda, room + 3 * n, n, Q);
    free(room);
    return status;
}
