/* couplings.h: a batch of rows of numbers, and which noise each image got. */
#ifndef DRIFT_CHECK_COUPLINGS_H
#define DRIFT_CHECK_COUPLINGS_H

#include "check.h"

enum { PAIRED_MOST = 300 };
typedef struct paired_batch { /* rows of D numbers */
    int64_t B, D;
    dr_tensor *x0, *eps;
    double x[PAIRED_MOST * 8], e[PAIRED_MOST * 8];
} paired_batch;

paired_batch *paired_rows(int64_t B, int64_t D, uint32_t stream); /* the one there is, made anew */
/* Which row of eps each image got, by its numbers; every row exactly once, else it fails. */
void pairing_of(const paired_batch *b, dr_tensor *paired, int64_t *order);

#endif
