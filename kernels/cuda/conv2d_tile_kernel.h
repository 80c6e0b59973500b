/* conv2d_tile_kernel.h: convolutions on tensor cores, as products of M pixels by N channels.
 *   to[p,n] = sum over taps t and channels c of from[q(p) + offset(t),c] weight[t,c,n]
 * Pixels are counted through all images, so what a tap joins to M consecutive pixels are consecutive pixels again: the
 * part of `from` that a tile needs is copied to shared memory once, 64 channels at a time, and all taps read it there;
 * a row that lies outside the image for a tap is read from a row of zeros. Weights come in a ring of stages, or all stay.
 * A block takes tile after tile; copies run ahead of the products, over the ends of tiles.
 * Transposed convolutions of stride 2 are four of stride 1, one for each parity of the pixel that is written. */
#ifndef DRIFT_CUDA_CONV2D_TILE_KERNEL_H
#define DRIFT_CUDA_CONV2D_TILE_KERNEL_H

#include "conv2d_after.h"
#include "divisor.h"
#include "tensor_core.h"

enum { DEPTH = 64 /* channels at a time: rows of 128 bytes */, ROW = 2 * DEPTH, STAGES = 3, MOST_TAPS = 16 };

/* The taps that write one parity of pixels; without a stride between them, all. */
struct tile_taps {
    int n, first; /* first: the least offset */
    int out_y, out_x;
    int offset[MOST_TAPS]; /* less the first */
    short dy[MOST_TAPS], dx[MOST_TAPS], weight[MOST_TAPS];
};

struct tile_conv {
    int from_H, from_W, from_C, to_H, to_W, to_C;
    int rows, from_rows; /* pixels of one parity; of from */
    int out_step, all_taps, planes, tiles, halo;
    divisor image, line; /* pixels of one parity in an image, in a line */
    tile_taps taps[4];
};

struct tile_pixel {
    int image, y, x;
};

__device__ inline tile_pixel pixel_at(const tile_conv &c, int m)
{
    const uint32_t image = quotient((uint32_t)m, c.image), rest = (uint32_t)m - image * c.image.by;
    const uint32_t y = quotient(rest, c.line);
    return { (int)image, (int)y, (int)(rest - y * c.line.by) };
}

template <int STRIDE> __device__ inline int from_row(const tile_conv &c, int m)
{
    if (STRIDE == 1) return m;
    const tile_pixel p = pixel_at(c, m);
    return (p.image * c.from_H + STRIDE * p.y) * c.from_W + STRIDE * p.x;
}

/* ---- copies to shared memory ------------------------------------------------------------------------------------- */

/* Copies that are under way: of weights STAGES - 1 taps ahead, of pixels one plane ahead. A thread copies the same 16
 * bytes of every so many rows: those of weights are [N,64] forward; DATA: [64,N], as they lie there too. */
struct tile_copies {
    shared_address pixels, weights;
    int slots, slot, steps_left;               /* of weights; steps that have still to be copied */
    int tap, plane;                            /* the next weights' */
    const bf16 *weight;                        /* the thread's first piece, at tap and plane 0 */
    int64_t weight_step;                       /* between its rows */
    shared_address weight_to;                  /* in a slot */
    int tile, next_plane, planes_left, buffer; /* of pixels */
    int each, left;                            /* rows of the thread in a share; in what is left of the plane */
    const bf16 *pixel;                         /* the thread's next row */
    shared_address pixel_to;
    int row; /* of `from` */
};

template <int THREADS, int N, bool RESIDENT, bool DATA>
__device__ inline void begin_copies(const tile_conv &c, const tile_taps &taps, const bf16 *weight, int column,
                                    int tiles, shared_address memory, tile_copies &w)
{
    constexpr int WIDE = DATA ? N / 8 : 8;
    const int row = (int)threadIdx.x / WIDE, piece = (int)threadIdx.x % WIDE;
    const int64_t weight_row = (int64_t)c.all_taps * (DATA ? c.to_C : c.from_C);
    w.pixels = memory;
    w.weights = w.pixels + 2 * c.halo * ROW;
    w.slots = RESIDENT ? c.planes * taps.n : STAGES;
    w.steps_left = c.planes * taps.n * (RESIDENT ? 1 : tiles);
    w.slot = w.tap = w.plane = 0;
    w.weight = weight + (DATA ? row * weight_row + column : (column + row) * weight_row) + piece * 8;
    w.weight_step = THREADS / WIDE * weight_row;
    w.weight_to = w.weights + row * (16 * WIDE) + piece_at(piece, row);
    w.tile = blockIdx.x;
    w.next_plane = w.buffer = w.left = 0;
    w.planes_left = tiles * c.planes;
}

