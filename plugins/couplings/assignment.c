/* assignment.c: the linear assignment problem by shortest augmenting paths.     Kuhn 1955; Jonker & Volgenant 1987
 *   potentials u, v keep every reduced cost c_ij - u_i - v_j >= 0, and = 0 on pairs; each row in turn is paired along the
 *   path of least reduced cost to a free column, found as Dijkstra finds paths, and the potentials follow its distances */
#include "assignment.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

typedef struct search {
    const double *cost;
    int64_t n;
    double *u, *v;       /* [n] potentials of rows and columns */
    int64_t *row_of;     /* [n] of a column, -1: free */
    double *distance;    /* [n] of a column from the row that is being placed */
    int64_t *row_before; /* [n] the row that the shortest way to a column comes through */
    bool *done;          /* [n] the column's distance is final */
} search;

/* From a row at `so_far`, the ways to the columns whose distance is not final. */
static void relax(const search *s, int64_t row, double so_far)
{
    for (int64_t j = 0; j < s->n; j++) {
        const double d = so_far + s->cost[row * s->n + j] - s->u[row] - s->v[j];
        if (s->done[j] || d >= s->distance[j]) continue;
        s->distance[j] = d;
        s->row_before[j] = row;
    }
}

static int64_t nearest(const search *s)
{
    int64_t best = -1;
    for (int64_t j = 0; j < s->n; j++) {
        if (!s->done[j] && (best < 0 || s->distance[j] < s->distance[best])) best = j;
    }
    return best;
}

/* The free column at the end of the shortest way from `row`. */
static int64_t find_free(search *s, int64_t row)
{
    for (int64_t j = 0; j < s->n; j++) {
        s->distance[j] = INFINITY;
        s->done[j] = false;
    }
    double so_far = 0.0;
    for (int64_t at = row;;) {
        relax(s, at, so_far);
        const int64_t j = nearest(s);
        s->done[j] = true;
        if (s->row_of[j] < 0) return j;
        so_far = s->distance[j];
        at = s->row_of[j];
    }
}

/* Columns nearer than the end, and the rows paired with them, shift by how much nearer they are. */
static void shift_potentials(search *s, int64_t row, int64_t end)
{
    const double far = s->distance[end];
    s->u[row] += far;
    for (int64_t j = 0; j < s->n; j++) {
        if (!s->done[j] || j == end) continue;
        s->u[s->row_of[j]] += far - s->distance[j];
        s->v[j] -= far - s->distance[j];
    }
}

static void place(search *s, int64_t row, int64_t *column_of)
{
    int64_t j = find_free(s, row);
    shift_potentials(s, row, j);
    for (int64_t at = -1; at != row;) { /* back along the way, each row takes the column after it */
        at = s->row_before[j];
        const int64_t left = column_of[at];
        s->row_of[j] = at;
        column_of[at] = j;
        j = left;
    }
}

dr_status solve_assignment(const double *cost, int64_t n, int64_t *column_of)
{
    const size_t N = (size_t)n;
    double *reals = calloc(3 * N + 1, sizeof *reals);
    int64_t *whole = calloc(2 * N + 1, sizeof *whole);
    bool *done = calloc(N + 1, sizeof *done);
    const bool there = reals && whole && done;
    if (there) {
        search s = { .cost = cost, .n = n, .u = reals, .v = reals + N, .distance = reals + 2 * N,
                     .row_of = whole, .row_before = whole + N, .done = done };
        for (int64_t i = 0; i < n; i++) s.row_of[i] = column_of[i] = -1;
        for (int64_t i = 0; i < n; i++) place(&s, i, column_of);
    }
    free(reals);
    free(whole);
    free(done);
    return there ? DR_OK : dr_fail(DR_ENOMEM, "no memory to pair %lld rows", (long long)n);
}
