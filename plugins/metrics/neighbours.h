/* neighbours.h: nearest neighbours between two sets of rows, and which rows lie in the balls that reach to them. */
#ifndef DRIFT_METRICS_NEIGHBOURS_H
#define DRIFT_METRICS_NEIGHBOURS_H

#include "rows.h"

enum { NEIGHBOURS_MOST = 100 }; /* k at most */

/* squared [points.n]: squared distance of each point to its k-th nearest row of `among`. Where the two are the same
 * set (the same pointer), a row is not its own neighbour; a set with fewer than k others is an error. */
dr_status neighbours_distance(const rows *points, const rows *among, int64_t k, const char *metric, double *squared);

/* All (center, point) such that the point lies in the ball around the center that reaches to the center's k-th nearest
 * neighbour among the centers (the ball has its surface). out is zeroed, or was used. */
typedef struct hits {
    int64_t n, room;
    int32_t *center, *point;
} hits;
dr_status hits_find(const rows *centers, const rows *points, int64_t k, const char *metric, hits *out);
void hits_free(hits *h);

#endif
