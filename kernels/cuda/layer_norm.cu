/* layer_norm.cu: y = gamma (x - mean)/sqrt(var + eps) + beta over the last axis.     Ba, Kiros, Hinton 2016
 * A warp has a row. The variance comes of distances to the mean, and a mean is subtracted in two parts, high + low, so
 * that its own rounding does not show in y. x and y are f32 or bf16, all else is f32. */
#include "block_sum.h"
#include "column_sums.h"

enum { ROWS = 8 }; /* of a block: as many warps */

template <typename T, int N>
__global__ void layer_norm_rows(const T *__restrict__ x, const float *__restrict__ gamma,
                                const float *__restrict__ beta, T *__restrict__ y, float *mean, float *rstd,
                                int64_t rows, int64_t D, float eps)
{
    const int64_t row = blockIdx.x * (int64_t)ROWS + threadIdx.y;
    if (row >= rows) return;
    const T *from = x + row * D;
    const float origin = to_float(from[0]);
    float sum = 0.0f, low = 0.0f, squares = 0.0f;
    for (int64_t i = threadIdx.x * N; i < D; i += 32 * N) {
        const pack<T, N> v = load_pack<T, N>(from, i);
        for (int k = 0; k < N; k++) sum += to_float(v.v[k]) - origin;
    }
    const float high = origin + warp_sum(sum) / (float)D;
    for (int64_t i = threadIdx.x * N; i < D; i += 32 * N) {
        const pack<T, N> v = load_pack<T, N>(from, i);
        for (int k = 0; k < N; k++) {
            const float d = to_float(v.v[k]) - high;
            low += d;
            squares += d * d;
        }
    }
    low = warp_sum(low) / (float)D;
    const float r = 1.0f / sqrtf(fmaxf(warp_sum(squares) / (float)D - low * low, 0.0f) + eps);
    for (int64_t i = threadIdx.x * N; i < D; i += 32 * N) {
        pack<T, N> v = load_pack<T, N>(from, i);
        for (int k = 0; k < N; k++) {
            const float h = ((to_float(v.v[k]) - high) - low) * r;
            v.v[k] = from_float<T>((gamma ? gamma[i + k] : 1.0f) * h + (beta ? beta[i + k] : 0.0f));
        }
        store_pack<T, N>(y, row * D + i, v);
    }
    if (threadIdx.x > 0) return;
    mean[row] = high + low;
    rstd[row] = r;
}

/* With h = (x - mean) rstd and dh = gamma dy: dx = rstd (dh - (sum dh)/D - h (sum dh h)/D) */
template <typename T, int N>
__global__ void layer_norm_dx(const T *__restrict__ x, const float *__restrict__ mean, const float *__restrict__ rstd,
                              const T *__restrict__ dy, const float *__restrict__ gamma, T *__restrict__ dx,
                              int64_t rows, int64_t D)
{
    const int64_t row = blockIdx.x * (int64_t)ROWS + threadIdx.y;
    if (row >= rows) return;
    const float centre = mean[row], r = rstd[row];
    float sum = 0.0f, moment = 0.0f;
    for (int64_t i = threadIdx.x * N; i < D; i += 32 * N) {
        const pack<T, N> v = load_pack<T, N>(x, row * D + i), g = load_pack<T, N>(dy, row * D + i);
        for (int k = 0; k < N; k++) {
            const float dh = (gamma ? gamma[i + k] : 1.0f) * to_float(g.v[k]);
            sum += dh;
            moment += dh * (to_float(v.v[k]) - centre) * r;
        }
    }
    sum = warp_sum(sum) / (float)D;
    moment = warp_sum(moment) / (float)D;
    for (int64_t i = threadIdx.x * N; i < D; i += 32 * N) {
        pack<T, N> v = load_pack<T, N>(x, row * D + i);
        const pack<T, N> g = load_pack<T, N>(dy, row * D + i);
        for (int k = 0; k < N; k++) {
            const float h = (to_float(v.v[k]) - centre) * r, dh = (gamma ? gamma[i + k] : 1.0f) * to_float(g.v[k]);
            v.v[k] = from_float<T>(r * (dh - sum - h * moment));
        }
        store_pack<T, N>(dx, row * D + i, v);
    }
}

