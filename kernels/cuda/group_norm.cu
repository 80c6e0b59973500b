/* group_norm.cu: y = act(gamma (x - mean)/sqrt(var + eps) + beta), mean and var over a group of C/G channels of one
 * image.     Wu & He 2018. gamma and beta are [C], or [B,C] where each image has its own. An image is channels-last, so
 * a matrix of L rows and C columns; other ranks are row-major and work by runs of L values. x and y are f32 or bf16,
 * all else is f32. The first pass takes sums by channel and chunk of rows (column_sums.h), which each block of the
 * second joins for its groups. */
#include "activation.h"
#include "block_sum.h"
#include "column_sums.h"

typedef struct group_shape {
    int64_t B, C, L, G, per; /* per: C / G */
    int64_t own;             /* C, where each image has its gamma and beta; or 0 */
    bool runs;               /* row-major */
    int act;
    float eps;
} group_shape;

static group_shape shape_of(const dr_view *x, const dr_view *gamma, const dr_group_norm_act_attr *attr)
{
    group_shape s = {};
    s.B = x->shape[0];
    s.C = x->shape[1];
    s.L = dr_count(x, 2, x->rank);
    s.G = attr->groups;
    s.per = s.C / s.G;
    s.own = gamma->rank == 2 ? s.C : 0;
    s.runs = x->rank != 4 && s.L > 1;
    s.act = (int)attr->act;
    s.eps = (float)attr->eps;
    return s;
}

/* Where row r of channel c of image b lies. */
template <int N> __device__ inline int64_t at(group_shape s, int64_t b, int64_t r, int64_t c)
{
    if (N == 1 && s.runs) return (b * s.C + c) * s.L + r;
    return (b * s.L + r) * s.C + c;
}

/* What a block works on: a chunk of rows of one image (blockIdx.x), a tile of channels (blockIdx.y). */
typedef struct place {
    int64_t b, tile, c, first, last; /* c: of this thread's first channel */
    int chunk, width, thread;
} place;

template <int N> __device__ inline place place_of(group_shape s, column_cut cut)
{
    place p;
    p.b = blockIdx.x / cut.chunks;
    p.chunk = blockIdx.x % cut.chunks;
    p.tile = blockIdx.y;
    p.width = cut.lanes * N;
    p.thread = threadIdx.y * cut.lanes + threadIdx.x;
    p.c = p.tile * p.width + (int)threadIdx.x * N;
    p.first = p.chunk * cut.chunk_rows;
    p.last = min(p.first + cut.chunk_rows, s.L);
    return p;
}

