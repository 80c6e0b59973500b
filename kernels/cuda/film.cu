/* film.cu: y = scale h + shift, with a scale and a shift for each sample and channel; either may be absent.
 * h lies in memory as [B,L,C], L pixels or tokens; scale and shift [B,C] are of h's dtype or f32. Backward makes, in one
 * pass over h and dy, dh = scale dy, dscale = sum h dy and dshift = sum dy: a block sums the rows of its sample, in an
 * order that depends on the shape alone. */
#include "block_sum.h"

struct film_shape {
    int64_t B, L, C;
};

static film_shape shape_of(const dr_view *h)
{
    const int64_t B = h->shape[0], C = h->shape[h->rank == 3 ? 2 : 1], n = dr_numel(h);
    return film_shape{ B, n > 0 ? n / (B * C) : 0, C };
}

/* A vector of scales or shifts as the kernel reads it: f32 or T, or absent. */
template <typename T> struct film_vector {
    const float *f32;
    const T *own;
    __device__ float at(int64_t i, float otherwise) const { return f32 ? f32[i] : own ? load(own, i) : otherwise; }
};

template <typename T> static film_vector<T> vector_of(const dr_kargs *a, int i)
{
    const void *v = dr_optional(a, i);
    film_vector<T> f = { NULL, NULL };
    if (v && a->in[i].dtype == DR_F32) f.f32 = (const float *)v;
    else f.own = (const T *)v;
    return f;
}

template <typename T>
__global__ void film_forward(const T *h, film_vector<T> scale, film_vector<T> shift, T *y, film_shape s)
{
    const int64_t n = s.B * s.L * s.C;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < n; i += (int64_t)gridDim.x * blockDim.x) {
        const int64_t at = i / (s.L * s.C) * s.C + i % s.C; /* [b,c] */
        store(y, i, load(h, i) * scale.at(at, 1.0f) + shift.at(at, 0.0f));
    }
}

enum { CHANNELS = 32, ROWS = 8 }; /* a block: 32 channels of one sample, 8 rows at a time */

template <typename T>
__global__ void film_backward(const T *h, film_vector<T> scale, const T *dy, T *dh, float *dscale, float *dshift,
                              film_shape s)
{
    __shared__ float moment[ROWS][CHANNELS], sum[ROWS][CHANNELS];
    const int64_t b = blockIdx.y, c = blockIdx.x * (int64_t)CHANNELS + threadIdx.x;
    const int row = threadIdx.y;
    float m = 0.0f, d = 0.0f;
    const float factor = c < s.C ? scale.at(b * s.C + c, 1.0f) : 0.0f;
    for (int64_t r = row; r < s.L && c < s.C; r += ROWS) {
        const int64_t i = (b * s.L + r) * s.C + c;
        const float g = load(dy, i);
        m += load(h, i) * g;
        d += g;
        store(dh, i, factor * g);
    }
    moment[row][threadIdx.x] = m;
    sum[row][threadIdx.x] = d;
    __syncthreads();
    if (row > 0 || c >= s.C) return;
    for (int r = 1; r < ROWS; r++) {
        m += moment[r][threadIdx.x];
        d += sum[r][threadIdx.x];
    }
    dscale[b * s.C + c] = m;
    dshift[b * s.C + c] = d;
}

template <typename T> static void film(const dr_kargs *a) /* h, scale or NULL, shift or NULL -> y */
{
    const film_shape s = shape_of(&a->in[0]);
    const int64_t n = s.B * s.L * s.C;
    if (n == 0) return;
    DR_LAUNCH(a, film_forward<T>, (unsigned)dr_min64(dr_blocks_for(n, 256), 1 << 16), 256, 0, (const T *)dr_in(a, 0),
              vector_of<T>(a, 1), vector_of<T>(a, 2), (T *)dr_out(a, 0), s);
}

template <typename T> static void film_backward(const dr_kargs *a) /* h, scale or NULL, dy -> dh, dscale, dshift */
{
    const film_shape s = shape_of(&a->in[0]);
    if (s.B * s.C == 0) return;
    const dim3 grid((unsigned)dr_blocks_for(s.C, CHANNELS), (unsigned)s.B);
    DR_LAUNCH(a, film_backward<T>, grid, dim3(CHANNELS, ROWS), 0, (const T *)dr_in(a, 0), vector_of<T>(a, 1),
              (const T *)dr_in(a, 2), (T *)dr_out(a, 0), (float *)dr_out(a, 1), (float *)dr_out(a, 2), s);
}

DR_KERNEL(film, DR_F32, film<float>)
DR_KERNEL(film, DR_BF16, film<bf16>)
DR_KERNEL(film_backward, DR_F32, film_backward<float>)
DR_KERNEL(film_backward, DR_BF16, film_backward<bf16>)
