/* batch_norm.cu: y = act(gamma (x - mean)/sqrt(var + eps) + beta), per channel.     Ioffe & Szegedy 2015
 * x is channels-last, so a matrix of n rows (pixels of all images) and C columns; [B,C,L] is row-major and works by runs of
 * L values. x and y are f32 or bf16, all else is f32. Forward and backward are two passes each, the first for the sums
 * (column_sums.h) and the second for the values; backward works z and act'(z) out again from x rather than keeping them. */
#include "activation.h"
#include "column_sums.h"

#include <math.h>

typedef struct norm_shape {
    int64_t n, C, L; /* L: 0, or the length of a channel's runs */
    int act;         /* for kernels that are not made for one activation */
    float eps;
} norm_shape;

static norm_shape shape_of(const dr_view *x, const dr_batch_norm_act_attr *attr)
{
    const int64_t rest = dr_count(x, 2, x->rank);
    return norm_shape{ x->shape[0] * rest, x->shape[1], x->rank == 3 ? rest : 0, (int)attr->act, (float)attr->eps };
}

/* Where row r of channel c lies. */
template <int N> __device__ inline int64_t at(norm_shape s, int64_t r, int64_t c)
{
    if (N == 1 && s.L > 0) return (r / s.L * s.C + c) * s.L + r % s.L;
    return r * s.C + c;
}

enum { AHEAD = 4 }; /* rows that a thread reads before it works on them */

/* ---- statistics --------------------------------------------------------------------------------------------------- */

/* A value to take distances from, so that a large mean cancels nowhere: the middle one of three rows, for one row may be
 * far off. */
template <typename T, int N> __device__ inline void origin_of(const T *x, norm_shape s, int64_t c, float origin[N])
{
    const pack<T, N> a = load_pack<T, N>(x, at<N>(s, s.n / 6, c)), b = load_pack<T, N>(x, at<N>(s, s.n / 2, c)),
                     d = load_pack<T, N>(x, at<N>(s, s.n - 1 - s.n / 6, c));
    for (int i = 0; i < N; i++) origin[i] = middle_of(to_float(a.v[i]), to_float(b.v[i]), to_float(d.v[i]));
}

/* A block: a chunk of rows (blockIdx.x) of a tile of channels (blockIdx.y). */
template <typename T, int N>
__global__ void __launch_bounds__(COLUMN_THREADS) batch_moments(const T *x, float *mean, float *var, norm_shape s,
                                                                column_cut cut, float *partial, uint32_t *arrivals)
{
    __shared__ float scratch[COLUMN_SCRATCH];
    __shared__ uint32_t flag[1];
    const int width = cut.lanes * N, thread = threadIdx.y * cut.lanes + threadIdx.x;
    const int64_t tile = blockIdx.y, c = tile * width + (int)threadIdx.x * N;
    const int64_t first = blockIdx.x * cut.chunk_rows, last = min(first + cut.chunk_rows, s.n);
    column_sums<N> sum = {};
    if (c < s.C) {
        float origin[N];
        origin_of<T, N>(x, s, c, origin);
        for (int64_t r = first + threadIdx.y; r < last; r += AHEAD * cut.rows) {
            pack<T, N> v[AHEAD];
            for (int k = 0; k < AHEAD; k++) {
                if (r + k * cut.rows < last) v[k] = load_pack<T, N>(x, at<N>(s, r + k * cut.rows, c));
            }
            for (int k = 0; k < AHEAD; k++) {
                if (r + k * cut.rows >= last) break;
                for (int i = 0; i < N; i++) {
                    const float d = to_float(v[k].v[i]) - origin[i];
                    sum.first[i] += d;
                    sum.second[i] += d * d;
                }
            }
        }
    }
    float *chunks = partial + tile * cut.chunks * 2 * width;
    if (!add_tile<N>(&sum, scratch, blockIdx.x, cut.chunks, chunks, arrivals + tile, flag)) return;
    const int64_t channel = tile * width + thread;
    if (thread >= width || channel >= s.C) return;
    float origin[1];
    origin_of<T, 1>(x, s, channel, origin);
    const double shift = (double)scratch[thread] / (double)s.n;
    const double square = (double)scratch[width + thread] / (double)s.n - shift * shift;
    mean[channel] = (float)((double)origin[0] + shift);
    var[channel] = square > 0.0 ? (float)square : 0.0f;
}

