/* element.h: how the reference kernels see tensors. Every kernel computes in double on row-major dense copies of its
 * operands, so that one plain loop serves every dtype and every layout:
 *     dr_ref_operands m;
 *     if (!dr_ref_open(&m, a)) return;
 *     for (...) m.out[0][i] = ... m.in[0][i] ...;
 *     dr_ref_close(&m);
 * Doubles hold f32, f16, bf16, i32, u8 and bool exactly, and i64 up to 2^53. Everything here is [kernel]. */
#ifndef DRIFT_REF_ELEMENT_H
#define DRIFT_REF_ELEMENT_H

#include <drift/kernel.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* Element i of v, counted in row-major order of the logical shape. Storing rounds to nearest, ties to even, in floating
 * types; in integer types it cuts off the fraction and stops at the ends of the range (NaN is 0); bool is x != 0. */
double dr_ref_load(const dr_view *v, int64_t i);
void dr_ref_store(const dr_view *v, int64_t i, double x);

/* Walks v's elements in row-major order: index starts as zeros and offset as 0; moves index to the next element and
 * returns where in v's memory that is, in elements. */
int64_t dr_ref_next(const dr_view *v, int64_t index[DR_MAX_RANK], int64_t offset);

/* v broadcast to the shape of `like`, as NumPy does: axes align at the right, repeated axes have stride 0. */
dr_view dr_ref_expand(const dr_view *v, const dr_view *like);

/* All elements of v, from and to row-major doubles. */
void dr_ref_read(const dr_view *v, double *to);
void dr_ref_write(const dr_view *v, const double *from);

typedef struct dr_ref_operands {
    const dr_kargs *a;
    double **in;  /* row-major copies; NULL where an optional input is absent */
    double **out; /* row-major, zero at first */
    double *memory;
} dr_ref_operands;

/* Reads the inputs. False (with DR_ENOMEM recorded and nothing to close) when there is no memory for the copies. */
bool dr_ref_open(dr_ref_operands *m, const dr_kargs *a);
bool dr_ref_open_broadcast(dr_ref_operands *m, const dr_kargs *a); /* inputs expanded to the shape of output 0 */
void dr_ref_close(dr_ref_operands *m);                             /* writes the outputs and frees the copies */
void dr_ref_drop(dr_ref_operands *m);                              /* frees the copies only */

/* An axis that may be counted from the end; the product of shape[from..to). */
static inline int dr_ref_axis(int64_t dim, int rank) { return (int)(dim < 0 ? dim + rank : dim); }
static inline int64_t dr_ref_count(const dr_view *v, int from, int to)
{
    int64_t n = 1;
    for (int d = from; d < to; d++) n *= v->shape[d];
    return n;
}

/* activation.c: the function of a DR_ACT_... and its derivative. */
double dr_ref_activate(int64_t act, double z);
double dr_ref_activate_slope(int64_t act, double z);

#endif
