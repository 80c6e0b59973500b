/* matmul_direct.cu: y = A B + bias without a library: products so small that one of cuBLASLt's would take several times as
 * long, and those that it has no algorithm for. A block makes a tile of y, of 16 x 16 or 32 x 32. It passes over A and B
 * in chunks of 128 terms that lie in shared memory, the next one on its way in registers, and each of its warps adds up 16
 * of these for the whole tile; the warps' sums are added last, in their order. Sums are f32. */
#include "cuda_kernel.h"
#include "matmul.h"

enum {
    WARPS = 8,
    THREADS = 32 * WARPS,
    CHUNK = 128,          /* terms */
    EACH = CHUNK / WARPS, /* of a warp */
    PITCH = CHUNK + 4,    /* floats from a row of a tile to the next: then eight rows lie in different banks */
    DOWN = 8, ACROSS = 4  /* a warp's lanes: its thread has rows DOWN apart and columns ACROSS apart */
};

/* A or B as the rows that sums run along: [rows,K] where along_k, else [K,rows]. */
template <typename T> struct operand {
    const T *data;
    int64_t rows, K;
    bool along_k, packs; /* packs: four neighbours can be moved as one */
};

/* Four neighbours in memory, number q of a tile's: terms k.. of a row, or rows r.. of a term. */
template <int ROWS> __device__ inline void place_of(bool along_k, int q, int *r, int *k)
{
    *r = along_k ? q / (CHUNK / 4) : q % (ROWS / 4) * 4;
    *k = along_k ? q % (CHUNK / 4) * 4 : q / (ROWS / 4);
}

template <typename T, int ROWS>
__device__ inline void fetch(const operand<T> &o, int64_t row0, int64_t k0, float (&v)[ROWS * CHUNK / THREADS / 4][4])
{
#pragma unroll
    for (int i = 0; i < ROWS * CHUNK / THREADS / 4; i++) {
        int r, k;
        place_of<ROWS>(o.along_k, i * THREADS + (int)threadIdx.x, &r, &k);
        const int64_t row = row0 + r, term = k0 + k, at = o.along_k ? row * o.K + term : term * o.rows + row;
        for (int j = 0; j < 4; j++) v[i][j] = 0.0f;
        if (row >= o.rows || term >= o.K) continue;
        if (o.packs) {
            floats_of(v[i], load_pack<T, 4>(o.data, at));
        } else {
            const int64_t left = o.along_k ? o.K - term : o.rows - row;
            for (int j = 0; j < 4; j++) v[i][j] = j < left ? load(o.data, at + j) : 0.0f;
        }
    }
}

template <int ROWS> __device__ inline void put(bool along_k, float *tile, const float (&v)[ROWS * CHUNK / THREADS / 4][4])
{
#pragma unroll
    for (int i = 0; i < ROWS * CHUNK / THREADS / 4; i++) {
        int r, k;
        place_of<ROWS>(along_k, i * THREADS + (int)threadIdx.x, &r, &k);
        if (along_k) {
            store_pack(tile, r * PITCH + k, pack_of<float>(v[i]));
        } else {
            for (int j = 0; j < 4; j++) tile[(r + j) * PITCH + k] = v[i][j];
        }
    }
}

/* A lane's R x C sums over its warp's terms. */
template <int R, int C> __device__ inline void add_terms(const float *tile_a, const float *tile_b, float (&sum)[R][C])
{
    const int lane = threadIdx.x % 32, k0 = threadIdx.x / 32 * EACH;
    const float *rows = tile_a + lane % DOWN * PITCH + k0, *columns = tile_b + lane / DOWN * PITCH + k0;
#pragma unroll
    for (int k = 0; k < EACH; k += 4) {
        pack<float, 4> a[R], b[C];
        for (int i = 0; i < R; i++) a[i] = load_pack<float, 4>(rows, i * DOWN * PITCH + k);
        for (int j = 0; j < C; j++) b[j] = load_pack<float, 4>(columns, j * ACROSS * PITCH + k);
        for (int t = 0; t < 4; t++)
            for (int i = 0; i < R; i++)
                for (int j = 0; j < C; j++) sum[i][j] += a[i].v[t] * b[j].v[t];
    }
}

