/* conv2d_weight_tile.cu: the gradient in a convolution's weight on tensor cores.
 *   dw[co,tap,ci] = sum over pixels p of dy[p,co] x[p at tap,ci]     db[co] = sum over pixels p of dy[p,co]
 * A block takes 64 co, a slice of ci with all taps, and a part of the pixels in the order of memory. What these read of
 * x is one stretch of memory that moves on with them: a ring in shared memory holds it, so x comes once for all taps. A
 * tap outside of the image reads a row of zeros. Pixels are the inner dimension of the product: both operands are read
 * turned. */
#include "conv2d_weight_tile.h"
#include "divisor.h"
#include "tensor_core.h"

enum { CO = 64, CHUNK = 32 /* pixels between two barriers */, STAGES = 4, CO_UNITS = CO / 8 /* of 16 bytes */ };

struct weight_sides {
    int Ci, Co, H, W, Wo, stride, padding;
    int pixels, from;   /* of dy, of x */
    int per_part, ring; /* pixels of dy, of x: the latter a power of two */
    int slices, turn;   /* of ci; see place_in_ring */
    divisor image, row; /* Ho Wo, Wo */
};

/* Where in x the tap (0,0) of pixel p of dy lies: outside of x's memory, for some. */
__device__ inline int corner_of(const weight_sides &s, int p, int *y, int *x)
{
    const int image = (int)quotient((uint32_t)p, s.image), within = p - image * (int)s.image.by;
    const int oy = (int)quotient((uint32_t)within, s.row), ox = within - oy * s.Wo;
    *y = oy * s.stride - s.padding;
    *x = ox * s.stride - s.padding;
    return (image * s.H + *y) * s.W + *x;
}

/* Bit tap: is it inside of the image? */
template <int K> __device__ inline uint32_t taps_inside(const weight_sides &s, int y, int x)
{
    uint32_t columns = 0, taps = 0;
    for (int k = 0; k < K; k++) columns |= (uint32_t)((unsigned)(x + k) < (unsigned)s.W) << k;
    for (int k = 0; k < K; k++) taps |= (unsigned)(y + k) < (unsigned)s.H ? columns << k * K : 0;
    return taps;
}

/* The unit of 16 bytes that has channels 8u to 8u + 7 of the ring's pixel i. Eight pixels that a warp reads at once
 * have theirs in different banks. */
template <int UNITS> __device__ inline int place_in_ring(const weight_sides &s, int i, int u)
{
    return i * UNITS + (u ^ (i >> s.turn & (UNITS - 1)));
}

/* ---- what a block keeps in shared memory ------------------------------------------------------------------------- */

struct weight_memory {
    shared_address dy, ring; /* [STAGES,CHUNK,CO]; [ring,SLICE] and 8 units of zeros */
    uint32_t *taps;          /* [STAGES,CHUNK]: the corner's place in the ring << 16 | its taps that are inside */
};
enum { DY_BYTES = STAGES * CHUNK * CO * 2, TAPS_BYTES = STAGES * CHUNK * 4, ZEROS_BYTES = 128 };

