/* bias.cu: what follows a convolution's sums where its kernel did not do it: y = act(y + bias + add), in place; and the
 * bias' gradient, the sum of dy over all pixels, in parts of fixed size. */
#include "conv2d_after.h"

template <typename T, int V> __global__ void finish_sums(T *y, after_sums<T> after, int64_t n)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x * V;
    for (int64_t i = (blockIdx.x * (int64_t)blockDim.x + threadIdx.x) * V; i < n; i += step) {
        pack<T, V> p = load_pack<T, V>(y, i);
        const int c = (int)(i % after.channels);
        for (int j = 0; j < V; j++) p.v[j] = from_float<T>(finish(after, to_float(p.v[j]), i + j, c + j));
        store_pack(y, i, p);
    }
}

template <typename T> static void finish_rows(const dr_kargs *a, T *y, int64_t rows, int64_t image, const dr_conv_after *f)
{
    constexpr int V = widest<T>();
    const int64_t n = rows * image;
    const after_sums<T> after = after_of<T>(f, image);
    const bool packs = f->channels % V == 0 && dr_aligned(y, 16);
    const unsigned grid = (unsigned)dr_min64(dr_blocks_for(packs ? n / V : n, 256), 1 << 16);
    if (packs) DR_LAUNCH(a, (finish_sums<T, V>), grid, 256, 0, y, after, n);
    else DR_LAUNCH(a, (finish_sums<T, 1>), grid, 256, 0, y, after, n);
}

void dr_conv_finish(const dr_kargs *a, void *y, int32_t dtype, int64_t rows, int64_t pixels, const dr_conv_after *f)
{
    if (dtype == DR_BF16) finish_rows(a, (bf16 *)y, rows, pixels * f->channels, f);
    else finish_rows(a, (float *)y, rows, pixels * f->channels, f);
}

/* ---- gradient ---------------------------------------------------------------------------------------------------------- */

enum { THREADS = 256, ROWS_EACH = 512, MOST = 128 };

int64_t dr_bias_parts(int64_t P) { return dr_min64(dr_blocks_for(P, ROWS_EACH), MOST); }

/* wide: threads along a row, each with V channels; the others go down the rows of this part. */
template <typename T, int V>
__global__ void bias_gradient(const T *dy, float *parts, int64_t P, int C, int wide, int64_t per_part)
{
    __shared__ float sums[THREADS * V];
    const int tx = threadIdx.x % wide, ty = threadIdx.x / wide, high = THREADS / wide;
    const int c = (blockIdx.y * wide + tx) * V;
    const int64_t begin = blockIdx.x * per_part, end = begin + per_part < P ? begin + per_part : P;
    float sum[V];
    for (int j = 0; j < V; j++) sum[j] = 0.0f;
    for (int64_t p = begin + ty; p < end && c < C; p += high) {
        const pack<T, V> v = load_pack<T, V>(dy, p * C + c);
        for (int j = 0; j < V; j++) sum[j] += to_float(v.v[j]);
    }
    for (int j = 0; j < V; j++) sums[(ty * wide + tx) * V + j] = sum[j];
    for (int half = high / 2; half > 0; half /= 2) {
        __syncthreads();
        for (int j = 0; j < V && ty < half; j++) sums[(ty * wide + tx) * V + j] += sums[((ty + half) * wide + tx) * V + j];
    }
    for (int j = 0; j < V && ty == 0; j++)
        if (c + j < C) parts[blockIdx.x * (int64_t)C + c + j] = sums[tx * V + j];
}

template <typename T, int V> static void launch_gradient(const dr_kargs *a, const T *dy, int64_t P, int64_t C, float *parts)
{
    const int64_t n = dr_bias_parts(P), across = dr_blocks_for(C, V);
    int wide = 1;
    while (wide < 32 && wide < across) wide *= 2;
    DR_LAUNCH(a, (bias_gradient<T, V>), dim3((unsigned)n, (unsigned)dr_blocks_for(across, wide)), THREADS, 0, dy, parts, P,
              (int)C, wide, dr_blocks_for(P, n));
}

template <typename T> static void gradient(const dr_kargs *a, const T *dy, int64_t P, int64_t C, float *parts)
{
    constexpr int V = widest<T>();
    if (C % V == 0 && dr_aligned(dy, 16)) launch_gradient<T, V>(a, dy, P, C, parts);
    else launch_gradient<T, 1>(a, dy, P, C, parts);
}

void dr_bias_gradient(const dr_kargs *a, const void *dy, int32_t dtype, int64_t P, int64_t C, float *parts)
{
    if (dtype == DR_BF16) gradient(a, (const bf16 *)dy, P, C, parts);
    else gradient(a, (const float *)dy, P, C, parts);
}