/* ---- y ------------------------------------------------------------------------------------------------------------ */

enum { THREADS = 256 }; /* of a block where no sums are taken */

/* rows: of a chunk (blockIdx.x); a tile (blockIdx.y) is blockDim.x packs wide */
template <typename T, int N, int ACT>
__global__ void __launch_bounds__(THREADS) batch_norm_apply(const T *__restrict__ x, const float *__restrict__ mean,
                                                            const float *__restrict__ var, const float *__restrict__ gamma,
                                                            const float *__restrict__ beta, T *__restrict__ y, norm_shape s,
                                                            int64_t rows)
{
    const int64_t c = (blockIdx.y * (int64_t)blockDim.x + threadIdx.x) * N, step = blockDim.y;
    if (c >= s.C) return;
    const int64_t first = blockIdx.x * rows, last = min(first + rows, s.n);
    float centre[N], scale[N], shift[N];
    for (int i = 0; i < N; i++) {
        centre[i] = mean[c + i];
        scale[i] = gamma[c + i] / sqrtf(var[c + i] + s.eps);
        shift[i] = beta[c + i];
    }
    for (int64_t r = first + threadIdx.y; r < last; r += AHEAD * step) {
        pack<T, N> v[AHEAD];
        for (int k = 0; k < AHEAD; k++) {
            if (r + k * step < last) v[k] = load_pack<T, N>(x, at<N>(s, r + k * step, c));
        }
        for (int k = 0; k < AHEAD; k++) {
            if (r + k * step >= last) break;
            for (int i = 0; i < N; i++) {
                const float z = (to_float(v[k].v[i]) - centre[i]) * scale[i] + shift[i];
                v[k].v[i] = from_float<T>(activate_as<ACT, T>(s.act, z));
            }
            store_pack<T, N>(y, at<N>(s, r + k * step, c), v[k]);
        }
    }
}

/* ---- backward: with d = x - mean, z = scale d + beta, dz = act'(z) dy:  dbeta = sum dz, dgamma = rstd sum dz d,
 * dx = scale (dz - dbeta/n - d rstd dgamma/n) ------------------------------------------------------------------------ */

typedef struct norm_vectors {
    const float *mean, *var, *gamma, *beta;
} norm_vectors;