template <int THREADS, int N, bool DATA>
__device__ inline void copy_next_weights(const tile_conv &c, const tile_taps &taps, int column, tile_copies &w)
{
    constexpr int WIDE = DATA ? N / 8 : 8, EACH = THREADS / WIDE; /* rows at a time */
    if (w.steps_left == 0) return;
    w.steps_left--;
    const int piece = (int)threadIdx.x % WIDE * 8, k = w.plane * DEPTH, tap = taps.weight[w.tap];
    const int row = (int)threadIdx.x / WIDE, rows = DATA ? c.from_C - k : c.to_C - column;
    const bool inside = DATA ? column + piece < c.to_C : k + piece < c.from_C;
    const bf16 *at = w.weight + (DATA ? ((int64_t)k * c.all_taps + tap) * c.to_C : (int64_t)tap * c.from_C + k);
    const shared_address to = w.weight_to + w.slot * (N * ROW);
#pragma unroll
    for (int i = 0; i < N * 8 / THREADS; i++, at += w.weight_step)
        copy_16(to + i * (EACH * 16 * WIDE), at, inside && row + i * EACH < rows);
    w.slot = w.slot + 1 == w.slots ? 0 : w.slot + 1;
    if (++w.tap < taps.n) return;
    w.tap = 0;
    w.plane = w.plane + 1 == c.planes ? 0 : w.plane + 1;
}

/* The next plane's pixels, in so many shares: [halo,64] of `from`. */
template <int THREADS, int M, int STRIDE>
__device__ inline void begin_pixels(const tile_conv &c, const tile_taps &taps, const bf16 *from, int shares,
                                    tile_copies &w)
{
    constexpr int EACH = THREADS / 8;
    const int row = (int)threadIdx.x / 8, piece = (int)threadIdx.x % 8, channel = w.next_plane * DEPTH + piece * 8;
    w.left = 0;
    if (w.planes_left == 0) return;
    w.planes_left--;
    w.left = (c.halo - row + EACH - 1) / EACH;
    w.each = ((c.halo + EACH - 1) / EACH + shares - 1) / shares;
    w.row = from_row<STRIDE>(c, w.tile * M) + taps.first + row;
    w.pixel = from + (int64_t)w.row * c.from_C + channel;
    if (channel >= c.from_C) w.row = INT32_MIN / 2; /* nothing there */
    w.pixel_to = w.pixels + (w.buffer * c.halo + row) * ROW + piece_at(piece, STRIDE == 1 ? row : row / 2);
    w.buffer ^= 1;
    if (++w.next_plane < c.planes) return;
    w.next_plane = 0;
    w.tile += gridDim.x;
}

/* A share of them: four rows in straight line, between which products can be; there are seldom more. */
template <int THREADS> __device__ inline void copy_pixels(const tile_conv &c, tile_copies &w)
{
    constexpr int EACH = THREADS / 8, AT_ONCE = 4;
    const int n = min(w.each, w.left);
    w.left -= n;
#pragma unroll 1
    for (int done = 0; done < w.each; done += AT_ONCE) {
        const int some = min(n - done, AT_ONCE);
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            if (i < some)
                copy_16(w.pixel_to + i * EACH * ROW, w.pixel + i * (EACH * c.from_C),
                        (unsigned)(w.row + i * EACH) < (unsigned)c.from_rows);
        }
        w.pixel_to += EACH * some * ROW;
        w.pixel += EACH * some * c.from_C;
        w.row += EACH * some;
    }
}

/* ---- a warp's part of the product: MI * 16 pixels by NI * 8 channels --------------------------------------------- */

