/* max_pool2d.cu: y = the maximum of each k x k window, windows `stride` apart, no padding. The gradient goes to the first
 * maximum of the window in row-major order. NaN is largest. Images lie channels-last; a thread has a pack of channels. */
#include "image_index.h"

struct pool {
    int32_t C, H, W, Ho, Wo, k, stride; /* x [B,C,H,W], y [B,C,Ho,Wo] */
    int32_t rows, columns, packs;       /* what an image is divided into: windows, cells or pixels, of so many packs */
    int64_t n;                          /* in all */
};

static pool pool_of(const dr_view *x, const dr_view *y, int64_t kernel, int64_t stride)
{
    pool p = {};
    p.C = (int32_t)x->shape[1], p.H = (int32_t)x->shape[2], p.W = (int32_t)x->shape[3];
    p.Ho = (int32_t)y->shape[2], p.Wo = (int32_t)y->shape[3];
    p.k = (int32_t)kernel, p.stride = (int32_t)(stride ? stride : kernel);
    return p;
}

static void divide(pool *p, int64_t B, int32_t rows, int32_t columns, int V)
{
    p->rows = rows, p->columns = columns, p->packs = p->C / V;
    p->n = B * rows * columns * p->packs;
}

template <int V> struct maxima {
    float value[V];
    int32_t at[V]; /* which pixel of the window is the first maximum */
};

/* x: the window's first pixel, at the thread's first channel */
template <typename T, int V> __device__ inline maxima<V> maxima_of(const pool &p, const T *x)
{
    maxima<V> m;
#pragma unroll
    for (int v = 0; v < V; v++) {
        m.value[v] = -INFINITY;
        m.at[v] = 0;
    }
    for (int ky = 0; ky < p.k; ky++)
        for (int kx = 0; kx < p.k; kx++) {
            const pack<T, V> pixel = load_pack<T, V>(x, ((int64_t)ky * p.W + kx) * p.C);
#pragma unroll
            for (int v = 0; v < V; v++) {
                const float value = to_float(pixel.v[v]);
                const bool first_nan = value != value && m.value[v] == m.value[v];
                if (!(value > m.value[v]) && !first_nan) continue;
                m.value[v] = value;
                m.at[v] = ky * p.k + kx;
            }
        }
    return m;
}

template <typename T> __device__ inline const T *window(const pool &p, const T *x, int64_t b, int oy, int ox, int c)
{
    return x + ((b * p.H + oy * p.stride) * p.W + ox * p.stride) * p.C + c;
}

template <typename T, int V> __global__ void max_pool2d(pool p, const T *x, T *y)
{
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i >= p.n) return;
    const image_index at = image_index_of(i, p.rows, p.columns, p.packs);
    const maxima<V> m = maxima_of<T, V>(p, window(p, x, at.b, at.y, at.x, at.c * V));
    pack<T, V> out;
#pragma unroll
    for (int v = 0; v < V; v++) out.v[v] = from_float<T>(m.value[v]);
    store_pack(y, i * V, out);
}

/* Windows that do not overlap: a thread writes a cell, the pixels from a window's first to those of the next. The last
 * cells of rows and columns may have no window. */
template <typename T, int V> __global__ void max_pool2d_backward_cells(pool p, const T *x, const T *dy, T *dx)
{
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i >= p.n) return;
    const image_index at = image_index_of(i, p.rows, p.columns, p.packs);
    const bool has_window = at.y < p.Ho && at.x < p.Wo;
    const int top = at.y * p.stride, left = at.x * p.stride;
    maxima<V> m = {};
    pack<T, V> grad = {};
    if (has_window) {
        m = maxima_of<T, V>(p, window(p, x, at.b, at.y, at.x, at.c * V));
        grad = load_pack<T, V>(dy, ((at.b * p.Ho + at.y) * p.Wo + at.x) * p.C + at.c * V);
    }
    for (int ky = 0; ky < p.stride && top + ky < p.H; ky++)
        for (int kx = 0; kx < p.stride && left + kx < p.W; kx++) {
            const int place = ky < p.k && kx < p.k && has_window ? ky * p.k + kx : -1;
            pack<T, V> out;
#pragma unroll
            for (int v = 0; v < V; v++) out.v[v] = m.at[v] == place ? grad.v[v] : from_float<T>(0.0f);
            store_pack(dx, ((at.b * p.H + top + ky) * p.W + left + kx) * p.C + at.c * V, out);
        }
}

