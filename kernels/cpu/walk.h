/* walk.h: goes through several tensors of one (broadcast) shape together, in the order of the first one's memory. Axes
 * that lie behind one another in all of them are joined, so that most walks are few long runs. */
#ifndef DRIFT_CPU_WALK_H
#define DRIFT_CPU_WALK_H

#include "cpu_backend.h"

enum { DR_WALK_TENSORS = 4 };

typedef struct dr_walk {
    int tensors, rank;
    int64_t shape[DR_MAX_RANK];                   /* the last axis is the run; rank 0: one run of one element */
    int64_t stride[DR_WALK_TENSORS][DR_MAX_RANK]; /* elements; 0 where a tensor is repeated */
} dr_walk;

/* v[0] has the whole shape; the others broadcast to it as NumPy does. [kernel] */
dr_walk dr_walk_of(const dr_view *const *v, int tensors);

/* One run: n elements, tensor i from offset[i] on by steps of stride[i], in elements. [kernel], from several threads */
typedef void (*dr_run)(const void *ctx, int64_t n, const int64_t *offset, const int64_t *stride);
void dr_walk_run(const dr_walk *w, dr_run run, const void *ctx);

/* The same for dense tensors with equal strides: calls run with pieces [first, first + n) of the count elements. */
typedef void (*dr_piece)(const void *ctx, int64_t first, int64_t n);
void dr_pieces(int64_t count, dr_piece piece, const void *ctx);

#endif