/* The lane's rows: in the tile's part of `from`, and in the image, for a tap at (0, 0). */
template <int MI, int STRIDE> struct tile_rows {
    int row[STRIDE == 1 ? 1 : MI], y[MI], x[MI]; /* without a stride the next is 16 after it */
};

template <int MI, int STRIDE>
__device__ inline void find_rows(const tile_conv &c, int tile_first, int lane_row, tile_rows<MI, STRIDE> &r)
{
    const int begin = from_row<STRIDE>(c, tile_first);
#pragma unroll
    for (int i = 0; i < MI; i++) {
        const int at = tile_first + lane_row + i * 16;
        const tile_pixel p = pixel_at(c, min(at, c.rows - 1));
        r.y[i] = at < c.rows ? p.y * STRIDE : -(1 << 20); /* outside, whichever tap */
        r.x[i] = p.x * STRIDE;
        if (STRIDE > 1) r.row[i] = (p.image * c.from_H + p.y * STRIDE) * c.from_W + p.x * STRIDE - begin;
    }
    if (STRIDE == 1) r.row[0] = lane_row;
}

/* Where the lane's rows lie for a tap. */
template <int MI, int STRIDE>
__device__ inline void find_matrices(const tile_conv &c, const tile_taps &taps, int tap, const tile_rows<MI, STRIDE> &r,
                                     shared_address zeros, shared_address pixels, shared_address (&at)[MI])
{
    const int dy = taps.dy[tap], dx = taps.dx[tap], offset = taps.offset[tap], upper = threadIdx.x % 32 / 16;
#pragma unroll
    for (int i = 0; i < MI; i++) {
        const bool inside =
            (unsigned)(r.y[i] + dy) < (unsigned)c.from_H && (unsigned)(r.x[i] + dx) < (unsigned)c.from_W;
        const int row = r.row[STRIDE == 1 ? 0 : i] + offset, piece = piece_at(upper, STRIDE == 1 ? row : row / 2);
        at[i] = inside ? pixels + row * ROW + piece + (STRIDE == 1 ? i * 16 * ROW : 0) : zeros + piece;
    }
}

template <int MI, int NI> struct tile_fragments {
    uint32_t a[MI][4], b[NI / 2][4];
};

template <int MI, int NI, int N, bool DATA>
__device__ inline void load_fragments(const shared_address (&pixels)[MI], shared_address weights, int k,
                                      tile_fragments<MI, NI> &f)
{
#pragma unroll
    for (int i = 0; i < MI; i++) load_matrices(f.a[i], pixels[i] ^ (unsigned)(k * 32));
#pragma unroll
    for (int j = 0; j < NI / 2; j++) {
        if (DATA) load_matrices_transposed(f.b[j], (weights ^ (unsigned)(j * 32)) + (unsigned)(k * 16 * 2 * N));
        else load_matrices(f.b[j], (weights ^ (unsigned)(k * 32)) + (unsigned)(j * 16 * ROW));
    }
}

/* The lane's address in a stage of weights. */
template <int NI, int N, bool DATA> __device__ inline int weights_at(int warp_column)
{
    const int lane = threadIdx.x % 32;
    if (DATA) return (lane / 8 % 2 * 8 + lane % 8) * (2 * N) + piece_at(warp_column * NI + lane / 16, lane);
    return (warp_column * NI * 8 + lane / 16 * 8 + lane % 8) * ROW + piece_at(lane / 8 % 2, lane);
}

template <int MI, int NI>
__device__ inline void multiply_fragments(float (&sum)[MI][NI][4], const tile_fragments<MI, NI> &f)
{
#pragma unroll
    for (int i = 0; i < MI; i++)
#pragma unroll
        for (int j = 0; j < NI; j++) multiply_add(sum[i][j], f.a[i], f.b[j / 2][j % 2 * 2], f.b[j / 2][j % 2 * 2 + 1]);
}

/* ---- what follows the sums --------------------------------------------------------------------------------------- */