/* TB float beside TA bf16: weights, rounded as they come. */
template <typename TA, typename TB, typename TY, int R, int C>
__global__ void __launch_bounds__(THREADS)
multiply(operand<TA> A, operand<TB> B, dr_cuda_product p, const float *bias, const bf16 *bias_bf16, TY *y)
{
    constexpr int M = R * DOWN, N = C * ACROSS;
    __shared__ pack<float, 4> memory[(M + N) * PITCH / 4];
    float *tile_a = memory[0].v, *tile_b = tile_a + M * PITCH, *parts = tile_a; /* [M,PITCH], [N,PITCH]; [WARPS,M N] */
    const int64_t m0 = (int64_t)blockIdx.x * M, n0 = (int64_t)blockIdx.y * N;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int64_t column = n0 + threadIdx.x % N; /* of all that this thread writes */
    const float shift = column >= p.N ? 0.0f : bias ? bias[column] : bias_bf16 ? to_float(bias_bf16[column]) : 0.0f;
    static_assert(WARPS * M * N <= (M + N) * PITCH, "the warps' sums take the tiles' place");
    static_assert(THREADS % N == 0, "a thread writes one column");
    for (int64_t batch = blockIdx.z; batch < p.batch; batch += gridDim.z) {
        operand<TA> a_of = A;
        operand<TB> b_of = B;
        a_of.data += batch * p.stride_a;
        b_of.data += batch * p.stride_b;
        float sum[R][C] = {}, next_a[M * CHUNK / THREADS / 4][4], next_b[N * CHUNK / THREADS / 4][4];
        fetch<TA, M>(a_of, m0, 0, next_a);
        fetch<TB, N>(b_of, n0, 0, next_b);
        for (int64_t k0 = 0; k0 < p.K; k0 += CHUNK) {
            if (sizeof(TA) < sizeof(TB)) {
                for (auto &four : next_b)
                    for (float &v : four) v = to_float(from_float<TA>(v));
            }
            put<M>(A.along_k, tile_a, next_a);
            put<N>(B.along_k, tile_b, next_b);
            __syncthreads();
            if (k0 + CHUNK < p.K) {
                fetch<TA, M>(a_of, m0, k0 + CHUNK, next_a);
                fetch<TB, N>(b_of, n0, k0 + CHUNK, next_b);
            }
            if (k0 + warp * EACH < p.K) add_terms<R, C>(tile_a, tile_b, sum);
            __syncthreads();
        }
        for (int i = 0; i < R; i++)
            for (int j = 0; j < C; j++) parts[(warp * R * C + i * C + j) * 32 + lane] = sum[i][j];
        __syncthreads();
        for (int o = threadIdx.x; o < M * N; o += THREADS) { /* neighbouring threads write neighbouring columns */
            const int m = o / N, n = o % N, own = (m / DOWN * C + n / ACROSS) * 32 + m % DOWN + n % ACROSS * DOWN;
            if (m0 + m >= p.M || column >= p.N) continue;
            float v = 0.0f;
            for (int w = 0; w < WARPS; w++) v += parts[w * M * N + own];
            store(y, (batch * p.M + m0 + m) * p.N + column, v + shift);
        }
        __syncthreads();
    }
}

template <typename T> static operand<T> operand_of(const void *data, int64_t rows, int64_t K, bool along_k, int64_t stride)
{
    const bool packs = (along_k ? K : rows) % 4 == 0 && stride % 4 == 0 && dr_aligned(data, 4 * sizeof(T));
    return { (const T *)data, rows, K, along_k, packs };
}

template <typename TA, typename TB, typename TY, int R, int C>
static void launch_tiles(const dr_kargs *a, const dr_cuda_product *p, const void *A, const void *B, const void *bias, void *y)
{
    const int64_t down = dr_blocks_for(p->M, R * DOWN), across = dr_blocks_for(p->N, C * ACROSS);
    if (across > 65535) {
        dr_cuda_refuse(a, DR_EUNSUPPORTED, "a product of %lld columns is too wide", (long long)p->N);
        return;
    }
    DR_LAUNCH(a, (multiply<TA, TB, TY, R, C>), dim3((unsigned)down, (unsigned)across, (unsigned)dr_min64(p->batch, 65535)),
              THREADS, 0, operand_of<TA>(A, p->M, p->K, !p->transpose_a, p->stride_a),
              operand_of<TB>(B, p->N, p->K, p->transpose_b, p->stride_b), *p,
              p->bias_dtype == DR_F32 ? (const float *)bias : NULL, p->bias_dtype == DR_F32 ? NULL : (const bf16 *)bias, (TY *)y);
}

/* Small tiles until there are several for each multiprocessor: more of them is more at the same time. */
template <typename TA, typename TB, typename TY>
static void launch(const dr_kargs *a, const dr_cuda_product *p, const void *A, const void *B, const void *bias, void *y)
{
    if (dr_blocks_for(p->M, 16) * dr_blocks_for(p->N, 16) * p->batch <= 512) launch_tiles<TA, TB, TY, 2, 4>(a, p, A, B, bias, y);
    else launch_tiles<TA, TB, TY, 4, 8>(a, p, A, B, bias, y);
}

extern "C" void dr_matmul_direct(const dr_kargs *a, const dr_cuda_product *p, const void *A, const void *B, const void *bias,
                                 void *y)
{
    if (p->dtype == DR_F32) launch<float, float, float>(a, p, A, B, bias, y);
    else if (p->y_dtype == DR_F32) launch<bf16, bf16, float>(a, p, A, B, bias, y);
    else if (p->b_dtype == DR_F32) launch<bf16, float, bf16>(a, p, A, B, bias, y);
    else launch<bf16, bf16, bf16>(a, p, A, B, bias, y);
}
