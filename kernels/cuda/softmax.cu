/* softmax.cu: y = exp(x - max x)/sum exp(x - max x) along one axis, and dx = y (dy - sum y dy).
 * x is [outer, n, inner] around the axis. Where it is the last one, a warp has a line, which lies side by side;
 * otherwise a thread has one, and neighbours read neighbours. */
#include "block_sum.h"

typedef struct lines {
    int64_t outer, n, inner;
} lines;

static lines lines_of(const dr_view *x, int64_t dim)
{
    const int axis = (int)(dim < 0 ? dim + x->rank : dim);
    return lines{ dr_count(x, 0, axis), x->shape[axis], dr_count(x, axis + 1, x->rank) };
}

enum { LINES = 8, THREADS = 256 }; /* of a block: lines, a warp each; or lines, a thread each */

template <typename T, int N>
__global__ void softmax_last(const T *__restrict__ x, T *__restrict__ y, int64_t count, int64_t n)
{
    const int64_t line = blockIdx.x * (int64_t)LINES + threadIdx.y;
    if (line >= count) return;
    x += line * n;
    y += line * n;
    float largest = -INFINITY, sum = 0.0f;
    for (int64_t i = threadIdx.x * N; i < n; i += 32 * N) {
        const pack<T, N> v = load_pack<T, N>(x, i);
        for (int k = 0; k < N; k++) largest = fmaxf(largest, to_float(v.v[k]));
    }
    largest = warp_max(largest);
    for (int64_t i = threadIdx.x * N; i < n; i += 32 * N) {
        const pack<T, N> v = load_pack<T, N>(x, i);
        for (int k = 0; k < N; k++) sum += expf(to_float(v.v[k]) - largest);
    }
    const float share = 1.0f / warp_sum(sum);
    for (int64_t i = threadIdx.x * N; i < n; i += 32 * N) {
        pack<T, N> v = load_pack<T, N>(x, i);
        for (int k = 0; k < N; k++) v.v[k] = from_float<T>(expf(to_float(v.v[k]) - largest) * share);
        store_pack<T, N>(y, i, v);
    }
}

template <typename T, int N>
__global__ void softmax_last_backward(const T *__restrict__ y, const T *__restrict__ dy, T *__restrict__ dx,
                                      int64_t count, int64_t n)
{
    const int64_t line = blockIdx.x * (int64_t)LINES + threadIdx.y;
    if (line >= count) return;
    y += line * n;
    dy += line * n;
    dx += line * n;
    float dot = 0.0f;
    for (int64_t i = threadIdx.x * N; i < n; i += 32 * N) {
        const pack<T, N> v = load_pack<T, N>(y, i), g = load_pack<T, N>(dy, i);
        for (int k = 0; k < N; k++) dot += to_float(v.v[k]) * to_float(g.v[k]);
    }
    dot = warp_sum(dot);
    for (int64_t i = threadIdx.x * N; i < n; i += 32 * N) {
        pack<T, N> v = load_pack<T, N>(y, i);
        const pack<T, N> g = load_pack<T, N>(dy, i);
        for (int k = 0; k < N; k++) v.v[k] = from_float<T>(to_float(v.v[k]) * (to_float(g.v[k]) - dot));
        store_pack<T, N>(dx, i, v);
    }
}

template <typename T> __global__ void softmax_strided(const T *__restrict__ x, T *__restrict__ y, lines l)
{
    const int64_t line = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (line >= l.outer * l.inner) return;
    const int64_t from = line / l.inner * l.n * l.inner + line % l.inner;
    float largest = -INFINITY, sum = 0.0f;
    for (int64_t k = 0; k < l.n; k++) largest = fmaxf(largest, load(x, from + k * l.inner));
    for (int64_t k = 0; k < l.n; k++) sum += expf(load(x, from + k * l.inner) - largest);
    for (int64_t k = 0; k < l.n; k++) {
        const int64_t i = from + k * l.inner;
        store(y, i, expf(load(x, i) - largest) / sum);
    }
}

template <typename T>
__global__ void softmax_strided_backward(const T *__restrict__ y, const T *__restrict__ dy, T *__restrict__ dx, lines l)
{
    const int64_t line = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (line >= l.outer * l.inner) return;
    const int64_t from = line / l.inner * l.n * l.inner + line % l.inner;
    float dot = 0.0f;
    for (int64_t k = 0; k < l.n; k++) dot += load(y, from + k * l.inner) * load(dy, from + k * l.inner);
    for (int64_t k = 0; k < l.n; k++) {
        const int64_t i = from + k * l.inner;
        store(dx, i, load(y, i) * (load(dy, i) - dot));
    }
}

template <typename T> static bool by_packs(lines l, const void *x, const void *y, const void *z)
{
    return l.n % widest<T>() == 0 && dr_aligned(x, 16) && dr_aligned(y, 16) && dr_aligned(z, 16);
}

template <typename T> static void softmax(const dr_kargs *a) /* x -> y */
{
    const lines l = lines_of(&a->in[0], ((const dr_softmax_attr *)a->attr)->dim);
    const int64_t count = l.outer * l.inner;
    const T *x = (const T *)dr_in(a, 0);
    T *y = (T *)dr_out(a, 0);
    if (count * l.n == 0) return;
    const unsigned blocks = (unsigned)dr_blocks_for(count, l.inner == 1 ? LINES : THREADS);
    if (l.inner > 1) DR_LAUNCH(a, softmax_strided<T>, blocks, THREADS, 0, x, y, l);
    else if (!by_packs<T>(l, x, y, NULL))
        DR_LAUNCH(a, (softmax_last<T, 1>), blocks, dim3(32, LINES), 0, x, y, count, l.n);
    else DR_LAUNCH(a, (softmax_last<T, widest<T>()>), blocks, dim3(32, LINES), 0, x, y, count, l.n);
}

template <typename T> static void softmax_backward(const dr_kargs *a) /* y, dy -> dx */
{
    const lines l = lines_of(&a->in[0], ((const dr_softmax_backward_attr *)a->attr)->dim);
    const int64_t count = l.outer * l.inner;
    const T *y = (const T *)dr_in(a, 0), *dy = (const T *)dr_in(a, 1);
    T *dx = (T *)dr_out(a, 0);
    if (count * l.n == 0) return;
    const unsigned blocks = (unsigned)dr_blocks_for(count, l.inner == 1 ? LINES : THREADS);
    const dim3 warps(32, LINES);
    if (l.inner > 1) DR_LAUNCH(a, softmax_strided_backward<T>, blocks, THREADS, 0, y, dy, dx, l);
    else if (!by_packs<T>(l, y, dy, dx))
        DR_LAUNCH(a, (softmax_last_backward<T, 1>), blocks, warps, 0, y, dy, dx, count, l.n);
    else DR_LAUNCH(a, (softmax_last_backward<T, widest<T>()>), blocks, warps, 0, y, dy, dx, count, l.n);
}

DR_KERNEL(softmax, DR_F32, softmax<float>)
DR_KERNEL(softmax, DR_BF16, softmax<bf16>)
DR_KERNEL(softmax_backward, DR_F32, softmax_backward<float>)
DR_KERNEL(softmax_backward, DR_BF16, softmax_backward<bf16>)
