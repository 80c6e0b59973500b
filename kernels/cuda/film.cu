/* film.cu: y = scale h + shift, with a scale and a shift for each sample and channel; either may be absent.
 * h lies in memory as [B,L,C], L pixels or tokens; scale and shift [B,C] are of h's dtype or f32. Backward makes, in
 * one pass over h and dy, dh = scale dy, dscale = sum h dy and dshift = sum dy: sums over the rows of a sample
 * (column_sums.h), in an order that depends on the shape alone. */
#include "column_sums.h"

typedef struct film_shape {
    int64_t B, L, C;
} film_shape;

static film_shape shape_of(const dr_view *h)
{
    const int64_t B = h->shape[0], C = h->shape[h->rank == 3 ? 2 : 1], n = dr_numel(h);
    return film_shape{ B, n > 0 ? n / (B * C) : 0, C };
}

/* A vector of scales or shifts as the kernel reads it: f32 or T, or absent. */
template <typename T> struct film_vector {
    const float *f32;
    const T *own;
};

template <typename T, int N>
__device__ inline void load_vector(float (&to)[N], film_vector<T> v, int64_t i, float otherwise)
{
    if (v.f32) return load_floats<N>(to, v.f32 + i);
    if (v.own) return floats_of(to, load_pack<T, N>(v.own, i));
    for (int k = 0; k < N; k++) to[k] = otherwise;
}

template <typename T> static film_vector<T> vector_of(const dr_kargs *a, int i)
{
    const void *v = dr_optional(a, i);
    film_vector<T> f = { NULL, NULL };
    if (v && a->in[i].dtype == DR_F32) f.f32 = (const float *)v;
    else f.own = (const T *)v;
    return f;
}

/* A block: a chunk of rows of one sample (blockIdx.x) of a tile of channels (blockIdx.y). */
template <typename T, int N>
__global__ void film_forward(const T *__restrict__ h, film_vector<T> scale, film_vector<T> shift, T *__restrict__ y,
                             film_shape s, column_cut cut)
{
    const int64_t b = blockIdx.x / cut.chunks, c = (blockIdx.y * (int64_t)cut.lanes + threadIdx.x) * N;
    const int64_t first = blockIdx.x % cut.chunks * cut.chunk_rows, last = min(first + cut.chunk_rows, s.L);
    if (c >= s.C) return;
    float factor[N], offset[N];
    load_vector(factor, scale, b * s.C + c, 1.0f);
    load_vector(offset, shift, b * s.C + c, 0.0f);
#pragma unroll 4
    for (int64_t r = first + threadIdx.y; r < last; r += cut.rows) {
        float row[N];
        floats_of(row, load_pack<T, N>(h, (b * s.L + r) * s.C + c));
        for (int i = 0; i < N; i++) row[i] = row[i] * factor[i] + offset[i];
        store_pack<T, N>(y, (b * s.L + r) * s.C + c, pack_of<T, N>(row));
    }
}

template <typename T, int N>
__global__ void __launch_bounds__(COLUMN_THREADS)
    film_gradients(const T *__restrict__ h, film_vector<T> scale, const T *__restrict__ dy, T *__restrict__ dh,
                   float *dscale, float *dshift, film_shape s, int64_t pitch, column_cut cut, float *partial,
                   uint32_t *arrivals)
{
    __shared__ float scratch[COLUMN_SCRATCH];
    __shared__ uint32_t flag[1];
    const int width = cut.lanes * N, thread = threadIdx.y * cut.lanes + threadIdx.x;
    const int64_t b = blockIdx.x / cut.chunks, tile = blockIdx.y, c = tile * width + (int)threadIdx.x * N;
    const int chunk = blockIdx.x % cut.chunks;
    const int64_t first = chunk * cut.chunk_rows, last = min(first + cut.chunk_rows, s.L);
    column_sums<N> sum = {};
    if (c < s.C) {
        float factor[N];
        load_vector(factor, scale, b * s.C + c, 1.0f);
#pragma unroll 2
        for (int64_t r = first + threadIdx.y; r < last; r += cut.rows) {
            const int64_t at = (b * s.L + r) * s.C + c;
            float row[N], slope[N];
            floats_of(row, load_pack<T, N>(h, at));
            floats_of(slope, load_pack<T, N>(dy, (b * s.L + r) * pitch + c));
            for (int i = 0; i < N; i++) {
                sum.first[i] += row[i] * slope[i];
                sum.second[i] += slope[i];
                slope[i] *= factor[i];
            }
            store_pack<T, N>(dh, at, pack_of<T, N>(slope));
        }
    }
    const int64_t own = b * cut.tiles + tile;
    if (!add_tile<N>(&sum, scratch, chunk, cut.chunks, partial + own * cut.chunks * 2 * width, arrivals + own, flag))
        return;
    const int64_t channel = tile * width + thread;
    if (thread >= width || channel >= s.C) return;
    dscale[b * s.C + channel] = scratch[thread];
    dshift[b * s.C + channel] = scratch[width + thread];
}