/* Windows that overlap: a thread writes a pixel, to which each window over it gives, or not. */
template <typename T, int V> __global__ void max_pool2d_backward_pixels(pool p, const T *x, const T *dy, T *dx)
{
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i >= p.n) return;
    const image_index at = image_index_of(i, p.rows, p.columns, p.packs);
    const int top = at.y < p.k ? 0 : (at.y - p.k) / p.stride + 1, bottom = min(at.y / p.stride, p.Ho - 1);
    const int left = at.x < p.k ? 0 : (at.x - p.k) / p.stride + 1, right = min(at.x / p.stride, p.Wo - 1);
    float sum[V] = {};
    for (int oy = top; oy <= bottom; oy++)
        for (int ox = left; ox <= right; ox++) {
            const maxima<V> m = maxima_of<T, V>(p, window(p, x, at.b, oy, ox, at.c * V));
            const pack<T, V> grad = load_pack<T, V>(dy, ((at.b * p.Ho + oy) * p.Wo + ox) * p.C + at.c * V);
            const int place = (at.y - oy * p.stride) * p.k + at.x - ox * p.stride;
#pragma unroll
            for (int v = 0; v < V; v++) sum[v] += m.at[v] == place ? to_float(grad.v[v]) : 0.0f;
        }
    pack<T, V> out;
#pragma unroll
    for (int v = 0; v < V; v++) out.v[v] = from_float<T>(sum[v]);
    store_pack(dx, i * V, out);
}

template <typename T, int V> static void pool_by(const dr_kargs *a)
{
    const dr_max_pool2d_attr *attr = (const dr_max_pool2d_attr *)a->attr;
    pool p = pool_of(&a->in[0], &a->out[0], attr->kernel, attr->stride);
    divide(&p, a->in[0].shape[0], p.Ho, p.Wo, V);
    DR_LAUNCH(a, (max_pool2d<T, V>), (unsigned)dr_blocks_for(p.n, 128), 128, 0, p, (const T *)dr_in(a, 0), (T *)dr_out(a, 0));
}

template <typename T, int V> static void pool_backward_by(const dr_kargs *a)
{
    const dr_max_pool2d_backward_attr *attr = (const dr_max_pool2d_backward_attr *)a->attr;
    const T *x = (const T *)dr_in(a, 0), *dy = (const T *)dr_in(a, 1);
    T *dx = (T *)dr_out(a, 0);
    pool p = pool_of(&a->in[0], &a->in[1], attr->kernel, attr->stride);
    if (p.stride >= p.k) {
        divide(&p, a->in[0].shape[0], (p.H + p.stride - 1) / p.stride, (p.W + p.stride - 1) / p.stride, V);
        DR_LAUNCH(a, (max_pool2d_backward_cells<T, V>), (unsigned)dr_blocks_for(p.n, 128), 128, 0, p, x, dy, dx);
        return;
    }
    divide(&p, a->in[0].shape[0], p.H, p.W, V);
    DR_LAUNCH(a, (max_pool2d_backward_pixels<T, V>), (unsigned)dr_blocks_for(p.n, 128), 128, 0, p, x, dy, dx);
}

template <typename T> static bool in_packs(const dr_kargs *a)
{
    for (int i = 0; i < a->n_in; i++)
        if (!dr_aligned(dr_in(a, i), 16)) return false;
    return a->in[0].shape[1] % widest<T>() == 0 && dr_aligned(dr_out(a, 0), 16);
}

template <typename T> static void max_pool2d(const dr_kargs *a) /* x [B,C,H,W] -> y [B,C,Ho,Wo] */
{
    if (dr_numel(&a->out[0]) == 0) return;
    if (in_packs<T>(a)) pool_by<T, widest<T>()>(a);
    else pool_by<T, 1>(a);
}

template <typename T> static void max_pool2d_backward(const dr_kargs *a) /* x [B,C,H,W], dy [B,C,Ho,Wo] -> dx [B,C,H,W] */
{
    if (dr_numel(&a->out[0]) == 0) return;
    if (in_packs<T>(a)) pool_backward_by<T, widest<T>()>(a);
    else pool_backward_by<T, 1>(a);
}

DR_KERNEL(max_pool2d, DR_F32, max_pool2d<float>)
DR_KERNEL(max_pool2d, DR_BF16, max_pool2d<bf16>)
DR_KERNEL(max_pool2d_backward, DR_F32, max_pool2d_backward<float>)
DR_KERNEL(max_pool2d_backward, DR_BF16, max_pool2d_backward<bf16>)
