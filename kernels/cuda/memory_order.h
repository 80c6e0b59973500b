/* memory_order.h: for kernels that move elements: the order in which a tensor's axes lie in memory (rank 4 is
 * channels-last, other ranks row-major), the size of an element, and the widest unit that can move it. */
#ifndef DRIFT_CUDA_MEMORY_ORDER_H
#define DRIFT_CUDA_MEMORY_ORDER_H

#include "cuda_kernel.h"

static inline int64_t dr_element_size(int32_t dtype) /* bytes */
{
    return dtype == DR_F64 || dtype == DR_I64   ? 8
           : dtype == DR_F32 || dtype == DR_I32 ? 4
           : dtype == DR_U8 || dtype == DR_BOOL ? 1
                                                : 2;
}

/* The axis at `place`, from the outermost in memory on. */
static inline int dr_axis_at(int rank, int place)
{
    if (rank != 4 || place == 0) return place;
    return place == 3 ? 1 : place + 1;
}

/* How memory looks around one axis: [outer, n, inner]. */
struct dr_around {
    int64_t outer, n, inner;
};
static inline dr_around dr_around_axis(const dr_view *v, int64_t dim)
{
    const int axis = (int)(dim < 0 ? dim + v->rank : dim);
    dr_around a = { 1, v->shape[axis], 1 };
    int place = 0;
    for (; dr_axis_at(v->rank, place) != axis; place++) a.outer *= v->shape[dr_axis_at(v->rank, place)];
    for (place++; place < v->rank; place++) a.inner *= v->shape[dr_axis_at(v->rank, place)];
    return a;
}

/* Units that memory is moved in: of 16 bytes wherever all addresses and lengths allow it. */
typedef pack<uint64_t, 2> unit16;

static inline int64_t dr_widest_unit(uint64_t bits) /* bits: all addresses and lengths in bytes, or-ed together */
{
    int64_t bytes = 16;
    while (bits & (uint64_t)(bytes - 1)) bytes /= 2;
    return bytes;
}

#endif
