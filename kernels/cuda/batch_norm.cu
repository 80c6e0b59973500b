/* batch_norm.cu: y = act(gamma (x - mean)/sqrt(var + eps) + beta), per channel.     Ioffe & Szegedy 2015
 * x is channels-last, so a matrix of n rows (pixels of all images) and C columns; [B,C,L] is row-major and works by
 * runs of L values. x and y are f32 or bf16, all else is f32. Forward and backward are two passes each, the first for
 * the sums (column_sums.h) and the second for the values; backward works z and act'(z) out again from x. */
#include "activation.h"
#include "column_sums.h"

#include <math.h>

typedef struct norm_shape {
    int64_t n, C, L; /* L: 0, or the length of a channel's runs */
    int64_t pitch;   /* from a row of dy to the next */
    int act;         /* for kernels that are not made for one activation */
    float eps;
} norm_shape;

static norm_shape shape_of(const dr_view *x, const dr_batch_norm_act_attr *attr)
{
    const int64_t rest = dr_count(x, 2, x->rank);
    return norm_shape{ x->shape[0] * rest, x->shape[1], x->rank == 3 ? rest : 0, x->shape[1], (int)attr->act, (float)attr->eps };
}

enum { AHEAD = 4, THREADS = 256 }; /* rows that a thread reads before it works on them; a block that takes no sums */

/* Where row r of channel c lies, in x, y and dx, or in dy. */
template <int N> __device__ inline int64_t at(norm_shape s, int64_t r, int64_t c, int64_t pitch)
{
    if (N == 1 && s.L > 0) return (r / s.L * s.C + c) * s.L + r % s.L;
    return r * pitch + c;
}
template <int N> __device__ inline int64_t at(norm_shape s, int64_t r, int64_t c) { return at<N>(s, r, c, s.C); }

/* A thread's part of a matrix: rows r, r + step, .. below last, and N channels from c on. */
typedef struct part {
    int64_t c, r, last, step;
} part;

template <typename T, int N, int A>
__device__ inline void load_rows(pack<T, N> (&v)[A], const T *__restrict__ x, norm_shape s, part p, int64_t pitch)
{
    for (int k = 0; k < A; k++) {
        if (p.r + k * p.step < p.last) v[k] = load_pack<T, N>(x, at<N>(s, p.r + k * p.step, p.c, pitch));
    }
}

typedef struct norm_vectors {
    const float *mean, *var, *gamma, *beta;
} norm_vectors;

/* What z = (x - centre) scale + shift takes of a thread's channels. */
template <int N> struct line {
    float centre[N], scale[N], shift[N], rstd[N];
};

template <int N> __device__ inline line<N> line_of(norm_vectors v, float eps, int64_t c)
{
    line<N> l;
    load_floats<N>(l.centre, v.mean + c);
    load_floats<N>(l.rstd, v.var + c);
    load_floats<N>(l.scale, v.gamma + c);
    load_floats<N>(l.shift, v.beta + c);
    for (int i = 0; i < N; i++) {
        l.rstd[i] = rsqrtf(l.rstd[i] + eps);
        l.scale[i] *= l.rstd[i];
    }
    return l;
}

/* ---- statistics -------------------------------------------------------------------------------------------------- */

/* A value to take distances from, so that a large mean cancels nowhere: the middle one of three rows, for one row may
 * be far off. */
template <typename T, int N> __device__ inline void origin_of(float (&origin)[N], const T *x, norm_shape s, int64_t c)
{
    const pack<T, N> a = load_pack<T, N>(x, at<N>(s, s.n / 6, c)), b = load_pack<T, N>(x, at<N>(s, s.n / 2, c)),
                     d = load_pack<T, N>(x, at<N>(s, s.n - 1 - s.n / 6, c));
    float u[N], v[N], w[N];
    floats_of(u, a);
    floats_of(v, b);
    floats_of(w, d);
    for (int i = 0; i < N; i++) origin[i] = middle_of(u[i], v[i], w[i]);
}

/* A block that sums: a chunk of rows (blockIdx.x) of a tile of channels (blockIdx.y). */
template <int N> __device__ inline part part_of_chunk(norm_shape s, column_cut cut)
{
    const int64_t first = blockIdx.x * cut.chunk_rows;
    return part{ (blockIdx.y * (int64_t)cut.lanes + threadIdx.x) * N, first + threadIdx.y,
                 min(first + cut.chunk_rows, s.n), cut.rows };
}