enum { BLOCKS = 264, ROWS_EACH = 4 };

/* By packs of 16 bytes where rows and tensors begin at multiples of them. */
template <typename T> static bool by_packs(const dr_kargs *a, film_shape s, int64_t pitch)
{
    bool aligned = s.C % widest<T>() == 0 && pitch % widest<T>() == 0 && dr_aligned(dr_out(a, 0), 16);
    for (int i = 0; i < a->n_in; i++) aligned = aligned && dr_aligned(dr_optional(a, i), 16);
    return aligned;
}

template <typename T, int N> static void forward(const dr_kargs *a, film_shape s)
{
    const column_cut cut = dr_cut_columns(s.L, s.C, N, s.B, 4 * BLOCKS, 1, 256);
    DR_LAUNCH(a, (film_forward<T, N>), dim3((unsigned)(s.B * cut.chunks), (unsigned)cut.tiles), dr_column_block(cut), 0,
              (const T *)dr_in(a, 0), vector_of<T>(a, 1), vector_of<T>(a, 2), (T *)dr_out(a, 0), s, cut);
}

template <typename T> static void film(const dr_kargs *a) /* h, scale or NULL, shift or NULL -> y */
{
    const film_shape s = shape_of(&a->in[0]);
    if (s.B * s.L * s.C == 0) return;
    if (by_packs<T>(a, s, s.C)) forward<T, widest<T>()>(a, s);
    else forward<T, 1>(a, s);
}

/* pitch: from a row of dy to the next */
template <typename T, int N> static void gradients(const dr_kargs *a, film_shape s, int64_t pitch)
{
    const column_cut cut = dr_cut_columns(s.L, s.C, N, s.B, BLOCKS, ROWS_EACH, COLUMN_THREADS);
    float *partial = (float *)dr_cuda_workspace(a, dr_column_bytes(cut, N, s.B));
    if (!partial) return;
    DR_LAUNCH(a, (film_gradients<T, N>), dim3((unsigned)(s.B * cut.chunks), (unsigned)cut.tiles), dr_column_block(cut),
              0, (const T *)dr_in(a, 0), vector_of<T>(a, 1), (const T *)dr_in(a, 2), (T *)dr_out(a, 0),
              (float *)dr_out(a, 1), (float *)dr_out(a, 2), s, pitch, cut, partial, dr_cuda_of(a)->arrivals);
}

template <typename T> static void film_backward(const dr_kargs *a) /* h, scale or NULL, dy -> dh, dscale, dshift */
{
    const film_shape s = shape_of(&a->in[0]);
    if (s.B * s.C == 0) return;
    const int64_t pitch = a->in[2].rank == 4 ? dr_pixel_pitch(&a->in[2]) : s.C;
    if (by_packs<T>(a, s, pitch)) gradients<T, widest<T>()>(a, s, pitch);
    else gradients<T, 1>(a, s, pitch);
}

DR_KERNEL(film, DR_F32, film<float>)
DR_KERNEL(film, DR_BF16, film<bf16>)
DR_KERNEL(film_backward, DR_F32, film_backward<float>)
DR_KERNEL(film_backward, DR_BF16, film_backward<bf16>)
