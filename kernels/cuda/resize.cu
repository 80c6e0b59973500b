/* resize.cu: nearest, bilinear and bicubic (a = -0.75), never antialiased; PyTorch's rules for positions. All three are
 * separable: along an axis, output i is a weighted sum of 1, 2 or 4 inputs (its taps).
 *   nearest: input floor(i in/out), exactly
 *   else: position (i + 1/2) in/out - 1/2, or i (in - 1)/(out - 1) with align_corners     Keys 1981 for the cubic
 * Positions are fractions of whole numbers, so their floors are exact. A thread has a pack of channels of one pixel. The
 * gradient gathers: the pixels that may have this one as a tap are a range, in which each is asked. */
#include "image_index.h"

struct resizing {
    int32_t C, H, W, Ho, Wo; /* the smaller or larger image x [B,C,H,W] and what it is resized to, y [B,C,Ho,Wo] */
    int32_t packs, mode, align_corners;
    int64_t n; /* packs that the kernel writes */
};

struct taps { /* of one output position: pixels left + first, ... */
    int32_t left;
    float t; /* how far the position is beyond left */
};

__device__ inline int inside(int i, int n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

__device__ inline int64_t floor_div(int64_t a, int64_t b) /* b > 0 */
{
    if (a == (int32_t)a && b == (int32_t)b) { /* divisions of 64 bits take several times as long */
        const int32_t n = (int32_t)a, m = (int32_t)b, quotient = n / m;
        return quotient - (quotient * m > n);
    }
    return a >= 0 ? a / b : -((b - 1 - a) / b);
}

/* Where the i-th of n_out pixels lies, among n_in. */
__device__ inline taps taps_of(const resizing &r, int64_t i, int64_t n_in, int64_t n_out)
{
    if (r.mode == DR_RESIZE_NEAREST) return taps{ (int32_t)floor_div(i * n_in, n_out), 0.0f };
    int64_t part = (2 * i + 1) * n_in - n_out, whole = 2 * n_out; /* position = part/whole */
    if (r.align_corners) {
        part = n_out > 1 ? i * (n_in - 1) : 0;
        whole = n_out > 1 ? n_out - 1 : 1;
    }
    if (r.mode == DR_RESIZE_BILINEAR && part < 0) part = 0;
    const int64_t left = floor_div(part, whole);
    return taps{ (int32_t)left, (float)(part - left * whole) / (float)whole };
}

/* Keys' kernel, a = -0.75: at distance d <= 1, and at 1 + d, where it is a d (1 - d)^2. */
__device__ inline float cubic_near(float d) { return (1.25f * d - 2.25f) * d * d + 1.0f; }
__device__ inline float cubic_far(float d) { return -0.75f * d * (1.0f - d) * (1.0f - d); }

/* TAPS pixels from the first on, and their weights */
template <int TAPS> __device__ inline void weights_of(float t, float weight[TAPS])
{
    if (TAPS == 1) weight[0] = 1.0f;
    if (TAPS == 2) {
        weight[0] = 1.0f - t;
        weight[TAPS - 1] = t;
    }
    if (TAPS == 4) {
        weight[0] = cubic_far(t);
        weight[TAPS / 4] = cubic_near(t);
        weight[TAPS / 2] = cubic_near(1.0f - t);
        weight[TAPS - 1] = cubic_far(1.0f - t);
    }
}
template <int TAPS> __device__ inline int first_of(int left) { return TAPS == 4 ? left - 1 : left; }

template <typename T, int V, int TAPS> __global__ void resize(resizing r, const T *x, T *y)
{
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i >= r.n) return;
    const image_index at = image_index_of(i, r.Ho, r.Wo, r.packs);
    const taps row = taps_of(r, at.y, r.H, r.Ho), column = taps_of(r, at.x, r.W, r.Wo);
    const T *image = x + at.b * r.H * r.W * r.C + at.c * V;
    float down[TAPS], across[TAPS], sum[V] = {};
    weights_of<TAPS>(row.t, down);
    weights_of<TAPS>(column.t, across);
#pragma unroll
    for (int j = 0; j < TAPS; j++) {
        const int64_t line = (int64_t)inside(first_of<TAPS>(row.left) + j, r.H) * r.W;
#pragma unroll
        for (int k = 0; k < TAPS; k++) {
            const pack<T, V> p = load_pack<T, V>(image, (line + inside(first_of<TAPS>(column.left) + k, r.W)) * r.C);
#pragma unroll
            for (int v = 0; v < V; v++) sum[v] = fmaf(down[j] * across[k], to_float(p.v[v]), sum[v]);
        }
    }
    pack<T, V> out;
#pragma unroll
    for (int v = 0; v < V; v++) out.v[v] = from_float<T>(sum[v]);
    store_pack(y, i * V, out);
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

/* Outputs from *first to *last contain all that have input i as a tap: their positions are from i - reach to i + reach. */
__device__ inline void outputs_over(const resizing &r, int64_t i, int64_t n_in, int64_t n_out, int *first, int *last)
{
    const int64_t reach = r.mode == DR_RESIZE_BICUBIC ? 2 : 1, low = i - reach, high = i + reach;
    int64_t from = floor_div((2 * low + 1) * n_out - n_in, 2 * n_in), to = floor_div((2 * high + 1) * n_out - n_in, 2 * n_in);
    if (r.mode == DR_RESIZE_NEAREST) {
        from = floor_div(i * n_out + n_in - 1, n_in);
        to = floor_div((i + 1) * n_out - 1, n_in);
    } else if (r.align_corners) {
        from = n_in > 1 ? floor_div(low * (n_out - 1), n_in - 1) : 0;
        to = n_in > 1 ? floor_div(high * (n_out - 1), n_in - 1) : n_out - 1;
    }
    *first = from < 0 ? 0 : (int)from;
    *last = to >= n_out ? (int)n_out - 1 : (int)to;
}

/* What output o takes of input i. */
template <int TAPS> __device__ inline float weight_of(const resizing &r, int o, int i, int n_in, int n_out)
{
    float weight[TAPS], sum = 0.0f;
    const taps t = taps_of(r, o, n_in, n_out);
    weights_of<TAPS>(t.t, weight);
#pragma unroll
    for (int k = 0; k < TAPS; k++) sum += inside(first_of<TAPS>(t.left) + k, n_in) == i ? weight[k] : 0.0f;
    return sum;
}

template <typename T, int V, int TAPS> __global__ void resize_backward(resizing r, const T *dy, T *dx)
{
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i >= r.n) return;
    const image_index at = image_index_of(i, r.H, r.W, r.packs);
    const T *image = dy + at.b * r.Ho * r.Wo * r.C + at.c * V;
    int top, bottom, left, right;
    outputs_over(r, at.y, r.H, r.Ho, &top, &bottom);
    outputs_over(r, at.x, r.W, r.Wo, &left, &right);
    float sum[V] = {};
    for (int ox = left; ox <= right; ox++) {
        const float across = weight_of<TAPS>(r, ox, at.x, r.W, r.Wo);
        if (across == 0.0f) continue;
        for (int oy = top; oy <= bottom; oy++) {
            const float weight = across * weight_of<TAPS>(r, oy, at.y, r.H, r.Ho);
            if (weight == 0.0f) continue;
            const pack<T, V> p = load_pack<T, V>(image, ((int64_t)oy * r.Wo + ox) * r.C);
#pragma unroll
            for (int v = 0; v < V; v++) sum[v] = fmaf(weight, to_float(p.v[v]), sum[v]);
        }
    }
    pack<T, V> out;
#pragma unroll
    for (int v = 0; v < V; v++) out.v[v] = from_float<T>(sum[v]);
    store_pack(dx, i * V, out);
}