template <typename T, int N>
__global__ void __launch_bounds__(COLUMN_THREADS)
    batch_moments(const T *__restrict__ x, float *mean, float *var, norm_shape s, column_cut cut, float *partial,
                  uint32_t *arrivals)
{
    __shared__ float scratch[COLUMN_SCRATCH];
    __shared__ uint32_t flag[1];
    part p = part_of_chunk<N>(s, cut);
    column_sums<N> sum = {};
    if (p.c < s.C) {
        pack<T, N> v[AHEAD];
        float origin[N];
        load_rows(v, x, s, p, s.C);
        origin_of(origin, x, s, p.c);
        while (p.r < p.last) {
            for (int k = 0; k < AHEAD; k++) {
                if (p.r + k * p.step >= p.last) break;
                float row[N];
                floats_of(row, v[k]);
                for (int i = 0; i < N; i++) {
                    const float d = row[i] - origin[i];
                    sum.first[i] += d;
                    sum.second[i] += d * d;
                }
            }
            p.r += AHEAD * p.step;
            load_rows(v, x, s, p, s.C);
        }
    }
    const int width = cut.lanes * N, thread = threadIdx.y * cut.lanes + threadIdx.x;
    const int64_t tile = blockIdx.y, channel = tile * width + thread;
    float *chunks = partial + tile * cut.chunks * 2 * width;
    if (!add_tile<N>(&sum, scratch, blockIdx.x, cut.chunks, chunks, arrivals + tile, flag)) return;
    if (thread >= width || channel >= s.C) return;
    float origin[1];
    origin_of(origin, x, s, channel);
    const double shift = (double)scratch[thread] / (double)s.n;
    const double square = (double)scratch[width + thread] / (double)s.n - shift * shift;
    mean[channel] = (float)((double)origin[0] + shift);
    var[channel] = square > 0.0 ? (float)square : 0.0f;
}

/* ---- y ----------------------------------------------------------------------------------------------------------- */

/* A block that writes: some rows of a tile, the last ones first, for they are what the pass before has read last. */
template <int N> __device__ inline part part_of_rows(norm_shape s, int64_t rows)
{
    const int64_t first = (gridDim.x - 1 - blockIdx.x) * rows;
    return part{ (blockIdx.y * (int64_t)blockDim.x + threadIdx.x) * N, first + threadIdx.y, min(first + rows, s.n),
                 blockDim.y };
}

template <typename T, int N, int ACT>
__global__ void __launch_bounds__(THREADS)
    batch_norm_apply(const T *__restrict__ x, norm_vectors vectors, T *__restrict__ y, norm_shape s, int64_t rows)
{
    part p = part_of_rows<N>(s, rows);
    if (p.c >= s.C) return;
    pack<T, N> v[AHEAD];
    load_rows(v, x, s, p, s.C);
    const line<N> l = line_of<N>(vectors, s.eps, p.c);
    while (p.r < p.last) {
        for (int k = 0; k < AHEAD; k++) {
            if (p.r + k * p.step >= p.last) break;
            float row[N], out[N];
            floats_of(row, v[k]);
            for (int i = 0; i < N; i++) {
                const float z = (row[i] - l.centre[i]) * l.scale[i] + l.shift[i];
                out[i] = activate_as<ACT, T>(s.act, z);
            }
            store_pack<T, N>(y, at<N>(s, p.r + k * p.step, p.c), pack_of<T, N>(out));
        }
        p.r += AHEAD * p.step;
        load_rows(v, x, s, p, s.C);
    }
}

/* ---- backward: with d = x - mean, z = scale d + beta, dz = act'(z) dy:  dbeta = sum dz, dgamma = rstd sum dz d,
 * dx = scale (dz - dbeta/n - d rstd dgamma/n) ---------------------------------------------------------------------- */

enum { BOTH = 2 }; /* rows of x and of dy that a thread reads before it works on them */

