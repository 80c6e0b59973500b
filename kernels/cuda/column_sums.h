/* column_sums.h: two sums over the rows of a matrix [n,C] for each of its columns, which is what normalisations over
 * channels-last images take. A block has a tile of columns and a chunk of rows: blockDim.x threads side by side, with N
 * columns each, and blockDim.y rows at a time. Where a tile has several chunks, each leaves its sums in memory and the
 * block that is done last adds them up. The cut depends on n and C alone, and so does the order of every sum. */
#ifndef DRIFT_CUDA_COLUMN_SUMS_H
#define DRIFT_CUDA_COLUMN_SUMS_H

#include "last_block.h"

enum {
    COLUMN_THREADS = 512, /* of a block */
    COLUMN_WIDTH = 64,    /* columns of a tile, at most */
    COLUMN_GROUPS = COLUMN_THREADS / 32,
    COLUMN_SCRATCH = COLUMN_GROUPS * 2 * COLUMN_WIDTH, /* floats of shared memory */
};

typedef struct column_cut {
    int64_t chunk_rows;
    int lanes, rows; /* the block's shape */
    int chunks, tiles;
} column_cut;

/* n rows of C columns, N of them to a thread, in blocks of `threads` (COLUMN_THREADS, where sums are taken). groups:
 * how many such matrices lie side by side. About `blocks` blocks in all, but each thread has `least` rows or more. */
static inline column_cut dr_cut_columns(int64_t n, int64_t C, int N, int64_t groups, int64_t blocks, int64_t least,
                                        int threads)
{
    column_cut cut;
    cut.lanes = 1;
    while (cut.lanes < 32 && cut.lanes * N < COLUMN_WIDTH && cut.lanes * N < C) cut.lanes *= 2;
    cut.rows = threads / cut.lanes;
    cut.tiles = (int)dr_blocks_for(C, cut.lanes * N);
    const int64_t wanted = blocks / (cut.tiles * groups), most = dr_blocks_for(n, cut.rows * least);
    int64_t chunks = wanted < most ? wanted : most;
    if (chunks < 1 || cut.tiles * groups > DR_ARRIVALS) chunks = 1; /* each tile of several chunks has a counter */
    cut.chunk_rows = n > 0 ? dr_blocks_for(n, chunks) : 1;
    cut.chunks = n > 0 ? (int)dr_blocks_for(n, cut.chunk_rows) : 1;
    return cut;
}

static inline size_t dr_column_bytes(column_cut cut, int N, int64_t groups) /* of workspace, for chunks' sums */
{
    return (size_t)groups * cut.tiles * cut.chunks * 2 * cut.lanes * N * sizeof(float);
}

static inline dim3 dr_column_block(column_cut cut) { return dim3((unsigned)cut.lanes, (unsigned)cut.rows); }

/* The middle one of three values: what distances are taken from, for one value may be far off. */
__device__ inline float middle_of(float a, float b, float c) { return fmaxf(fminf(a, b), fminf(fmaxf(a, b), c)); }

/* A thread's two sums for each of its columns. */
template <int N> struct column_sums {
    float first[N], second[N];
};

/* Adds up the sums of a block's rows: scratch[0 .. width) has the first sums of the tile's columns, and
 * scratch[width .. 2 width) the second ones. */
template <int N> __device__ inline void add_block_rows(column_sums<N> *own, float *scratch)
{
    const int lanes = blockDim.x, width = lanes * N;
    const int thread = threadIdx.y * lanes + threadIdx.x, warp = thread / 32, warps = COLUMN_THREADS / 32;
    for (int step = lanes; step < 32; step *= 2) {
        for (int i = 0; i < N; i++) own->first[i] += __shfl_xor_sync(0xffffffffu, own->first[i], step);
        for (int i = 0; i < N; i++) own->second[i] += __shfl_xor_sync(0xffffffffu, own->second[i], step);
    }
    if (thread % 32 < lanes) {
        float *to = scratch + warp * 2 * width + (int)threadIdx.x * N;
        for (int i = 0; i < N; i++) {
            to[i] = own->first[i];
            to[width + i] = own->second[i];
        }
    }
    __syncthreads();
    float sum = 0.0f;
    if (thread < 2 * width) {
        for (int w = 0; w < warps; w++) sum += scratch[w * 2 * width + thread];
    }
    __syncthreads();
    if (thread < 2 * width) scratch[thread] = sum;
    __syncthreads();
}

/* Adds up `count` times `chunks` vectors of 2 width sums into scratch[0 .. 2 width); chunks lie side by side, and
 * `stride` floats are from one count to the next. */
template <int N>
__device__ inline void add_chunks(const float *from, int64_t count, int chunks, int64_t stride, float *scratch)
{
    constexpr int M = N >= 4 ? 4 : 1; /* floats read as one */
    const int width = 2 * (int)blockDim.x * N, lanes = width / M;
    const int thread = threadIdx.y * blockDim.x + threadIdx.x, lane = thread % lanes, group = thread / lanes;
    const int spare = COLUMN_THREADS / lanes, groups = spare < COLUMN_GROUPS ? spare : COLUMN_GROUPS;
    const uint32_t vectors = (uint32_t)(count * chunks);
    float sum[M] = {};
    if (group < groups) {
#pragma unroll 8
        for (uint32_t k = group; k < vectors; k += groups) {
            const int64_t skipped = count > 1 ? k / (uint32_t)chunks * (stride - (int64_t)chunks * width) : 0;
            const pack<float, M> v = load_pack<float, M>(from, skipped + (int64_t)k * width + lane * M);
            for (int i = 0; i < M; i++) sum[i] += v.v[i];
        }
        for (int i = 0; i < M; i++) scratch[group * width + lane * M + i] = sum[i];
    }
    __syncthreads();
    float total = 0.0f;
    if (thread < width) {
        for (int g = 0; g < groups; g++) total += scratch[g * width + thread];
    }
    __syncthreads();
    if (thread < width) scratch[thread] = total;
    __syncthreads();
}

/* Adds up the sums of a tile: true in the block that ends with them in scratch, as add_block_rows leaves them.
 * partial: the chunks' sums of this tile, one after another; counter: the tile's. */
template <int N>
__device__ inline bool add_tile(column_sums<N> *own, float *scratch, int chunk, int chunks, float *partial,
                                uint32_t *counter, uint32_t *flag)
{
    const int width = 2 * (int)blockDim.x * N, thread = threadIdx.y * blockDim.x + threadIdx.x;
    add_block_rows<N>(own, scratch);
    if (chunks == 1) return true;
    if (thread < width) partial[(int64_t)chunk * width + thread] = scratch[thread];
    if (!last_to_arrive(counter, (uint32_t)chunks, flag)) return false;
    add_chunks<N>(partial, 1, chunks, 0, scratch);
    return true;
}

#endif