/* ---- launches ---------------------------------------------------------------------------------------------------- */

static resizing resizing_of(const dr_kargs *a, const dr_view *x, const dr_view *y, int V) /* y: x resized */
{
    const dr_resize_attr *attr = (const dr_resize_attr *)a->attr;
    resizing r = {};
    r.C = (int32_t)x->shape[1], r.H = (int32_t)x->shape[2], r.W = (int32_t)x->shape[3];
    r.Ho = (int32_t)y->shape[2], r.Wo = (int32_t)y->shape[3];
    r.packs = r.C / V;
    r.mode = (int32_t)attr->mode, r.align_corners = attr->align_corners;
    r.n = dr_numel(&a->out[0]) / V;
    return r;
}

template <typename T, int V, int TAPS> static void resize_with(const dr_kargs *a)
{
    const resizing r = resizing_of(a, &a->in[0], &a->out[0], V);
    DR_LAUNCH(a, (resize<T, V, TAPS>), (unsigned)dr_blocks_for(r.n, 128), 128, 0, r, (const T *)dr_in(a, 0),
              (T *)dr_out(a, 0));
}

template <typename T, int V, int TAPS> static void resize_backward_with(const dr_kargs *a)
{
    const resizing r = resizing_of(a, &a->out[0], &a->in[0], V);
    DR_LAUNCH(a, (resize_backward<T, V, TAPS>), (unsigned)dr_blocks_for(r.n, 128), 128, 0, r, (const T *)dr_in(a, 0),
              (T *)dr_out(a, 0));
}

template <typename T, int TAPS> static void resize_in_packs(const dr_kargs *a, bool backward)
{
    constexpr int V = widest<T>();
    const bool packs = a->in[0].shape[1] % V == 0 && dr_aligned(dr_in(a, 0), 16) && dr_aligned(dr_out(a, 0), 16);
    if (dr_numel(&a->out[0]) == 0) return;
    if (backward) packs ? resize_backward_with<T, V, TAPS>(a) : resize_backward_with<T, 1, TAPS>(a);
    else packs ? resize_with<T, V, TAPS>(a) : resize_with<T, 1, TAPS>(a);
}

template <typename T> static void by_mode(const dr_kargs *a, bool backward)
{
    switch (((const dr_resize_attr *)a->attr)->mode) {
    case DR_RESIZE_NEAREST: resize_in_packs<T, 1>(a, backward); return;
    case DR_RESIZE_BILINEAR: resize_in_packs<T, 2>(a, backward); return;
    default: resize_in_packs<T, 4>(a, backward); return;
    }
}

template <typename T> static void resize(const dr_kargs *a) { by_mode<T>(a, false); } /* x [B,C,H,W] -> y [B,C,Ho,Wo] */
template <typename T> static void resize_backward(const dr_kargs *a) { by_mode<T>(a, true); } /* dy -> dx [B,C,H,W] */

DR_KERNEL(resize, DR_F32, resize<float>)
DR_KERNEL(resize, DR_BF16, resize<bf16>)
DR_KERNEL(resize_backward, DR_F32, resize_backward<float>)
DR_KERNEL(resize_backward, DR_BF16, resize_backward<bf16>)