/* Asks for dy of CHUNK pixels from `first` on and for what they read of x beyond `had`; returns where that ends now. */
template <int K, int SLICE, int THREADS>
__device__ inline int ask_for(const weight_sides &s, const weight_memory &m, const bf16 *x, const bf16 *dy,
                              int first_co, int first_ci, int first, int end, int stage, int had)
{
    constexpr int UNITS = SLICE / 8;
    const unsigned thread = threadIdx.x;
    if (first >= end) return had;
#pragma unroll
    for (int i = 0; i < CHUNK * CO_UNITS; i += THREADS) {
        const int row = (int)((i + thread) / CO_UNITS), unit = (int)(thread % CO_UNITS), co = first_co + unit * 8;
        const bool there = first + row < end && co < s.Co;
        if (CHUNK * CO_UNITS % THREADS > 0 && row >= CHUNK) break;
        copy_16(m.dy + ((stage * CHUNK + row) * CO_UNITS + (unit ^ (row & 7))) * 16,
                there ? dy + (int64_t)(first + row) * s.Co + co : dy, there);
    }
    int oy, ox;
    if (thread < CHUNK) {
        const int p = first + (int)thread, at = corner_of(s, p < end ? p : first, &oy, &ox) & (s.ring - 1);
        m.taps[stage * CHUNK + thread] = p < end ? (uint32_t)at << 16 | taps_inside<K>(s, oy, ox) : 0;
    }
    const int last = first + CHUNK < end ? first + CHUNK - 1 : end - 1;
    const int reach = corner_of(s, last, &oy, &ox) + (K - 1) * (s.W + 1) + 1, have = reach < s.from ? reach : s.from;
#pragma unroll 1
    for (int i = (int)thread; i < (have - had) * UNITS; i += THREADS) {
        const int pixel = had + i / UNITS, unit = i % UNITS, ci = first_ci + unit * 8;
        const bool there = ci < s.Ci;
        copy_16(m.ring + place_in_ring<UNITS>(s, pixel & (s.ring - 1), unit) * 16,
                there ? x + (int64_t)pixel * s.Ci + ci : x, there);
    }
    return have > had ? have : had;
}

/* ---- the product ------------------------------------------------------------------------------------------------- */

/* A warp's sums: M times 16 co by 8 ci for each tap; and the bias' of 16 co. */
template <int M, int TAPS> struct weight_sums {
    float weight[M][TAPS][4], bias[4];
};

/* What a warp has of its block's tile: first co and ci; the 16 co of M that it sums for the bias, or -1. */
struct weight_share {
    int co, ci_unit, bias;
};

/* 16 pixels of both images: dy turned, and of x the first two taps. */
template <int M> struct weight_operands {
    uint32_t a[M][4], b[4], pixel;
};

/* Half of the lanes are for the tap after this one. offset: from the corner. */
template <int UNITS>
__device__ inline void load_taps(const weight_sides &s, const weight_memory &m, uint32_t pixel, int tap, int offset,
                                 int ci_unit, uint32_t (&b)[4])
{
    const int at = place_in_ring<UNITS>(s, ((int)(pixel >> 16) + offset) & (s.ring - 1), ci_unit);
    const bool inside = (pixel & 0xffff) >> (tap + threadIdx.x % 32 / 16) & 1;
    load_matrices_transposed(b, m.ring + (inside ? at : s.ring * UNITS + (at & 7)) * 16);
}

/* Pixels k to k + 15 of the chunks in memory. */
template <int M>
__device__ inline void load_pixels(const weight_memory &m, int k, const weight_share &share, weight_operands<M> *to)
{
    const int lane = threadIdx.x % 32, row = k + lane % 8 + lane / 16 * 8;
    to->pixel = m.taps[k + lane % 16];
#pragma unroll
    for (int i = 0; i < M; i++) {
        const int unit = share.co / 8 + 2 * i + lane / 8 % 2;
        load_matrices_transposed(to->a[i], m.dy + (row * CO_UNITS + (unit ^ lane % 8)) * 16);
    }
}

