/* memory_order.h: for kernels that move elements: the order in which a tensor's axes lie in memory (rank 4 is
 * channels-last, other ranks row-major), the size of an element, and rows of bytes copied or cleared by all threads. */
#ifndef DRIFT_CPU_MEMORY_ORDER_H
#define DRIFT_CPU_MEMORY_ORDER_H

#include "cpu_backend.h"
#include <string.h>

/* Axis order[0] is the outermost in memory. */
static inline const int *dr_memory_order(int rank)
{
    static const int row_major[DR_MAX_RANK] = { 0, 1, 2, 3, 4 }, channels_last[DR_MAX_RANK] = { 0, 2, 3, 1 };
    return rank == 4 ? channels_last : row_major;
}

static inline int64_t dr_element_size(int32_t dtype)
{
    static const int64_t size[DR_DTYPE_COUNT] = {
        [DR_F32] = 4, [DR_F64] = 8, [DR_BF16] = 2, [DR_F16] = 2, [DR_I32] = 4, [DR_I64] = 8, [DR_U8] = 1, [DR_BOOL] = 1,
    };
    return size[dtype];
}

/* How memory looks around one axis: [outer, n, inner]. */
typedef struct dr_around {
    int64_t outer, n, inner;
} dr_around;
static inline dr_around dr_around_axis(const dr_view *v, int64_t dim)
{
    const int *order = dr_memory_order(v->rank);
    const int axis = (int)(dim < 0 ? dim + v->rank : dim);
    dr_around a = { 1, v->shape[axis], 1 };
    int place = 0;
    for (; order[place] != axis; place++) a.outer *= v->shape[order[place]];
    for (place++; place < v->rank; place++) a.inner *= v->shape[order[place]];
    return a;
}

/* Long rows are cut, so that a few of them keep all threads busy. */
enum { DR_ROW_PART = 65536 };

/* `rows` rows of `bytes` bytes; the next one begins to_step, from_step bytes further on. */
static inline void dr_copy_rows(char *to, int64_t to_step, const char *from, int64_t from_step, int64_t bytes,
                                int64_t rows)
{
    const int64_t parts = (bytes + DR_ROW_PART - 1) / DR_ROW_PART;
#pragma omp parallel for collapse(2) schedule(static) if (rows * bytes > 4 * DR_CPU_PARALLEL)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t p = 0; p < parts; p++) {
            const int64_t at = p * DR_ROW_PART;
            memcpy(to + r * to_step + at, from + r * from_step + at, (size_t)dr_min64(DR_ROW_PART, bytes - at));
        }
}

static inline void dr_clear_rows(char *to, int64_t to_step, int64_t bytes, int64_t rows)
{
    const int64_t parts = (bytes + DR_ROW_PART - 1) / DR_ROW_PART;
#pragma omp parallel for collapse(2) schedule(static) if (rows * bytes > 4 * DR_CPU_PARALLEL)
    for (int64_t r = 0; r < rows; r++)
        for (int64_t p = 0; p < parts; p++) {
            const int64_t at = p * DR_ROW_PART;
            memset(to + r * to_step + at, 0, (size_t)dr_min64(DR_ROW_PART, bytes - at));
        }
}

#endif
