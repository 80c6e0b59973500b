/* elementwise_binary.c: add, sub, mul, div, maximum, minimum, greater, where, axpy, with NumPy's broadcasting. The walk
 * cuts the output into runs along which each input is contiguous, one number, or (rarely) strided. f32 or bf16. */
#include "bf16.h"
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
VM_INLINE void run(int type, function f, const dr_kargs *k, int64_t n, const int64_t *offset, const int64_t *stride)
{
    const float scale = f == AXPY ? (float)((const dr_axpy_attr *)k->attr)->scale : 0.0f;
    const void *a = dr_from(type, dr_in(k, 0), offset[1]), *b = dr_from(type, dr_in(k, 1), offset[2]);
    const int64_t step_a = stride[1], step_b = stride[2];
    void *restrict y = dr_into(type, dr_out(k, 0), offset[0]); /* dense: its last stride is 1 */
    if (step_a == 1 && step_b == 1) {
        for (int64_t i = 0; i < n; i++)
            dr_store(type, y, i, combine(f, scale, dr_load(type, a, i), dr_load(type, b, i)));
    } else if (step_a == 1 && step_b == 0) {
        const float one = dr_load(type, b, 0);
        for (int64_t i = 0; i < n; i++) dr_store(type, y, i, combine(f, scale, dr_load(type, a, i), one));
    } else if (step_a == 0 && step_b == 1) {
        const float one = dr_load(type, a, 0);
        for (int64_t i = 0; i < n; i++) dr_store(type, y, i, combine(f, scale, one, dr_load(type, b, i)));
    } else {
        for (int64_t i = 0; i < n; i++)
            dr_store(type, y, i, combine(f, scale, dr_load(type, a, i * step_a), dr_load(type, b, i * step_b)));
    }
}

static void walk(const dr_kargs *a, dr_run each)
{
    const dr_walk w = dr_walk_of((const dr_view *const[]){ &a->out[0], &a->in[0], &a->in[1] }, 3);
    dr_walk_run(&w, each, a);
}

#define BINARY_OF(op, f, suffix, type) \
    static void op##_run_##suffix(const void *a, int64_t n, const int64_t *offset, const int64_t *stride) \
    { \
        run(type, f, a, n, offset, stride); \
    } \
    static void op##_##suffix(const dr_kargs *a) { walk(a, op##_run_##suffix); } \
    DR_KERNEL(op, type, op##_##suffix)
#define BINARY(op, f) BINARY_OF(op, f, f32, DR_F32) BINARY_OF(op, f, bf16, DR_BF16)

BINARY(add, ADD)
BINARY(sub, SUB)
BINARY(mul, MUL)
BINARY(div, DIV)
BINARY(maximum, MAXIMUM)
BINARY(minimum, MINIMUM)
BINARY(greater, GREATER)
BINARY(axpy, AXPY)

VM_INLINE void choose(int type, const dr_kargs *k, int64_t n, const int64_t *offset, const int64_t *stride)
{
    const void *condition = dr_from(type, dr_in(k, 0), offset[1]);
    const void *a = dr_from(type, dr_in(k, 1), offset[2]), *b = dr_from(type, dr_in(k, 2), offset[3]);
    const int64_t step_c = stride[1], step_a = stride[2], step_b = stride[3];
    void *restrict y = dr_into(type, dr_out(k, 0), offset[0]);
    if (step_c == 1 && step_a == 1 && step_b == 1) {
        for (int64_t i = 0; i < n; i++)
            dr_store(type, y, i, dr_load(type, condition, i) != 0.0f ? dr_load(type, a, i) : dr_load(type, b, i));
    } else {
        for (int64_t i = 0; i < n; i++) {
            const bool yes = dr_load(type, condition, i * step_c) != 0.0f;
            dr_store(type, y, i, yes ? dr_load(type, a, i * step_a) : dr_load(type, b, i * step_b));
        }
    }
}

static void where_run_f32(const void *a, int64_t n, const int64_t *offset, const int64_t *stride)
{
    choose(DR_F32, a, n, offset, stride);
}

static void where_run_bf16(const void *a, int64_t n, const int64_t *offset, const int64_t *stride)
{
    choose(DR_BF16, a, n, offset, stride);
}

static void where(const dr_kargs *a) /* condition, a, b -> y */
{
    const dr_walk w = dr_walk_of((const dr_view *const[]){ &a->out[0], &a->in[0], &a->in[1], &a->in[2] }, 4);
    dr_walk_run(&w, a->out[0].dtype == DR_BF16 ? where_run_bf16 : where_run_f32, a);
}

DR_KERNEL(where, DR_F32, where)
DR_KERNEL(where, DR_BF16, where)
