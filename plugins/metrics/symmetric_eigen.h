/* symmetric_eigen.h: eigenvalues, and vectors where wanted, of a real symmetric matrix, in double. */
#ifndef DRIFT_METRICS_SYMMETRIC_EIGEN_H
#define DRIFT_METRICS_SYMMETRIC_EIGEN_H

#include <drift/plugin.h>

/* A [n,n] row-major and symmetric, destroyed. lambda [n], in no order. Q [n,n] or NULL: row k is the unit vector of
 * lambda[k], so A = Q^T diag(lambda) Q. */
dr_status symmetric_eigen(double *A, int64_t n, double *lambda, double *Q);

#endif