/* Four lanes with four words each: lane q's word u becomes lane u's word q. So pairs of channels become 16 bytes. */
__device__ inline void exchange(uint32_t (&w)[4])
{
#pragma unroll
    for (int step = 1; step <= 2; step++) {
        const bool upper = threadIdx.x & step;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (i & step) continue;
            const uint32_t got = __shfl_xor_sync(0xffffffffu, upper ? w[i] : w[i | step], step);
            if (upper) w[i] = got;
            else w[i | step] = got;
        }
    }
}

template <int ACT> __device__ inline void activate_all(int act, float (&v)[8])
{
    if (ACT == DR_ACT_NONE || act == DR_ACT_NONE) return;
    if (act == DR_ACT_RELU)
        for (int i = 0; i < 8; i++) v[i] = activate<DR_ACT_RELU, bf16>(v[i]);
    else if (act == DR_ACT_GELU)
        for (int i = 0; i < 8; i++) v[i] = activate<DR_ACT_GELU, bf16>(v[i]);
    else if (act == DR_ACT_GELU_TANH)
        for (int i = 0; i < 8; i++) v[i] = activate<DR_ACT_GELU_TANH, bf16>(v[i]);
    else
        for (int i = 0; i < 8; i++) v[i] = activate<DR_ACT_SILU, bf16>(v[i]);
}

/* Of 32 channels from `column` on: the lane's pairs are at column + 8 t + lane % 4 * 2, t = 0 .. 3. */
__device__ inline void bias_of(const after_sums<bf16> &f, int column, int to_C, float (&bias)[8])
{
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const int n = column + i / 2 * 8 + (int)threadIdx.x % 4 * 2 + i % 2;
        bias[i] = 0.0f;
        if (f.bias && n < to_C) bias[i] = f.bias[n];
        if (f.own_bias && n < to_C) bias[i] = load(f.own_bias, n);
    }
}

/* One row's 32 channels: v in pairs, as above; written in 16 bytes a lane. at: the row's first channel; -1: no row. */
template <int ACT>
__device__ inline void write_row(const tile_conv &c, const after_sums<bf16> &f, float (&v)[8], int64_t at, int column,
                                 bf16 *to)
{
    const int n = column + threadIdx.x % 4 * 8;
    const bool there = at >= 0 && n < c.to_C;
    uint32_t word[4] = { 0, 0, 0, 0 };
    if (f.add) {
        if (there) {
            const int64_t add_at = at < f.add_count ? at : at % f.add_count;
            const pack<uint32_t, 4> add = load_pack<uint32_t, 4>((const uint32_t *)(f.add + add_at + n), 0);
            for (int i = 0; i < 4; i++) word[i] = add.v[i];
        }
        exchange(word);
        for (int i = 0; i < 4; i++) {
            v[2 * i] += __uint_as_float(word[i] << 16);
            v[2 * i + 1] += __uint_as_float(word[i] & 0xffff0000u);
        }
    }
    activate_all<ACT>(f.act, v);
    const pack<bf16, 8> rounded = pack_of<bf16, 8>(v);
    for (int i = 0; i < 4; i++) word[i] = reinterpret_cast<const uint32_t *>(rounded.v)[i];
    exchange(word);
    if (there) store_pack<uint32_t, 4>((uint32_t *)(to + at + n), 0, { { word[0], word[1], word[2], word[3] } });
}

/* m, column: of the warp's first row and channel */
template <int MI, int NI, int ACT>
__device__ inline void write_sums(const tile_conv &c, const tile_taps &taps, const after_sums<bf16> &f, int m,
                                  int column, float (&sum)[MI][NI][4], bf16 *to)
{
#pragma unroll
    for (int g = 0; g < NI / 4; g++) {
        float bias[8];
        bias_of(f, column + g * 32, c.to_C, bias);
#pragma unroll
        for (int i = 0; i < MI * 2; i++) {
            const int row = m + i * 8 + (int)(threadIdx.x % 32 / 4);
            float v[8];
#pragma unroll
            for (int e = 0; e < 8; e++) v[e] = sum[i / 2][g * 4 + e / 2][i % 2 * 2 + e % 2] + bias[e];
            int pixel = row;
            if (c.out_step > 1) {
                const tile_pixel p = pixel_at(c, min(row, c.rows - 1));
                pixel = (p.image * c.to_H + p.y * c.out_step + taps.out_y) * c.to_W + p.x * c.out_step + taps.out_x;
            }
            write_row<ACT>(c, f, v, row < c.rows ? (int64_t)pixel * c.to_C : -1, column + g * 32, to);
        }
    }
}

