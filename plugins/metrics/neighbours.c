/* neighbours.c: nearest neighbours by |a - b|^2 = |a|^2 + |b|^2 - 2 a.b, the products from the device's matmul. Those
 * are f32 and differ a little from device to device, so they only choose the candidates: what is returned, and what
 * decides whether a point is in a ball, is computed again from the rows in double. */
#include "neighbours.h"

#include <math.h>
#include <stdlib.h>

static double exact(const rows *a, int64_t i, const rows *b, int64_t j)
{
    double sum = 0.0;
    for (int64_t d = 0; d < a->D; d++) {
        const double off = (double)a->v[i * a->D + d] - b->v[j * a->D + d];
        sum += off * off;
    }
    return sum;
}

/* ---- the k nearest ----------------------------------------------------------------------------------------------- */
enum { SPARE = 8 }; /* candidates beyond k */

typedef struct search {
    const rows *points, *among;
    double *points_square, *among_square;
    int64_t keep; /* candidates of each point */
    double *d;    /* [points.n,keep]: rising; INFINITY where there is none yet */
    int32_t *at;  /* [points.n,keep] */
} search;

static void insert(double *d, int32_t *at, int64_t keep, double squared, int64_t j)
{
    int64_t place = keep - 1;
    for (; place > 0 && d[place - 1] > squared; place--) d[place] = d[place - 1], at[place] = at[place - 1];
    d[place] = squared, at[place] = (int32_t)j;
}

static void look(void *ctx, int64_t i, int64_t j0, int64_t n, const float *product)
{
    const search *s = ctx;
    double *d = s->d + i * s->keep;
    int32_t *at = s->at + i * s->keep;
    const bool same = s->points == s->among;
    for (int64_t k = 0; k < n; k++) {
        const double squared = s->points_square[i] + s->among_square[j0 + k] - 2.0 * (double)product[k];
        if (squared < d[s->keep - 1] && !(same && i == j0 + k)) insert(d, at, s->keep, squared, j0 + k);
    }
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void settle(const search *s, int64_t k, double *squared)
{
    for (int64_t i = 0; i < s->points->n; i++) {
        double *d = s->d + i * s->keep;
        int64_t n = 0;
        for (; n < s->keep && d[n] < INFINITY; n++) d[n] = exact(s->points, i, s->among, s->at[i * s->keep + n]);
        qsort(d, (size_t)n, sizeof *d, rising);
        squared[i] = d[k - 1];
    }
}

dr_status neighbours_distance(const rows *points, const rows *among, int64_t k, const char *metric, double *squared)
{
    const int64_t others = among->n - (points == among);
    if (others < k) {
        return dr_fail(DR_EINVAL, "metric %s: a neighbour of rank %lld needs more rows than %lld", metric, (long long)k,
                       (long long)among->n);
    }
    search s = { .points = points, .among = among, .keep = k + SPARE };
    const int64_t numbers = points->n * s.keep;
    s.points_square = rows_squares(points, metric), s.among_square = rows_squares(among, metric);
    s.d = malloc((size_t)numbers * sizeof *s.d + 1), s.at = malloc((size_t)numbers * sizeof *s.at + 1);
    if (s.points_square && s.among_square && s.d && s.at) {
        for (int64_t i = 0; i < numbers; i++) s.d[i] = INFINITY;
        if (rows_products(points, among, look, &s) == DR_OK) settle(&s, k, squared);
    } else {
        dr_fail(DR_ENOMEM, "metric %s: no memory for the neighbours of %lld rows", metric, (long long)points->n);
    }
    free(s.points_square), free(s.among_square), free(s.d), free(s.at);
    return dr_failed();
}

/* ---- balls ------------------------------------------------------------------------------------------------------- */
typedef struct balls {
    const rows *centers, *points;
    double *center_square, *point_square, *radius; /* radius: squared */
    hits *out;
    bool full; /* of memory */
} balls;

static void add(balls *b, int64_t center, int64_t point)
{
    hits *h = b->out;
    if (h->n == h->room) {
        const int64_t room = 2 * h->room + 1024;
        int32_t *c = realloc(h->center, (size_t)room * sizeof *c);
        if (c) h->center = c;
        int32_t *p = realloc(h->point, (size_t)room * sizeof *p);
        if (p) h->point = p;
        b->full = !c || !p;
        if (b->full) return;
        h->room = room;
    }
    h->center[h->n] = (int32_t)center, h->point[h->n] = (int32_t)point;
    h->n++;
}

static void test(void *ctx, int64_t i, int64_t j0, int64_t n, const float *product)
{
    balls *b = ctx;
    for (int64_t k = 0; k < n && !b->full; k++) {
        const double sum = b->center_square[i] + b->point_square[j0 + k], doubt = 1e-4 * sum;
        const double squared = sum - 2.0 * (double)product[k];
        if (squared > b->radius[i] + doubt) continue;
        if (squared < b->radius[i] - doubt || exact(b->centers, i, b->points, j0 + k) <= b->radius[i])
            add(b, i, j0 + k);
    }
}

dr_status hits_find(const rows *centers, const rows *points, int64_t k, const char *metric, hits *out)
{
    balls b = { .centers = centers, .points = points, .out = out };
    out->n = 0;
    b.center_square = rows_squares(centers, metric), b.point_square = rows_squares(points, metric);
    b.radius = malloc((size_t)centers->n * sizeof *b.radius + 1);
    if (b.center_square && b.point_square && b.radius) {
        if (neighbours_distance(centers, centers, k, metric, b.radius) == DR_OK)
            rows_products(centers, points, test, &b);
    } else {
        b.full = true;
    }
    if (b.full) dr_fail(DR_ENOMEM, "metric %s: no memory for the balls of %lld rows", metric, (long long)centers->n);
    free(b.center_square), free(b.point_square), free(b.radius);
    return dr_failed();
}

void hits_free(hits *h)
{
    free(h->center);
    free(h->point);
    *h = (hits){ 0 };
}