/* Two numbers of each chunk and channel: [B, tiles, chunks, 2, width]. `which`: the first or the second. */
__device__ inline int64_t part_at(column_cut cut, int width, int64_t b, int64_t c, int chunk, int which)
{
    return (((b * cut.tiles + c / width) * cut.chunks + chunk) * 2 + which) * width + c % width;
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

/* Of each chunk and channel: its mean, and the sum of squared distances to it. */
template <typename T, int N>
__global__ void __launch_bounds__(COLUMN_THREADS) group_moments(const T *x, group_shape s, column_cut cut, float *part)
{
    __shared__ float scratch[COLUMN_SCRATCH], origins[COLUMN_WIDTH];
    const place p = place_of<N>(s, cut);
    column_sums<N> sum = {};
    if (p.c < s.C) {
        const int64_t n = p.last - p.first;
        const pack<T, N> u = load_pack<T, N>(x, at<N>(s, p.b, p.first, p.c)),
                         v = load_pack<T, N>(x, at<N>(s, p.b, p.first + n / 2, p.c)),
                         w = load_pack<T, N>(x, at<N>(s, p.b, p.last - 1, p.c));
        float origin[N];
        for (int i = 0; i < N; i++) origin[i] = middle_of(to_float(u.v[i]), to_float(v.v[i]), to_float(w.v[i]));
        for (int i = 0; i < N && threadIdx.y == 0; i++) origins[threadIdx.x * N + i] = origin[i];
#pragma unroll 4
        for (int64_t r = p.first + threadIdx.y; r < p.last; r += cut.rows) {
            float row[N];
            floats_of(row, load_pack<T, N>(x, at<N>(s, p.b, r, p.c)));
            for (int i = 0; i < N; i++) {
                const float d = row[i] - origin[i];
                sum.first[i] += d;
                sum.second[i] += d * d;
            }
        }
    }
    add_block_rows<N>(&sum, scratch);
    const int64_t channel = p.tile * p.width + p.thread;
    if (p.thread >= p.width || channel >= s.C) return;
    const float count = (float)(p.last - p.first), shift = scratch[p.thread] / count;
    part[part_at(cut, p.width, p.b, channel, p.chunk, 0)] = origins[p.thread] + shift;
    part[part_at(cut, p.width, p.b, channel, p.chunk, 1)] =
        fmaxf(scratch[p.width + p.thread] - shift * shift * count, 0.0f);
}

/* Joins the chunks and channels of a group, a warp to a group; in every lane.     Chan et al. 1983 */
__device__ inline void join_group(const float *part, group_shape s, column_cut cut, int width, int64_t b, int64_t g,
                                  float *mean, float *rstd)
{
    const int64_t count = s.per * cut.chunks;
    const float n = (float)(s.per * s.L), origin = part[part_at(cut, width, b, g * s.per, 0, 0)];
    float sum = 0.0f, squares = 0.0f;
    for (int64_t k = threadIdx.x % 32; k < count; k += 32) {
        const int chunk = (int)(k / s.per);
        const float rows = (float)(min((chunk + 1) * cut.chunk_rows, s.L) - chunk * cut.chunk_rows);
        sum += rows * (part[part_at(cut, width, b, g * s.per + k % s.per, chunk, 0)] - origin);
    }
    const float shift = warp_sum(sum) / n;
    for (int64_t k = threadIdx.x % 32; k < count; k += 32) {
        const int chunk = (int)(k / s.per);
        const int64_t c = g * s.per + k % s.per;
        const float rows = (float)(min((chunk + 1) * cut.chunk_rows, s.L) - chunk * cut.chunk_rows);
        const float d = (part[part_at(cut, width, b, c, chunk, 0)] - origin) - shift;
        squares += part[part_at(cut, width, b, c, chunk, 1)] + rows * d * d;
    }
    *mean = origin + shift;
    *rstd = 1.0f / sqrtf(warp_sum(squares) / n + s.eps);
}

/* Blocks of one dimension: the tile's groups are joined by warps. */
template <typename T, int N, int ACT>
__global__ void group_norm_apply(const T *__restrict__ x, const float *__restrict__ gamma,
                                 const float *__restrict__ beta, T *__restrict__ y, float *mean, float *rstd,
                                 group_shape s, column_cut sums, column_cut cut, const float *__restrict__ part)
{
    __shared__ float group_mean[COLUMN_WIDTH], group_rstd[COLUMN_WIDTH];
    const int lanes = cut.lanes, width = lanes * N, lane = threadIdx.x % lanes;
    const int64_t b = blockIdx.x / cut.chunks, from = blockIdx.y * (int64_t)width, c = from + lane * N;
    const int chunk = blockIdx.x % cut.chunks;
    const int64_t first = chunk * cut.chunk_rows, last = min(first + cut.chunk_rows, s.L);
    const int64_t g0 = from / s.per, groups = (min(from + width, s.C) - 1) / s.per - g0 + 1;
    for (int64_t k = threadIdx.x / 32; k < groups; k += blockDim.x / 32) {
        float m, r;
        join_group(part, s, sums, width, b, g0 + k, &m, &r);
        if (threadIdx.x % 32 != 0) continue;
        group_mean[k] = m;
        group_rstd[k] = r;
        if (chunk > 0 || (g0 + k) * s.per < from) continue;
        mean[b * s.G + g0 + k] = m;
        rstd[b * s.G + g0 + k] = r;
    }
    __syncthreads();
    if (c >= s.C) return;
    float centre[N], scale[N], shift[N];
    load_floats(scale, gamma + b * s.own + c);
    load_floats(shift, beta + b * s.own + c);
    for (int i = 0; i < N; i++) {
        const int g = (int)((c + i) / s.per - g0);
        centre[i] = group_mean[g];
        scale[i] *= group_rstd[g];
    }
#pragma unroll 4
    for (int64_t r = first + threadIdx.x / lanes; r < last; r += cut.rows) {
        float row[N];
        floats_of(row, load_pack<T, N>(x, at<N>(s, b, r, c)));
        for (int i = 0; i < N; i++) row[i] = activate_as<ACT, T>(s.act, (row[i] - centre[i]) * scale[i] + shift[i]);
        store_pack<T, N>(y, at<N>(s, b, r, c), pack_of<T, N>(row));
    }
}

/* ---- backward: h = (x - mean) rstd, z = gamma h + beta, dz = act'(z) dy, dh = gamma dz:
 * dgamma = sum dz h, dbeta = sum dz, dx = rstd (dh - (sum dh)/S - h (sum dh h)/S), S values in a group ------------- */

typedef struct group_vectors {
    const float *gamma, *beta, *mean, *rstd;
} group_vectors;

/* Sums of all images and chunks for a tile: the gradients of gammas that images share. */
template <int N>
__device__ inline void add_images(const float *part, float *dgamma, float *dbeta, group_shape s, column_cut cut,
                                  int64_t tile, float *scratch)
{
    const int width = cut.lanes * N, thread = threadIdx.y * cut.lanes + threadIdx.x;
    const int64_t channel = tile * width + thread;
    add_chunks<N>(part + tile * cut.chunks * 2 * width, s.B, cut.chunks, (int64_t)cut.tiles * cut.chunks * 2 * width,
                  scratch);
    if (thread >= width || channel >= s.C) return;
    dbeta[channel] = scratch[thread];
    dgamma[channel] = scratch[width + thread];
}

/* Of each chunk and channel: sum dz and sum dz h. */
template <typename T, int N, int ACT>
__global__ void __launch_bounds__(COLUMN_THREADS)
    group_sums(const T *x, group_vectors v, const T *dy, float *dgamma, float *dbeta, group_shape s, column_cut cut,
               float *part, uint32_t *arrivals)
{
    __shared__ float scratch[COLUMN_SCRATCH];
    __shared__ uint32_t flag[1];
    const place p = place_of<N>(s, cut);
    column_sums<N> sum = {};
    if (p.c < s.C) {
        float centre[N], rstd[N], gamma[N], beta[N];
        load_floats(gamma, v.gamma + p.b * s.own + p.c);
        load_floats(beta, v.beta + p.b * s.own + p.c);
        for (int i = 0; i < N; i++) {
            const int64_t g = p.b * s.G + (p.c + i) / s.per;
            centre[i] = v.mean[g];
            rstd[i] = v.rstd[g];
        }
#pragma unroll 2
        for (int64_t r = p.first + threadIdx.y; r < p.last; r += cut.rows) {
            float row[N], slope[N];
            floats_of(row, load_pack<T, N>(x, at<N>(s, p.b, r, p.c)));
            floats_of(slope, load_pack<T, N>(dy, at<N>(s, p.b, r, p.c)));
            for (int i = 0; i < N; i++) {
                const float h = (row[i] - centre[i]) * rstd[i];
                const float dz = activate_slope_as<ACT, T>(s.act, gamma[i] * h + beta[i]) * slope[i];
                sum.first[i] += dz;
                sum.second[i] += dz * h;
            }
        }
    }
    add_block_rows<N>(&sum, scratch);
    if (p.thread < 2 * p.width) /* as part_at says */
        part[((p.b * cut.tiles + p.tile) * cut.chunks + p.chunk) * 2 * p.width + p.thread] = scratch[p.thread];
    if (!arrivals || !last_to_arrive(arrivals + p.tile, (uint32_t)(s.B * cut.chunks), flag)) return;
    add_images<N>(part, dgamma, dbeta, s, cut, p.tile, scratch);
}

/* The same where there are too few counters: a block for each tile, after group_sums. */
template <int N>
__global__ void __launch_bounds__(COLUMN_THREADS)
    group_gamma(const float *part, float *dgamma, float *dbeta, group_shape s, column_cut cut)
{
    __shared__ float scratch[COLUMN_SCRATCH];
    add_images<N>(part, dgamma, dbeta, s, cut, blockIdx.x, scratch);
}

template <typename T, int N, int ACT>
__global__ void group_norm_dx(const T *__restrict__ x, group_vectors v, const T *__restrict__ dy, T *__restrict__ dx,
                              float *dgamma, float *dbeta, group_shape s, column_cut sums, column_cut cut,
                              const float *__restrict__ part)
{
    __shared__ float level[COLUMN_WIDTH], tilt[COLUMN_WIDTH]; /* of groups: sum dh / S and sum dh h / S */
    const int lanes = cut.lanes, width = lanes * N, lane = threadIdx.x % lanes, chunk = blockIdx.x % cut.chunks;
    const int64_t b = blockIdx.x / cut.chunks, from = blockIdx.y * (int64_t)width, c = from + lane * N;
    const int64_t first = chunk * cut.chunk_rows, last = min(first + cut.chunk_rows, s.L);
    const int64_t g0 = from / s.per, groups = (min(from + width, s.C) - 1) / s.per - g0 + 1;
    for (int64_t k = threadIdx.x / 32; k < groups; k += blockDim.x / 32) {
        float dh = 0.0f, dh_h = 0.0f;
        for (int64_t j = threadIdx.x % 32; j < s.per * sums.chunks; j += 32) {
            const int64_t channel = (g0 + k) * s.per + j % s.per;
            const float gamma = v.gamma[b * s.own + channel];
            dh += gamma * part[part_at(sums, width, b, channel, (int)(j / s.per), 0)];
            dh_h += gamma * part[part_at(sums, width, b, channel, (int)(j / s.per), 1)];
        }
        dh = warp_sum(dh);
        dh_h = warp_sum(dh_h);
        if (threadIdx.x % 32 != 0) continue;
        level[k] = dh / (float)(s.per * s.L);
        tilt[k] = dh_h / (float)(s.per * s.L);
    }
    __syncthreads();
    if (s.own && chunk == 0 && (int)threadIdx.x < width && from + threadIdx.x < s.C) { /* this image's own gradients */
        const int64_t channel = from + threadIdx.x;
        float dz = 0.0f, dz_h = 0.0f;
        for (int k = 0; k < sums.chunks; k++) {
            dz += part[part_at(sums, width, b, channel, k, 0)];
            dz_h += part[part_at(sums, width, b, channel, k, 1)];
        }
        dbeta[b * s.C + channel] = dz;
        dgamma[b * s.C + channel] = dz_h;
    }
    if (c >= s.C) return;
    float centre[N], rstd[N], gamma[N], beta[N], own_level[N], own_tilt[N];
    load_floats(gamma, v.gamma + b * s.own + c);
    load_floats(beta, v.beta + b * s.own + c);
    for (int i = 0; i < N; i++) {
        const int64_t g = (c + i) / s.per;
        centre[i] = v.mean[b * s.G + g];
        rstd[i] = v.rstd[b * s.G + g];
        own_level[i] = level[g - g0];
        own_tilt[i] = tilt[g - g0];
    }
#pragma unroll 2
    for (int64_t r = first + threadIdx.x / lanes; r < last; r += cut.rows) {
        float row[N], slope[N];
        floats_of(row, load_pack<T, N>(x, at<N>(s, b, r, c)));
        floats_of(slope, load_pack<T, N>(dy, at<N>(s, b, r, c)));
        for (int i = 0; i < N; i++) {
            const float h = (row[i] - centre[i]) * rstd[i];
            const float dz = activate_slope_as<ACT, T>(s.act, gamma[i] * h + beta[i]) * slope[i];
            row[i] = rstd[i] * (gamma[i] * dz - own_level[i] - h * own_tilt[i]);
        }
        store_pack<T, N>(dx, at<N>(s, b, r, c), pack_of<T, N>(row));
    }
}

/* ---- launches ---------------------------------------------------------------------------------------------------- */

enum { THREADS = 256, BLOCKS = 264, ROWS_EACH = 4 }; /* THREADS: of a block of the second pass */

/* By packs of 16 bytes where rows and tensors begin at multiples of them. */
template <typename T> static bool by_packs(const dr_kargs *a, group_shape s)
{
    bool aligned = !s.runs && s.C % widest<T>() == 0 && dr_aligned(dr_out(a, 0), 16);
    for (int i = 0; i < a->n_in; i++)
        aligned = aligned && (i == 3 || i == 4 || dr_aligned(dr_in(a, i), 16)); /* of groups */
    return aligned;
}

static column_cut cut_of(group_shape s, int N, int64_t blocks, int threads)
{
    if (!s.runs) return dr_cut_columns(s.L, s.C, N, s.B, blocks, ROWS_EACH, threads);
    column_cut cut = dr_cut_columns(s.L, 1, 1, s.B * s.C, blocks, ROWS_EACH, threads); /* a channel to a tile */
    cut.tiles = (int)s.C;
    return cut;
}

static dim3 grid_of(group_shape s, column_cut cut) { return dim3((unsigned)(s.B * cut.chunks), (unsigned)cut.tiles); }

/* batch_invariant: cut as an image alone would be. */
static column_cut cut_of_sums(const dr_kargs *a, group_shape s, int N)
{
    if (dr_cuda_of(a)->batch_invariant) s.B = 1;
    return cut_of(s, N, BLOCKS, COLUMN_THREADS);
}

template <typename T, int N, int ACT> static void forward(const dr_kargs *a, group_shape s)
{
    const column_cut sums = cut_of_sums(a, s, N), cut = cut_of(s, N, 4 * BLOCKS, THREADS);
    float *part = (float *)dr_cuda_workspace(a, dr_column_bytes(sums, N, s.B));
    if (!part) return;
    DR_LAUNCH(a, (group_moments<T, N>), grid_of(s, sums), dr_column_block(sums), 0, (const T *)dr_in(a, 0), s, sums,
              part);
    DR_LAUNCH(a, (group_norm_apply<T, N, ACT>), grid_of(s, cut), THREADS, 0, (const T *)dr_in(a, 0),
              (const float *)dr_in(a, 1), (const float *)dr_in(a, 2), (T *)dr_out(a, 0), (float *)dr_out(a, 1),
              (float *)dr_out(a, 2), s, sums, cut, (const float *)part);
}

template <typename T> static void group_norm_act(const dr_kargs *a) /* x, gamma, beta -> y, mean [B,G], rstd [B,G] */
{
    if (dr_numel(&a->in[0]) == 0) return;
    const group_shape s = shape_of(&a->in[0], &a->in[1], (const dr_group_norm_act_attr *)a->attr);
    if (!by_packs<T>(a, s)) return forward<T, 1, DR_ACT_BY_VALUE>(a, s);
    switch (s.act) {
    case DR_ACT_RELU: return forward<T, widest<T>(), DR_ACT_RELU>(a, s);
    case DR_ACT_GELU: return forward<T, widest<T>(), DR_ACT_GELU>(a, s);
    case DR_ACT_GELU_TANH: return forward<T, widest<T>(), DR_ACT_GELU_TANH>(a, s);
    case DR_ACT_SILU: return forward<T, widest<T>(), DR_ACT_SILU>(a, s);
    default: return forward<T, widest<T>(), DR_ACT_NONE>(a, s);
    }
}

template <typename T, int N, int ACT> static void backward(const dr_kargs *a, group_shape s)
{
    const column_cut sums = cut_of(s, N, BLOCKS, COLUMN_THREADS), cut = cut_of(s, N, 4 * BLOCKS, THREADS);
    const group_vectors v = { (const float *)dr_in(a, 1), (const float *)dr_in(a, 2), (const float *)dr_in(a, 3),
                              (const float *)dr_in(a, 4) };
    const T *x = (const T *)dr_in(a, 0), *dy = (const T *)dr_in(a, 5);
    float *dgamma = (float *)dr_out(a, 1), *dbeta = (float *)dr_out(a, 2);
    float *part = (float *)dr_cuda_workspace(a, dr_column_bytes(sums, N, s.B));
    if (!part) return;
    const bool counted = sums.tiles <= DR_ARRIVALS;
    DR_LAUNCH(a, (group_sums<T, N, ACT>), grid_of(s, sums), dr_column_block(sums), 0, x, v, dy, dgamma, dbeta, s, sums,
              part, !s.own && counted ? dr_cuda_of(a)->arrivals : (uint32_t *)NULL);
    if (!s.own && !counted) {
        DR_LAUNCH(a, group_gamma<N>, (unsigned)sums.tiles, dr_column_block(sums), 0, (const float *)part, dgamma, dbeta,
                  s, sums);
    }
    DR_LAUNCH(a, (group_norm_dx<T, N, ACT>), grid_of(s, cut), THREADS, 0, x, v, dy, (T *)dr_out(a, 0), dgamma, dbeta, s,
              sums, cut, (const float *)part);
}

__global__ void zero_both(float *u, float *v, int64_t n)
{
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i < n) u[i] = v[i] = 0.0f;
}