template <typename T, int N, int ACT>
__global__ void __launch_bounds__(COLUMN_THREADS) batch_norm_sums(const T *x, norm_vectors p, const T *dy, float *dgamma,
                                                                  float *dbeta, norm_shape s, column_cut cut,
                                                                  float *partial, uint32_t *arrivals)
{
    __shared__ float scratch[COLUMN_SCRATCH];
    __shared__ uint32_t flag[1];
    const int width = cut.lanes * N, thread = threadIdx.y * cut.lanes + threadIdx.x;
    const int64_t tile = blockIdx.y, c = tile * width + (int)threadIdx.x * N;
    const int64_t first = blockIdx.x * cut.chunk_rows, last = min(first + cut.chunk_rows, s.n);
    column_sums<N> sum = {};
    if (c < s.C) {
        float centre[N], scale[N], shift[N];
        for (int i = 0; i < N; i++) {
            centre[i] = p.mean[c + i];
            scale[i] = p.gamma[c + i] / sqrtf(p.var[c + i] + s.eps);
            shift[i] = p.beta[c + i];
        }
        for (int64_t r = first + threadIdx.y; r < last; r += 2 * cut.rows) {
            pack<T, N> v[2], g[2];
            for (int k = 0; k < 2; k++) {
                if (r + k * cut.rows >= last) break;
                v[k] = load_pack<T, N>(x, at<N>(s, r + k * cut.rows, c));
                g[k] = load_pack<T, N>(dy, at<N>(s, r + k * cut.rows, c));
            }
            for (int k = 0; k < 2; k++) {
                if (r + k * cut.rows >= last) break;
                for (int i = 0; i < N; i++) {
                    const float d = to_float(v[k].v[i]) - centre[i];
                    const float dz = activate_slope_as<ACT, T>(s.act, d * scale[i] + shift[i]) * to_float(g[k].v[i]);
                    sum.first[i] += dz;
                    sum.second[i] += dz * d;
                }
            }
        }
    }
    float *chunks = partial + tile * cut.chunks * 2 * width;
    if (!add_tile<N>(&sum, scratch, blockIdx.x, cut.chunks, chunks, arrivals + tile, flag)) return;
    const int64_t channel = tile * width + thread;
    if (thread >= width || channel >= s.C) return;
    dbeta[channel] = scratch[thread];
    dgamma[channel] = scratch[width + thread] / sqrtf(p.var[channel] + s.eps);
}

template <typename T, int N, int ACT>
__global__ void __launch_bounds__(THREADS) batch_norm_dx(const T *__restrict__ x, norm_vectors p,
                                                         const T *__restrict__ dy, const float *__restrict__ dgamma,
                                                         const float *__restrict__ dbeta, T *__restrict__ dx,
                                                         norm_shape s, int64_t rows)
{
    const int64_t c = (blockIdx.y * (int64_t)blockDim.x + threadIdx.x) * N, step = blockDim.y;
    if (c >= s.C) return;
    const int64_t first = blockIdx.x * rows, last = min(first + rows, s.n);
    const float share = 1.0f / (float)s.n;
    float centre[N], scale[N], shift[N], level[N], tilt[N];
    for (int i = 0; i < N; i++) {
        const float rstd = 1.0f / sqrtf(p.var[c + i] + s.eps);
        centre[i] = p.mean[c + i];
        scale[i] = p.gamma[c + i] * rstd;
        shift[i] = p.beta[c + i];
        level[i] = dbeta[c + i] * share;
        tilt[i] = dgamma[c + i] * rstd * share;
    }
    for (int64_t r = first + threadIdx.y; r < last; r += 2 * step) {
        pack<T, N> v[2], g[2];
        for (int k = 0; k < 2; k++) {
            if (r + k * step >= last) break;
            v[k] = load_pack<T, N>(x, at<N>(s, r + k * step, c));
            g[k] = load_pack<T, N>(dy, at<N>(s, r + k * step, c));
        }
        for (int k = 0; k < 2; k++) {
            if (r + k * step >= last) break;
            for (int i = 0; i < N; i++) {
                const float d = to_float(v[k].v[i]) - centre[i];
                const float dz = activate_slope_as<ACT, T>(s.act, d * scale[i] + shift[i]) * to_float(g[k].v[i]);
                v[k].v[i] = from_float<T>(scale[i] * (dz - level[i] - d * tilt[i]));
            }
            store_pack<T, N>(dx, at<N>(s, r + k * step, c), v[k]);
        }
    }
}

/* ---- launches ------------------------------------------------------------------------------------------------------ */

enum { SUM_BLOCKS = 128 }; /* of a pass that sums, about as many as a large GPU has multiprocessors */

/* By packs of 16 bytes where rows and tensors begin at multiples of them. */
template <typename T> static bool by_packs(norm_shape s, const void *x, const void *y, const void *z)
{
    return s.L == 0 && s.C % widest<T>() == 0 && dr_aligned(x, 16) && dr_aligned(y, 16) && dr_aligned(z, 16);
}