template <typename T, int N, int ACT>
__global__ void __launch_bounds__(COLUMN_THREADS)
    batch_norm_sums(const T *__restrict__ x, norm_vectors vectors, const T *__restrict__ dy, float *dgamma,
                    float *dbeta, norm_shape s, column_cut cut, float *partial, uint32_t *arrivals)
{
    __shared__ float scratch[COLUMN_SCRATCH];
    __shared__ uint32_t flag[1];
    part p = part_of_chunk<N>(s, cut);
    column_sums<N> sum = {};
    if (p.c < s.C) {
        pack<T, N> v[BOTH], g[BOTH];
        load_rows(v, x, s, p, s.C);
        load_rows(g, dy, s, p, s.pitch);
        const line<N> l = line_of<N>(vectors, s.eps, p.c);
        while (p.r < p.last) {
            for (int k = 0; k < BOTH; k++) {
                if (p.r + k * p.step >= p.last) break;
                float row[N], slope[N];
                floats_of(row, v[k]);
                floats_of(slope, g[k]);
                for (int i = 0; i < N; i++) {
                    const float d = row[i] - l.centre[i];
                    const float dz = activate_slope_as<ACT, T>(s.act, d * l.scale[i] + l.shift[i]) * slope[i];
                    sum.first[i] += dz;
                    sum.second[i] += dz * d;
                }
            }
            p.r += BOTH * p.step;
            load_rows(v, x, s, p, s.C);
            load_rows(g, dy, s, p, s.pitch);
        }
    }
    const int width = cut.lanes * N, thread = threadIdx.y * cut.lanes + threadIdx.x;
    const int64_t tile = blockIdx.y, channel = tile * width + thread;
    float *chunks = partial + tile * cut.chunks * 2 * width;
    if (!add_tile<N>(&sum, scratch, blockIdx.x, cut.chunks, chunks, arrivals + tile, flag)) return;
    if (thread >= width || channel >= s.C) return;
    dbeta[channel] = scratch[thread];
    dgamma[channel] = scratch[width + thread] * rsqrtf(vectors.var[channel] + s.eps);
}

template <typename T, int N, int ACT>
__global__ void __launch_bounds__(THREADS)
    batch_norm_dx(const T *__restrict__ x, norm_vectors vectors, const T *__restrict__ dy,
                  const float *__restrict__ dgamma, const float *__restrict__ dbeta, T *__restrict__ dx, norm_shape s,
                  int64_t rows)
{
    part p = part_of_rows<N>(s, rows);
    if (p.c >= s.C) return;
    pack<T, N> v[BOTH], g[BOTH];
    load_rows(v, x, s, p, s.C);
    load_rows(g, dy, s, p, s.pitch);
    const line<N> l = line_of<N>(vectors, s.eps, p.c);
    const float share = 1.0f / (float)s.n;
    float level[N], tilt[N]; /* dx = scale dz - (level + d tilt) */
    load_floats<N>(level, dbeta + p.c);
    load_floats<N>(tilt, dgamma + p.c);
    for (int i = 0; i < N; i++) {
        level[i] *= share * l.scale[i];
        tilt[i] *= share * l.scale[i] * l.rstd[i];
    }
    while (p.r < p.last) {
        for (int k = 0; k < BOTH; k++) {
            if (p.r + k * p.step >= p.last) break;
            float row[N], slope[N], out[N];
            floats_of(row, v[k]);
            floats_of(slope, g[k]);
            for (int i = 0; i < N; i++) {
                const float d = row[i] - l.centre[i];
                const float dz = activate_slope_as<ACT, T>(s.act, d * l.scale[i] + l.shift[i]) * slope[i];
                out[i] = l.scale[i] * dz - (level[i] + d * tilt[i]);
            }
            store_pack<T, N>(dx, at<N>(s, p.r + k * p.step, p.c), pack_of<T, N>(out));
        }
        p.r += BOTH * p.step;
        load_rows(v, x, s, p, s.C);
        load_rows(g, dy, s, p, s.pitch);
    }
}

/* ---- launches ---------------------------------------------------------------------------------------------------- */

enum { SUM_BLOCKS = 128 }; /* of a pass that sums, about as many as a large GPU has multiprocessors */

typedef struct norm_call {
    const void *x, *dy;
    norm_vectors p;
    void *y; /* or dx */
    float *dgamma, *dbeta;
} norm_call;

/* By packs of 16 bytes where rows and tensors begin at multiples of them. */
template <typename T> static bool by_packs(norm_shape s, const norm_call *m)
{
    const uintptr_t begin = (uintptr_t)m->x | (uintptr_t)m->dy | (uintptr_t)m->y | (uintptr_t)m->dgamma |
                            (uintptr_t)m->dbeta | (uintptr_t)m->p.mean | (uintptr_t)m->p.var | (uintptr_t)m->p.gamma |
                            (uintptr_t)m->p.beta;
    return s.L == 0 && s.C % widest<T>() == 0 && s.pitch % widest<T>() == 0 && begin % 16 == 0;
}

