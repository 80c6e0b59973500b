/* elementwise_binary.cu: add, sub, mul, div, maximum, minimum, greater, where, axpy, with NumPy's broadcasting. */
#include "map.h"

enum binary_op { ADD, SUB, MUL, DIV, MAXIMUM, MINIMUM, GREATER, AXPY };

template <int OP> struct binary_combine {
    float scale; /* of AXPY */
    __device__ float of(float a, float b) const
    {
        switch (OP) {
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
};

template <int OP, typename T> static void binary(const dr_kargs *a) /* a, b -> y */
{
    const binary_combine<OP> f = { OP == AXPY ? (float)((const dr_axpy_attr *)a->attr)->scale : 0.0f };
    map<T, 2>(a, f);
}

#define BINARY(op, OP) DR_KERNEL(op, DR_F32, (binary<OP, float>)) DR_KERNEL(op, DR_BF16, (binary<OP, bf16>))

BINARY(add, ADD)
BINARY(sub, SUB)
BINARY(mul, MUL)
BINARY(div, DIV)
BINARY(maximum, MAXIMUM)
BINARY(minimum, MINIMUM)
BINARY(greater, GREATER)
BINARY(axpy, AXPY)

struct where_choose {
    __device__ float of(float condition, float a, float b) const { return condition != 0.0f ? a : b; }
};

template <typename T> static void where(const dr_kargs *a) { map<T, 3>(a, where_choose{}); } /* condition, a, b -> y */

DR_KERNEL(where, DR_F32, where<float>)
DR_KERNEL(where, DR_BF16, where<bf16>)