/* Each load comes before the products that hide it: the next two taps', and the next pixels', which are at `after`. */
template <int K, int M, int UNITS>
__device__ inline void multiply_pixels(const weight_sides &s, const weight_memory &m, const weight_operands<M> &now,
                                       int after, const weight_share &share, const int (&offset)[(K * K + 1) / 2],
                                       weight_operands<M> *next, weight_sums<M, K * K> *sums)
{
    constexpr int TAPS = K * K;
    constexpr uint32_t ones = 0x3f803f80u;
    uint32_t b[2][4] = { { now.b[0], now.b[1], now.b[2], now.b[3] } };
    load_pixels(m, after, share, next);
#pragma unroll
    for (int tap = 0; tap < TAPS; tap += 2) {
        const int at = tap / 2 % 2;
        if (tap + 2 < TAPS) load_taps<UNITS>(s, m, now.pixel, tap + 2, offset[tap / 2 + 1], share.ci_unit, b[1 - at]);
        else load_taps<UNITS>(s, m, next->pixel, 0, offset[0], share.ci_unit, next->b);
#pragma unroll
        for (int i = 0; i < M; i++) multiply_add(sums->weight[i][tap], now.a[i], b[at][0], b[at][1]);
        if (tap + 1 == TAPS) break;
#pragma unroll
        for (int i = 0; i < M; i++) multiply_add(sums->weight[i][tap + 1], now.a[i], b[at][2], b[at][3]);
    }
#pragma unroll
    for (int i = 0; i < M; i++)
        if (i == share.bias) multiply_add(sums->bias, now.a[i], ones, ones);
}

/* to: [Co,TAPS,Ci] of this part, bias_to [Co] */
template <int M, int TAPS>
__device__ inline void write_sums(const weight_sides &s, const weight_sums<M, TAPS> &sums, const weight_share &share,
                                  int first_co, int ci, float *to, float *bias_to)
{
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int i = 0; i < 2 * M; i++) {
        const int co = first_co + share.co + i * 8 + g;
        if (co >= s.Co) continue;
        if (i / 2 == share.bias && t == 0) bias_to[co] = sums.bias[i % 2 * 2];
        if (ci >= s.Ci) continue;
#pragma unroll
        for (int tap = 0; tap < TAPS; tap++) {
            const float *sum = sums.weight[i / 2][tap] + i % 2 * 2;
            const pack<float, 2> pair = { { sum[0], sum[1] } };
            store_pack(to, ((int64_t)co * TAPS + tap) * s.Ci + ci + 2 * t, pair);
        }
    }
}

/* A block: WARPS_M by WARPS_N warps, each with M times 16 co and 8 ci. blockIdx.x: tile of the weight, slices of ci
 * inner; blockIdx.y: part. parts [part,Co,K,K,Ci], bias_parts [part,Co] or NULL. */