static column_cut cut_of(norm_shape s, int N)
{
    if (s.L == 0) return dr_cut_columns(s.n, s.C, N, 1, SUM_BLOCKS, AHEAD, COLUMN_THREADS);
    /* one channel to a tile: runs are read whole */
    column_cut cut = dr_cut_columns(s.n, 1, 1, s.C, SUM_BLOCKS, AHEAD, COLUMN_THREADS);
    cut.tiles = (int)s.C;
    return cut;
}

/* The grid of a pass without sums: tiles as in cut_of, and for each thread 4 rows, or more where there are many. */
typedef struct row_grid {
    dim3 grid, block;
    int64_t rows;
} row_grid;

static row_grid rows_of(norm_shape s, int N)
{
    const column_cut cut = cut_of(s, N);
    const int64_t lanes = cut.lanes, at_once = THREADS / lanes;
    int64_t each = AHEAD;
    while (each < 16 && dr_blocks_for(s.n, at_once * each * 2) * cut.tiles >= 512) each *= 2;
    const int64_t rows = at_once * each;
    return row_grid{ dim3((unsigned)dr_blocks_for(s.n, rows), (unsigned)cut.tiles),
                     dim3((unsigned)lanes, (unsigned)at_once), rows };
}

template <typename T, int N, int ACT> static void apply(const dr_kargs *a, norm_shape s, const norm_call *m)
{
    const row_grid g = rows_of(s, N);
    DR_LAUNCH(a, (batch_norm_apply<T, N, ACT>), g.grid, g.block, 0, (const T *)m->x, m->p, (T *)m->y, s, g.rows);
}

template <typename T> static void apply_any(const dr_kargs *a, norm_shape s, const norm_call *m)
{
    if (!by_packs<T>(s, m)) return apply<T, 1, DR_ACT_BY_VALUE>(a, s, m);
    switch (s.act) {
    case DR_ACT_RELU: return apply<T, widest<T>(), DR_ACT_RELU>(a, s, m);
    case DR_ACT_GELU: return apply<T, widest<T>(), DR_ACT_GELU>(a, s, m);
    case DR_ACT_GELU_TANH: return apply<T, widest<T>(), DR_ACT_GELU_TANH>(a, s, m);
    case DR_ACT_SILU: return apply<T, widest<T>(), DR_ACT_SILU>(a, s, m);
    default: return apply<T, widest<T>(), DR_ACT_NONE>(a, s, m);
    }
}

template <typename T, int N> static bool moments(const dr_kargs *a, norm_shape s)
{
    const column_cut cut = cut_of(s, N);
    float *partial = (float *)dr_cuda_workspace(a, dr_column_bytes(cut, N, 1));
    if (!partial) return false;
    DR_LAUNCH(a, (batch_moments<T, N>), dim3((unsigned)cut.chunks, (unsigned)cut.tiles), dr_column_block(cut), 0,
              (const T *)dr_in(a, 0), (float *)dr_out(a, 1), (float *)dr_out(a, 2), s, cut, partial,
              dr_cuda_of(a)->arrivals);
    return true;
}

template <typename T> static void batch_norm_act(const dr_kargs *a) /* x, gamma [C], beta [C] -> y, mean [C], var [C] */
{
    const norm_shape s = shape_of(&a->in[0], (const dr_batch_norm_act_attr *)a->attr);
    if (s.n * s.C == 0) return;
    const norm_call m = { dr_in(a, 0),
                          NULL,
                          { (float *)dr_out(a, 1), (float *)dr_out(a, 2), (float *)dr_in(a, 1), (float *)dr_in(a, 2) },
                          dr_out(a, 0),
                          NULL,
                          NULL };
    const bool packs = by_packs<T>(s, &m);
    if (!(packs ? moments<T, widest<T>()>(a, s) : moments<T, 1>(a, s))) return;
    apply_any<T>(a, s, &m);
}

/* x, gamma, beta, running_mean [C], running_var [C] -> y */
template <typename T> static void batch_norm_eval(const dr_kargs *a)
{
    const norm_shape s = shape_of(&a->in[0], (const dr_batch_norm_eval_attr *)a->attr);
    if (s.n * s.C == 0) return;
    const norm_call m = {
        dr_in(a, 0),  NULL, { (float *)dr_in(a, 3), (float *)dr_in(a, 4), (float *)dr_in(a, 1), (float *)dr_in(a, 2) },
        dr_out(a, 0), NULL, NULL
    };
    apply_any<T>(a, s, &m);
}