/* ---- the kernel -------------------------------------------------------------------------------------------------- */

/* WM x WN warps, each of MI * 16 pixels by NI * 8 channels; BLOCKS on a multiprocessor. */
template <int WM, int WN, int MI, int NI, int BLOCKS, bool RESIDENT, bool DATA, int STRIDE, int ACT>
__global__ void __launch_bounds__(32 * WM * WN, BLOCKS)
    conv2d_tile(const bf16 *from, const bf16 *weight, after_sums<bf16> after, bf16 *to,
                const __grid_constant__ tile_conv c)
{
    constexpr int THREADS = 32 * WM * WN, M = WM * MI * 16, N = WN * NI * 8, STEPS = DEPTH / 16;
    DR_SHARED(unsigned char, memory);
    const tile_taps &taps = c.taps[blockIdx.z];
    const int column = blockIdx.y * N, warp_row = (int)threadIdx.x / 32 / WN, warp_column = (int)threadIdx.x / 32 % WN;
    const int tiles = (c.tiles - 1 - (int)blockIdx.x) / (int)gridDim.x + 1;
    const int tile_steps = c.planes * taps.n, steps = tiles * tile_steps;

    /* shared: zeros [64], pixels [2,halo,64], weights [slots,N,64] */
    const shared_address begin = shared_address_of(memory), zeros = (begin + ROW - 1) & ~(shared_address)(ROW - 1);
    if (threadIdx.x < 8)
        store_pack<uint32_t, 4>((uint32_t *)(memory + (zeros - begin)), threadIdx.x * 4, { { 0, 0, 0, 0 } });
    tile_copies w;
    begin_copies<THREADS, N, RESIDENT, DATA>(c, taps, weight, column, tiles, zeros + ROW, w);

    /* The first plane whole; then in shares, so that the last is there when the plane's first tap is waited for. */
    begin_pixels<THREADS, M, STRIDE>(c, taps, from, 1, w);
    copy_pixels<THREADS>(c, w);
    const int shares = taps.n - STAGES + 2;
    for (int s = 0; s < STAGES - 1; s++) {
        copy_next_weights<THREADS, N, DATA>(c, taps, column, w);
        close_group_of_copies();
    }
    int tile = blockIdx.x, plane = 0, tap = 0, slot = 0, buffer = 0;
    const int lane_weights = weights_at<NI, N, DATA>(warp_column),
              lane_row = warp_row * MI * 16 + (int)threadIdx.x % 16;
    tile_rows<MI, STRIDE> rows;
    shared_address pixels[MI], weights = w.weights + lane_weights;
    tile_fragments<MI, NI> f[2];
    float sum[MI][NI][4] = {};
    wait_for_copies<STAGES - 2>();
    __syncthreads();
    find_rows<MI, STRIDE>(c, tile * M, lane_row, rows);
    find_matrices<MI, STRIDE>(c, taps, 0, rows, zeros, w.pixels, pixels);
    load_fragments<MI, NI, N, DATA>(pixels, weights, 0, f[0]);

    for (int s = 0; s < steps; s++) {
        if (tap == 0) begin_pixels<THREADS, M, STRIDE>(c, taps, from, shares, w);
        copy_pixels<THREADS>(c, w);
        copy_next_weights<THREADS, N, DATA>(c, taps, column, w);
        close_group_of_copies();
#pragma unroll
        for (int k = 0; k < STEPS - 1; k++) {
            load_fragments<MI, NI, N, DATA>(pixels, weights, k + 1, f[(k + 1) % 2]);
            multiply_fragments<MI, NI>(sum, f[k % 2]);
        }
        /* The next step's first fragments come while this one's last are multiplied. */
        const bool plane_ends = tap + 1 == taps.n, tile_ends = plane_ends && plane + 1 == c.planes;
        tap = plane_ends ? 0 : tap + 1;
        buffer ^= plane_ends;
        slot = slot + 1 == w.slots ? 0 : slot + 1;
        if (plane_ends) plane = tile_ends ? 0 : plane + 1;
        weights = w.weights + slot * (N * ROW) + lane_weights;
        find_matrices<MI, STRIDE>(c, taps, tap, rows, zeros, w.pixels + buffer * (c.halo * ROW), pixels);
        if (!RESIDENT || plane_ends || s + 1 < tile_steps) {
            wait_for_copies<STAGES - 2>();
            __syncthreads();
        }
        load_fragments<MI, NI, N, DATA>(pixels, weights, 0, f[0]); /* at the tile's end of no use */
        multiply_fragments<MI, NI>(sum, f[(STEPS - 1) % 2]);
        if (!tile_ends) continue;
        write_sums<MI, NI, ACT>(c, taps, after, tile * M + warp_row * MI * 16, column + warp_column * NI * 8, sum, to);
        for (int i = 0; i < MI * NI * 4; i++) sum[i / (NI * 4)][i / 4 % NI][i % 4] = 0.0f;
        tile += gridDim.x;
        find_rows<MI, STRIDE>(c, tile * M, lane_row, rows);
        find_matrices<MI, STRIDE>(c, taps, 0, rows, zeros, w.pixels + buffer * (c.halo * ROW), pixels);
        load_fragments<MI, NI, N, DATA>(pixels, weights, 0, f[0]);
    }
    wait_for_copies<0>();
}