template <int K, int WARPS_M, int WARPS_N, int BLOCKS>
__global__ void __launch_bounds__(32 * WARPS_M * WARPS_N, BLOCKS)
    conv2d_weight_tile(const bf16 *x, const bf16 *dy, float *parts, float *bias_parts, weight_sides s)
{
    constexpr int THREADS = 32 * WARPS_M * WARPS_N, SLICE = 8 * WARPS_N, TAPS = K * K, M = CO / 16 / WARPS_M;
    static_assert(WARPS_N >= M, "each 16 co have a warp for the bias");
    DR_SHARED(char, memory);
    const shared_address shared = shared_address_of(memory);
    const weight_memory m = { shared, shared + DY_BYTES + TAPS_BYTES, reinterpret_cast<uint32_t *>(memory + DY_BYTES) };
    const int warp = threadIdx.x / 32, warp_n = warp % WARPS_N, right = threadIdx.x % 32 / 16;
    const int slice = blockIdx.x % s.slices, first_co = blockIdx.x / s.slices * CO, first_ci = slice * SLICE;
    const int ci = first_ci + warp_n * 8;
    const weight_share share = { warp / WARPS_N * M * 16, warp_n,
                                 bias_parts && slice == 0 && warp_n < M ? warp_n : -1 };
    const int begin = blockIdx.y * s.per_part, end = begin + s.per_part < s.pixels ? begin + s.per_part : s.pixels;
    const int late = warp / 4 % 2; /* half of the warps ask while the others multiply */
    int offset[(TAPS + 1) / 2], oy, ox;
    for (int i = 0; i < (TAPS + 1) / 2; i++) offset[i] = (2 * i + right) / K * s.W + (2 * i + right) % K;
    weight_sums<M, TAPS> sums = {};

    if (threadIdx.x < ZEROS_BYTES / 4)
        reinterpret_cast<uint32_t *>(memory + DY_BYTES + TAPS_BYTES + s.ring * SLICE * 2)[threadIdx.x] = 0;
    int had = corner_of(s, begin, &oy, &ox);
    had = had > 0 ? had : 0;
    for (int i = 0; i < STAGES - 1; i++) {
        had = ask_for<K, SLICE, THREADS>(s, m, x, dy, first_co, first_ci, begin + i * CHUNK, end, i, had);
        close_group_of_copies();
    }
    weight_operands<M> even, odd; /* each is loaded while the other one is multiplied */
    wait_for_copies<STAGES - 2>();
    __syncthreads();
    load_pixels(m, 0, share, &even);
    load_taps<WARPS_N>(s, m, even.pixel, 0, offset[0], share.ci_unit, even.b);
    for (int p = begin, stage = 0; p < end; p += CHUNK) {
        const int at = stage * CHUNK, spare = (stage + STAGES - 1) % STAGES;
        stage = (stage + 1) % STAGES;
        wait_for_copies<STAGES - 3>();
        __syncthreads(); /* the next chunk is here as well, and all are done with the one before this */
#pragma unroll
        for (int half = 0; half < 2; half++) {
            if (half == late) {
                had = ask_for<K, SLICE, THREADS>(s, m, x, dy, first_co, first_ci, p + (STAGES - 1) * CHUNK, end, spare,
                                                 had);
                close_group_of_copies();
            }
            multiply_pixels<K, M, WARPS_N>(s, m, half ? odd : even, half ? stage * CHUNK : at + 16, share, offset,
                                           half ? &even : &odd, &sums);
        }
    }
    wait_for_copies<0>();
    write_sums<M, TAPS>(s, sums, share, first_co, ci, parts + (int64_t)blockIdx.y * s.Co * TAPS * s.Ci,
                        bias_parts ? bias_parts + (int64_t)blockIdx.y * s.Co : NULL);
}

/* ---- ways -------------------------------------------------------------------------------------------------------- */

typedef void weight_kernel(const bf16 *, const bf16 *, float *, float *, weight_sides);
typedef void weight_launcher(const dr_kargs *a, dim3 grid, size_t shared, const bf16 *x, const bf16 *dy, float *parts,
                             float *bias_parts, const weight_sides *s);

template <int K, int WARPS_M, int WARPS_N, int BLOCKS>
static void launch(const dr_kargs *a, dim3 grid, size_t shared, const bf16 *x, const bf16 *dy, float *parts,
                   float *bias_parts, const weight_sides *s)
{
    weight_kernel *kernel = conv2d_weight_tile<K, WARPS_M, WARPS_N, BLOCKS>;
    if (shared > 48 << 10) (void)cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
    DR_LAUNCH(a, (conv2d_weight_tile<K, WARPS_M, WARPS_N, BLOCKS>), grid, 32 * WARPS_M * WARPS_N, shared, x, dy, parts,
              bias_parts, *s);
}

/* How the work is divided. A block has 64 co, `slice` ci and all taps; `blocks` are aimed at: more keep more
 * multiprocessors busy, but each leaves its sums to be read again. */
static const struct weight_way {
    int k, slice, blocks;
    weight_launcher *launch;
} ways[] = {
    { 3, 64, 128, launch<3, 1, 8, 1> }, { 3, 64, 128, launch<3, 2, 8, 1> }, { 3, 32, 128, launch<3, 2, 4, 2> },
    { 3, 32, 256, launch<3, 1, 4, 2> }, { 3, 32, 256, launch<3, 2, 4, 2> }, { 3, 16, 256, launch<3, 2, 2, 4> },
    { 3, 16, 128, launch<3, 2, 2, 4> }, { 4, 32, 128, launch<4, 2, 4, 1> }, { 4, 16, 256, launch<4, 2, 2, 2> },
    { 4, 16, 128, launch<4, 2, 2, 2> },
};