/* dgamma = sum dy h and dbeta = sum dy over rows. A block: a chunk of rows (blockIdx.x) of a tile of columns. */
template <typename T, int N>
__global__ void __launch_bounds__(COLUMN_THREADS)
    layer_norm_sums(const T *x, const float *mean, const float *rstd, const T *dy, float *dgamma, float *dbeta,
                    int64_t rows, int64_t D, column_cut cut, float *partial, uint32_t *arrivals)
{
    __shared__ float scratch[COLUMN_SCRATCH];
    __shared__ uint32_t flag[1];
    const int width = cut.lanes * N, thread = threadIdx.y * cut.lanes + threadIdx.x;
    const int64_t tile = blockIdx.y, i = tile * width + (int)threadIdx.x * N;
    const int64_t first = blockIdx.x * cut.chunk_rows, last = min(first + cut.chunk_rows, rows);
    column_sums<N> sum = {};
#pragma unroll 2
    for (int64_t r = first + threadIdx.y; i < D && r < last; r += cut.rows) {
        const pack<T, N> v = load_pack<T, N>(x, r * D + i), g = load_pack<T, N>(dy, r * D + i);
        const float centre = mean[r], scale = rstd[r];
        for (int k = 0; k < N; k++) {
            const float slope = to_float(g.v[k]);
            sum.first[k] += slope * ((to_float(v.v[k]) - centre) * scale);
            sum.second[k] += slope;
        }
    }
    float *chunks = partial + tile * cut.chunks * 2 * width;
    if (!add_tile<N>(&sum, scratch, blockIdx.x, cut.chunks, chunks, arrivals + tile, flag)) return;
    const int64_t column = tile * width + thread;
    if (thread >= width || column >= D) return;
    dgamma[column] = scratch[thread];
    dbeta[column] = scratch[width + thread];
}

/* ---- launches ---------------------------------------------------------------------------------------------------- */

typedef struct layer_shape {
    int64_t rows, D;
} layer_shape;

static layer_shape shape_of(const dr_view *x)
{
    return layer_shape{ dr_count(x, 0, x->rank - 1), x->shape[x->rank - 1] };
}

template <typename T> static bool by_packs(layer_shape s, const void *x, const void *y, const void *z)
{
    return s.D % widest<T>() == 0 && dr_aligned(x, 16) && dr_aligned(y, 16) && dr_aligned(z, 16);
}

template <typename T, int N> static void forward(const dr_kargs *a, layer_shape s)
{
    DR_LAUNCH(a, (layer_norm_rows<T, N>), (unsigned)dr_blocks_for(s.rows, ROWS), dim3(32, ROWS), 0,
              (const T *)dr_in(a, 0), (const float *)dr_optional(a, 1), (const float *)dr_optional(a, 2),
              (T *)dr_out(a, 0), (float *)dr_out(a, 1), (float *)dr_out(a, 2), s.rows, s.D,
              (float)((const dr_layer_norm_attr *)a->attr)->eps);
}

/* x [..,D], gamma [D] or NULL, beta [D] or NULL -> y, mean [..], rstd [..] */
template <typename T> static void layer_norm(const dr_kargs *a)
{
    const layer_shape s = shape_of(&a->in[0]);
    if (s.rows == 0) return;
    if (by_packs<T>(s, dr_in(a, 0), dr_out(a, 0), NULL)) forward<T, widest<T>()>(a, s);
    else forward<T, 1>(a, s);
}

template <typename T, int N> static void backward(const dr_kargs *a, layer_shape s)
{
    const column_cut cut = dr_cut_columns(s.rows, s.D, N, 1, 128, 4, COLUMN_THREADS);
    const T *x = (const T *)dr_in(a, 0), *dy = (const T *)dr_in(a, 3);
    const float *mean = (const float *)dr_in(a, 1), *rstd = (const float *)dr_in(a, 2);
    float *partial = (float *)dr_cuda_workspace(a, dr_column_bytes(cut, N, 1));
    if (!partial) return;
    DR_LAUNCH(a, (layer_norm_sums<T, N>), dim3((unsigned)cut.chunks, (unsigned)cut.tiles), dr_column_block(cut), 0, x,
              mean, rstd, dy, (float *)dr_out(a, 1), (float *)dr_out(a, 2), s.rows, s.D, cut, partial,
              dr_cuda_of(a)->arrivals);
    if (s.rows == 0) return;
    DR_LAUNCH(a, (layer_norm_dx<T, N>), (unsigned)dr_blocks_for(s.rows, ROWS), dim3(32, ROWS), 0, x, mean, rstd, dy,
              (const float *)dr_optional(a, 4), (T *)dr_out(a, 0), s.rows, s.D);
}

/* x, mean, rstd, dy, gamma or NULL -> dx, dgamma, dbeta */
template <typename T> static void layer_norm_backward(const dr_kargs *a)
{
    const layer_shape s = shape_of(&a->in[0]);
    if (by_packs<T>(s, dr_in(a, 0), dr_in(a, 3), dr_out(a, 0))) backward<T, widest<T>()>(a, s);
    else backward<T, 1>(a, s);
}

DR_KERNEL(layer_norm, DR_F32, layer_norm<float>)
DR_KERNEL(layer_norm, DR_BF16, layer_norm<bf16>)
DR_KERNEL(layer_norm_backward, DR_F32, layer_norm_backward<float>)
DR_KERNEL(layer_norm_backward, DR_BF16, layer_norm_backward<bf16>)