/* x, gamma, beta, mean, rstd, dy -> dx, dgamma, dbeta */
template <typename T> static void group_norm_act_backward(const dr_kargs *a)
{
    const int64_t n = dr_numel(&a->in[1]);
    if (dr_numel(&a->in[0]) == 0) {
        if (n > 0)
            DR_LAUNCH(a, zero_both, (unsigned)dr_blocks_for(n, 256), 256, 0, (float *)dr_out(a, 1),
                      (float *)dr_out(a, 2), n);
        return;
    }
    const group_shape s = shape_of(&a->in[0], &a->in[1], (const dr_group_norm_act_backward_attr *)a->attr);
    if (!by_packs<T>(a, s)) return backward<T, 1, DR_ACT_BY_VALUE>(a, s);
    switch (s.act) {
    case DR_ACT_RELU: return backward<T, widest<T>(), DR_ACT_RELU>(a, s);
    case DR_ACT_GELU: return backward<T, widest<T>(), DR_ACT_GELU>(a, s);
    case DR_ACT_GELU_TANH: return backward<T, widest<T>(), DR_ACT_GELU_TANH>(a, s);
    case DR_ACT_SILU: return backward<T, widest<T>(), DR_ACT_SILU>(a, s);
    default: return backward<T, widest<T>(), DR_ACT_NONE>(a, s);
    }
}

DR_KERNEL(group_norm_act, DR_F32, group_norm_act<float>)
DR_KERNEL(group_norm_act, DR_BF16, group_norm_act<bf16>)
DR_KERNEL(group_norm_act_backward, DR_F32, group_norm_act_backward<float>)
DR_KERNEL(group_norm_act_backward, DR_BF16, group_norm_act_backward<bf16>)