int dr_conv2d_weight_tile_ways(void) { return (int)(sizeof ways / sizeof ways[0]); }

static int64_t pixels_of(const dr_conv_shape *s) { return s->B * s->Ho * s->Wo; }

static int64_t tiles_of(int way, const dr_conv_shape *s)
{
    return dr_blocks_for(s->Co, CO) * dr_blocks_for(s->Ci, ways[way].slice);
}

/* Pixels are divided by the shape alone, so that sums keep their order on every device. */
static int64_t per_part(int way, const dr_conv_shape *s)
{
    const int64_t least = 4 * CHUNK, parts = dr_blocks_for(ways[way].blocks, tiles_of(way, s));
    const int64_t each = dr_blocks_for(dr_blocks_for(pixels_of(s), parts), CHUNK) * CHUNK;
    return each > least ? each : least;
}

int64_t dr_conv2d_weight_tile_parts(int way, const dr_conv_shape *s)
{
    return dr_blocks_for(pixels_of(s), per_part(way, s));
}

/* Of x, in a power of two of pixels: what STAGES chunks of dy can reach, from the first corner to the last tap. */
static int64_t ring_of(const dr_conv_shape *s)
{
    const int64_t steps = STAGES * CHUNK - 1, rows = dr_blocks_for(steps, s->Wo),
                  images = dr_blocks_for(steps, s->Ho * s->Wo);
    const int64_t row = (s->W - s->Wo) * s->stride, image = (s->H - s->Ho * s->stride) * s->W; /* more than a step */
    const int64_t reach =
        steps * s->stride + rows * (row > 0 ? row : 0) + images * (image > 0 ? image : 0) + (s->k - 1) * (s->W + 1) + 1;
    int64_t ring = CHUNK;
    while (ring < reach) ring *= 2;
    return ring;
}

static int64_t shared_of(int way, const dr_conv_shape *s)
{
    return DY_BYTES + TAPS_BYTES + ring_of(s) * ways[way].slice * 2 + ZEROS_BYTES;
}

bool dr_conv2d_weight_tile_suits(const cuda *c, int way, const dr_conv_shape *s, int32_t dtype)
{
    const int64_t most = INT32_MAX / 4;
    return dtype == DR_BF16 && s->k == ways[way].k && s->stride < s->k && 2 * s->padding < s->k && s->Ci % 8 == 0 &&
           s->Co % 8 == 0 && s->B * s->H * s->W < most && pixels_of(s) < most && s->W < 4096 && c->major >= 8 &&
           shared_of(way, s) <= (int64_t)c->shared_per_block;
}

void dr_conv2d_weight_tile(const dr_kargs *a, int way, const dr_conv_shape *s, const void *x, const void *dy,
                           float *parts, float *bias_parts)
{
    const int slice = ways[way].slice;
    const weight_sides sides = {
        .Ci = (int)s->Ci,
        .Co = (int)s->Co,
        .H = (int)s->H,
        .W = (int)s->W,
        .Wo = (int)s->Wo,
        .stride = (int)s->stride,
        .padding = (int)s->padding,
        .pixels = (int)pixels_of(s),
        .from = (int)(s->B * s->H * s->W),
        .per_part = (int)per_part(way, s),
        .ring = (int)ring_of(s),
        .slices = (int)dr_blocks_for(s->Ci, slice),
        .turn = slice == 16                    ? 2
                : slice == 32 || s->stride > 1 ? 1
                                               : 0,
        .image = divisor_of(s->Ho * s->Wo),
        .row = divisor_of(s->Wo),
    };
    const dim3 grid((unsigned)tiles_of(way, s), (unsigned)dr_conv2d_weight_tile_parts(way, s));
    ways[way].launch(a, grid, (size_t)shared_of(way, s), (const bf16 *)x, (const bf16 *)dy, parts, bias_parts, &sides);
}