template <typename T, int N, int ACT> static void backward(const dr_kargs *a, norm_shape s, const norm_call *m)
{
    const column_cut cut = cut_of(s, N);
    const row_grid g = rows_of(s, N);
    float *partial = (float *)dr_cuda_workspace(a, dr_column_bytes(cut, N, 1));
    if (!partial) return;
    DR_LAUNCH(a, (batch_norm_sums<T, N, ACT>), dim3((unsigned)cut.chunks, (unsigned)cut.tiles), dr_column_block(cut), 0,
              (const T *)m->x, m->p, (const T *)m->dy, m->dgamma, m->dbeta, s, cut, partial, dr_cuda_of(a)->arrivals);
    DR_LAUNCH(a, (batch_norm_dx<T, N, ACT>), g.grid, g.block, 0, (const T *)m->x, m->p, (const T *)m->dy, m->dgamma,
              m->dbeta, (T *)m->y, s, g.rows);
}

/* x, gamma, beta, mean, var, dy -> dx, dgamma, dbeta */
template <typename T> static void batch_norm_act_backward(const dr_kargs *a)
{
    norm_shape s = shape_of(&a->in[0], (const dr_batch_norm_act_backward_attr *)a->attr);
    if (s.n * s.C == 0) return;
    if (a->in[5].rank == 4) s.pitch = dr_pixel_pitch(&a->in[5]);
    const norm_call m = { dr_in(a, 0),
                          dr_in(a, 5),
                          { (float *)dr_in(a, 3), (float *)dr_in(a, 4), (float *)dr_in(a, 1), (float *)dr_in(a, 2) },
                          dr_out(a, 0),
                          (float *)dr_out(a, 1),
                          (float *)dr_out(a, 2) };
    if (!by_packs<T>(s, &m)) return backward<T, 1, DR_ACT_BY_VALUE>(a, s, &m);
    switch (s.act) {
    case DR_ACT_RELU: return backward<T, widest<T>(), DR_ACT_RELU>(a, s, &m);
    case DR_ACT_GELU: return backward<T, widest<T>(), DR_ACT_GELU>(a, s, &m);
    case DR_ACT_GELU_TANH: return backward<T, widest<T>(), DR_ACT_GELU_TANH>(a, s, &m);
    case DR_ACT_SILU: return backward<T, widest<T>(), DR_ACT_SILU>(a, s, &m);
    default: return backward<T, widest<T>(), DR_ACT_NONE>(a, s, &m);
    }
}

/* ---- running = (1 - momentum) running + momentum batch, where the batch's variance is the unbiased one ----------- */

__global__ void batch_norm_move(float *running_mean, float *running_var, const float *mean, const float *var,
                                int64_t *batches, int64_t C, float keep, float take, float take_var)
{
    const int64_t c = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (c == 0 && batches) *batches += 1;
    if (c >= C) return;
    running_mean[c] = keep * running_mean[c] + take * mean[c];
    running_var[c] = keep * running_var[c] + take_var * var[c];
}

/* running_mean, running_var, mean, var, num_batches_tracked or NULL; in place */
static void batch_norm_update(const dr_kargs *a)
{
    const dr_batch_norm_update_attr *attr = (const dr_batch_norm_update_attr *)a->attr;
    const double unbiased = attr->count > 1 ? (double)attr->count / (double)(attr->count - 1) : 1.0;
    const int64_t C = dr_numel(&a->in[0]);
    DR_LAUNCH(a, batch_norm_move, (unsigned)dr_blocks_for(C > 0 ? C : 1, 128), 128, 0, (float *)dr_in(a, 0),
              (float *)dr_in(a, 1), (const float *)dr_in(a, 2), (const float *)dr_in(a, 3),
              (int64_t *)dr_optional(a, 4), C, (float)(1.0 - attr->momentum), (float)attr->momentum,
              (float)(attr->momentum * unbiased));
}

DR_KERNEL(batch_norm_act, DR_F32, batch_norm_act<float>)
DR_KERNEL(batch_norm_act, DR_BF16, batch_norm_act<bf16>)
DR_KERNEL(batch_norm_act_backward, DR_F32, batch_norm_act_backward<float>)
DR_KERNEL(batch_norm_act_backward, DR_BF16, batch_norm_act_backward<bf16>)
DR_KERNEL(batch_norm_eval, DR_F32, batch_norm_eval<float>)
DR_KERNEL(batch_norm_eval, DR_BF16, batch_norm_eval<bf16>)
DR_KERNEL(batch_norm_update, DR_F32, batch_norm_update)
