/* elementwise_binary.c: add, sub, mul, div, maximum, minimum, greater, where, axpy, with NumPy's broadcasting. The walk
 * cuts the output into runs along which each input is contiguous, one number, or (rarely) strided. */
#include "vector_math.h"
#include "walk.h"

typedef enum function { ADD, SUB, MUL, DIV, MAXIMUM, MINIMUM, GREATER, AXPY } function;

VM_INLINE float combine(function f, float scale, float a, float b)
{
    switch (f) {
    case ADD: return a + b;
    case SUB: return a - b;
    case MUL: return a * b;
    case DIV: return a / b;
    case MAXIMUM: return a > b || a != a ? a : b; /* NaN wins, in both */
    case MINIMUM: return a < b || a != a ? a : b;
    case GREATER: return a > b ? 1.0f : 0.0f;
    default: return scale * a + b; /* AXPY */
    }
}

/* a, b -> y; a and b may be one tensor, y is another */
VM_INLINE void run(function f, const dr_kargs *k, int64_t n, const int64_t *offset, const int64_t *stride)
{
    const float scale = f == AXPY ? (float)((const dr_axpy_attr *)k->attr)->scale : 0.0f;
    const float *a = (const float *)dr_in(k, 0) + offset[1], *b = (const float *)dr_in(k, 1) + offset[2];
    const int64_t step_a = stride[1], step_b = stride[2];
    float *restrict y = (float *)dr_out(k, 0) + offset[0]; /* dense: its last stride is 1 */
    if (step_a == 1 && step_b == 1) {
        for (int64_t i = 0; i < n; i++) y[i] = combine(f, scale, a[i], b[i]);
    } else if (step_a == 1 && step_b == 0) {
        const float one = *b;
        for (int64_t i = 0; i < n; i++) y[i] = combine(f, scale, a[i], one);
    } else if (step_a == 0 && step_b == 1) {
        const float one = *a;
        for (int64_t i = 0; i < n; i++) y[i] = combine(f, scale, one, b[i]);
    } else {
        for (int64_t i = 0; i < n; i++) y[i] = combine(f, scale, a[i * step_a], b[i * step_b]);
    }
}

static void walk(const dr_kargs *a, dr_run each)
{
    const dr_walk w = dr_walk_of((const dr_view *const[]){ &a->out[0], &a->in[0], &a->in[1] }, 3);
    dr_walk_run(&w, each, a);
}

#define BINARY(op, f) \
    static void op##_run(const void *a, int64_t n, const int64_t *offset, const int64_t *stride) \
    { \
        run(f, a, n, offset, stride); \
    } \
    static void op##_f32(const dr_kargs *a) { walk(a, op##_run); } \
    DR_KERNEL(op, DR_F32, op##_f32)

BINARY(add, ADD)
BINARY(sub, SUB)
BINARY(mul, MUL)
BINARY(div, DIV)
BINARY(maximum, MAXIMUM)
BINARY(minimum, MINIMUM)
BINARY(greater, GREATER)
BINARY(axpy, AXPY)

static void where_run(const void *ctx, int64_t n, const int64_t *offset,
                      const int64_t *stride) /* condition, a, b -> y */
{
    const dr_kargs *k = ctx;
    const float *condition = (const float *)dr_in(k, 0) + offset[1];
    const float *a = (const float *)dr_in(k, 1) + offset[2], *b = (const float *)dr_in(k, 2) + offset[3];
    const int64_t step_c = stride[1], step_a = stride[2], step_b = stride[3];
    float *restrict y = (float *)dr_out(k, 0) + offset[0];
    if (step_c == 1 && step_a == 1 && step_b == 1) {
        for (int64_t i = 0; i < n; i++) y[i] = condition[i] != 0.0f ? a[i] : b[i];
    } else {
        for (int64_t i = 0; i < n; i++) y[i] = condition[i * step_c] != 0.0f ? a[i * step_a] : b[i * step_b];
    }
}

static void where_f32(const dr_kargs *a)
{
    const dr_walk w = dr_walk_of((const dr_view *const[]){ &a->out[0], &a->in[0], &a->in[1], &a->in[2] }, 4);
    dr_walk_run(&w, where_run, a);
}

DR_KERNEL(where, DR_F32, where_f32)
