/* avg_pool2d.cu: y = the mean of each k x k window, windows `stride` apart, no padding. Images lie channels-last; a thread
 * has a pack of channels of one pixel. A window that is the whole image is a sum of columns. */
#include "column_sum.h"
#include "image_index.h"

struct pool {
    int32_t C, H, W, Ho, Wo, k, stride; /* x [B,C,H,W], y [B,C,Ho,Wo] */
    int32_t packs;                      /* of a pixel */
    int64_t n;                          /* packs that the kernel writes */
};

static pool pool_of(const dr_view *x, const dr_view *y, int64_t kernel, int64_t stride, int V, int64_t written)
{
    pool p = {};
    p.C = (int32_t)x->shape[1], p.H = (int32_t)x->shape[2], p.W = (int32_t)x->shape[3];
    p.Ho = (int32_t)y->shape[2], p.Wo = (int32_t)y->shape[3];
    p.k = (int32_t)kernel, p.stride = (int32_t)(stride ? stride : kernel);
    p.packs = p.C / V;
    p.n = written / V;
    return p;
}

template <typename T, int V> __device__ inline void add_pack(float sum[V], const T *x, int64_t i)
{
    const pack<T, V> p = load_pack<T, V>(x, i);
#pragma unroll
    for (int v = 0; v < V; v++) sum[v] += to_float(p.v[v]);
}

template <typename T, int V> __device__ inline void store_scaled(T *y, int64_t i, const float sum[V], float factor)
{
    pack<T, V> p;
#pragma unroll
    for (int v = 0; v < V; v++) p.v[v] = from_float<T>(factor * sum[v]);
    store_pack(y, i, p);
}

template <typename T, int V> __global__ void avg_pool2d(pool p, const T *x, T *y)
{
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i >= p.n) return;
    const image_index at = image_index_of(i, p.Ho, p.Wo, p.packs);
    const T *own = x + ((at.b * p.H + at.y * p.stride) * p.W + at.x * p.stride) * p.C + at.c * V;
    float sum[V] = {};
    for (int ky = 0; ky < p.k; ky++)
#pragma unroll 4
        for (int kx = 0; kx < p.k; kx++) add_pack<T, V>(sum, own, ((int64_t)ky * p.W + kx) * p.C);
    store_scaled<T, V>(y, i * V, sum, 1.0f / (float)(p.k * p.k));
}

/* dx at a pixel: what the windows over it give */
template <typename T, int V> __global__ void avg_pool2d_backward(pool p, const T *dy, T *dx)
{
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i >= p.n) return;
    const image_index at = image_index_of(i, p.H, p.W, p.packs);
    const int top = at.y < p.k ? 0 : (at.y - p.k) / p.stride + 1, bottom = min(at.y / p.stride, p.Ho - 1);
    const int left = at.x < p.k ? 0 : (at.x - p.k) / p.stride + 1, right = min(at.x / p.stride, p.Wo - 1);
    const T *own = dy + at.b * p.Ho * p.Wo * p.C + at.c * V;
    float sum[V] = {};
    for (int oy = top; oy <= bottom; oy++)
        for (int ox = left; ox <= right; ox++) add_pack<T, V>(sum, own, ((int64_t)oy * p.Wo + ox) * p.C);
    store_scaled<T, V>(dx, i * V, sum, 1.0f / (float)(p.k * p.k));
}

template <typename T> static bool in_packs(const dr_kargs *a) /* both tensors */
{
    return a->in[0].shape[1] % widest<T>() == 0 && dr_aligned(dr_in(a, 0), 16) && dr_aligned(dr_out(a, 0), 16);
}

template <typename T, int V> static void pool_by(const dr_kargs *a)
{
    const dr_avg_pool2d_attr *attr = (const dr_avg_pool2d_attr *)a->attr;
    const pool p = pool_of(&a->in[0], &a->out[0], attr->kernel, attr->stride, V, dr_numel(&a->out[0]));
    DR_LAUNCH(a, (avg_pool2d<T, V>), (unsigned)dr_blocks_for(p.n, 128), 128, 0, p, (const T *)dr_in(a, 0), (T *)dr_out(a, 0));
}

template <typename T, int V> static void pool_backward_by(const dr_kargs *a)
{
    const dr_avg_pool2d_backward_attr *attr = (const dr_avg_pool2d_backward_attr *)a->attr;
    const pool p = pool_of(&a->out[0], &a->in[0], attr->kernel, attr->stride, V, dr_numel(&a->out[0]));
    DR_LAUNCH(a, (avg_pool2d_backward<T, V>), (unsigned)dr_blocks_for(p.n, 128), 128, 0, p, (const T *)dr_in(a, 0),
              (T *)dr_out(a, 0));
}

template <typename T> static void avg_pool2d(const dr_kargs *a) /* x [B,C,H,W] -> y [B,C,Ho,Wo] */
{
    const dr_view *x = &a->in[0];
    const int64_t k = ((const dr_avg_pool2d_attr *)a->attr)->kernel;
    if (dr_numel(&a->out[0]) == 0) return;
    if (x->shape[2] == k && x->shape[3] == k) {
        dr_cuda_column_sum(a, x->data, x->dtype, dr_out(a, 0), a->out[0].dtype, x->shape[0], k * k, x->shape[1],
                           1.0 / (double)(k * k));
        return;
    }
    if (in_packs<T>(a)) pool_by<T, widest<T>()>(a);
    else pool_by<T, 1>(a);
}

template <typename T> static void avg_pool2d_backward(const dr_kargs *a) /* dy [B,C,Ho,Wo] -> dx [B,C,H,W] */
{
    if (dr_numel(&a->out[0]) == 0) return;
    if (in_packs<T>(a)) pool_backward_by<T, widest<T>()>(a);
    else pool_backward_by<T, 1>(a);
}

DR_KERNEL(avg_pool2d, DR_F32, avg_pool2d<float>)
DR_KERNEL(avg_pool2d, DR_BF16, avg_pool2d<bf16>)
DR_KERNEL(avg_pool2d_backward, DR_F32, avg_pool2d_backward<float>)
DR_KERNEL(avg_pool2d_backward, DR_BF16, avg_pool2d_backward<bf16>)
