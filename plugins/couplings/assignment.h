/* assignment.h: the linear assignment problem: rows and columns paired one to one at the least total cost. */
#ifndef DRIFT_ASSIGNMENT_H
#define DRIFT_ASSIGNMENT_H

#include <drift/plugin.h>

/* cost[n*n], row-major and finite; column_of[i]: the column of row i. O(n^3). */
dr_status solve_assignment(const double *cost, int64_t n, int64_t *column_of);

#endif