/* ---- its launch -------------------------------------------------------------------------------------------------- */

typedef void tile_kernel(const dr_kargs *a, dim3 grid, size_t shared, const bf16 *from, const bf16 *weight,
                         const after_sums<bf16> &after, bf16 *to, const tile_conv &c);

template <int WM, int WN, int MI, int NI, int BLOCKS, bool RESIDENT, bool DATA, int STRIDE, int ACT>
static void launch_tile(const dr_kargs *a, dim3 grid, size_t shared, const bf16 *from, const bf16 *weight,
                        const after_sums<bf16> &after, bf16 *to, const tile_conv &c)
{
    /* above 48 KB only when asked for; an error here shows as the launch's */
    (void)cudaFuncSetAttribute(conv2d_tile<WM, WN, MI, NI, BLOCKS, RESIDENT, DATA, STRIDE, ACT>,
                               cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
    DR_LAUNCH(a, (conv2d_tile<WM, WN, MI, NI, BLOCKS, RESIDENT, DATA, STRIDE, ACT>), grid, 32 * WM * WN, shared, from,
              weight, after, to, c);
}

/* Forward, DATA, forward with stride 2. */
enum { KINDS = 3 };
#define DR_TILE_KERNELS(act, ...) \
    { \
        launch_tile<__VA_ARGS__, false, 1, act>, launch_tile<__VA_ARGS__, true, 1, act>, \
            launch_tile<__VA_ARGS__, false, 2, act> \
    }
#define DR_TILE_KERNELS_OF_STRIDE_1(act, ...) \
    { \
        launch_tile<__VA_ARGS__, false, 1, act>, launch_tile<__VA_ARGS__, true, 1, act>, NULL \
    }

/* Each way's kernels: warps down, across, MI, NI, blocks on a multiprocessor, are the weights resident? */
#define DR_TILE_WAYS(act) \
    { \
        DR_TILE_KERNELS(act, 2, 2, 4, 4, 3, false), DR_TILE_KERNELS_OF_STRIDE_1(act, 4, 1, 4, 8, 2, false), \
            DR_TILE_KERNELS_OF_STRIDE_1(act, 4, 2, 4, 4, 1, true), \
            DR_TILE_KERNELS_OF_STRIDE_1(act, 2, 2, 4, 8, 2, false), \
            DR_TILE_KERNELS_OF_STRIDE_1(act, 4, 1, 3, 8, 2, false), DR_TILE_KERNELS(act, 2, 2, 2, 4, 4, false) \
    }
enum { WAYS = 6 };

extern tile_kernel *const dr_conv2d_tile_with_act[WAYS][KINDS]; /* conv2d_tile_act.cu */

#endif