static column_cut cut_of(norm_shape s, int N)
{
    if (s.L == 0) return dr_cut_columns(s.n, s.C, N, 1, SUM_BLOCKS, AHEAD, COLUMN_THREADS);
    column_cut cut = dr_cut_columns(s.n, 1, 1, s.C, SUM_BLOCKS, AHEAD, COLUMN_THREADS); /* one channel to a tile: runs are read whole */
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
    return row_grid{ dim3((unsigned)dr_blocks_for(s.n, rows), (unsigned)cut.tiles), dim3((unsigned)lanes, (unsigned)at_once),
                     rows };
}

typedef struct norm_call {
    const void *x, *dy;
    norm_vectors p;
    void *y;                /* or dx */
    float *dgamma, *dbeta;
} norm_call;

template <typename T, int N, int ACT> static void apply(const dr_kargs *a, norm_shape s, const norm_call *m)
{
    const row_grid g = rows_of(s, N);
    DR_LAUNCH(a, (batch_norm_apply<T, N, ACT>), g.grid, g.block, 0, (const T *)m->x, m->p.mean, m->p.var, m->p.gamma,
              m->p.beta, (T *)m->y, s, g.rows);
}

template <typename T> static void apply_any(const dr_kargs *a, norm_shape s, const norm_call *m)
{
    if (!by_packs<T>(s, m->x, m->y, m->y)) return apply<T, 1, DR_ACT_BY_VALUE>(a, s, m);
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
    const norm_call m = { dr_in(a, 0), NULL,
                          { (float *)dr_out(a, 1), (float *)dr_out(a, 2), (float *)dr_in(a, 1), (float *)dr_in(a, 2) },
                          dr_out(a, 0), NULL, NULL };
    const bool packs = by_packs<T>(s, m.x, m.y, m.y);
    if (!(packs ? moments<T, widest<T>()>(a, s) : moments<T, 1>(a, s))) return;
    apply_any<T>(a, s, &m);
}

/* x, gamma, beta, running_mean [C], running_var [C] -> y */
template <typename T> static void batch_norm_eval(const dr_kargs *a)
{
    const norm_shape s = shape_of(&a->in[0], (const dr_batch_norm_eval_attr *)a->attr);
    if (s.n * s.C == 0) return;
    const norm_call m = { dr_in(a, 0), NULL,
                          { (float *)dr_in(a, 3), (float *)dr_in(a, 4), (float *)dr_in(a, 1), (float *)dr_in(a, 2) },
                          dr_out(a, 0), NULL, NULL };
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
    const norm_shape s = shape_of(&a->in[0], (const dr_batch_norm_act_backward_attr *)a->attr);
    if (s.n * s.C == 0) return;
    const norm_call m = { dr_in(a, 0), dr_in(a, 5),
                          { (float *)dr_in(a, 3), (float *)dr_in(a, 4), (float *)dr_in(a, 1), (float *)dr_in(a, 2) },
                          dr_out(a, 0), (float *)dr_out(a, 1), (float *)dr_out(a, 2) };
    if (!by_packs<T>(s, m.x, m.dy, m.y)) return backward<T, 1, DR_ACT_BY_VALUE>(a, s, &m);
    switch (s.act) {
    case DR_ACT_RELU: return backward<T, widest<T>(), DR_ACT_RELU>(a, s, &m);
    case DR_ACT_GELU: return backward<T, widest<T>(), DR_ACT_GELU>(a, s, &m);
    case DR_ACT_GELU_TANH: return backward<T, widest<T>(), DR_ACT_GELU_TANH>(a, s, &m);
    case DR_ACT_SILU: return backward<T, widest<T>(), DR_ACT_SILU>(a, s, &m);
    default: return backward<T, widest<T>(), DR_ACT_NONE>(a, s, &m);
    }
}

/* ---- running = (1 - momentum) running + momentum batch, where the batch's variance is the unbiased one ------------- */

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
