/* embedding.cu: y = the rows of a table that ids name; the gradient adds up where an id is repeated, in the order of the
 * positions. An id outside is complained of, and reads as zeros. */
#include "cuda_kernel.h"

template <typename T, int V>
__global__ void embedding(const T *weight, const int32_t *ids, T *y, int64_t n, int32_t packs, int64_t rows,
                          dr_cuda_complaint *complaint) /* weight [rows,D], ids [n], y [n,D] */
{
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i >= n * packs) return;
    const int64_t position = n * packs <= 0xffffffffLL ? (uint32_t)i / (uint32_t)packs : i / packs;
    const int64_t id = ids[position], d = i - position * packs;
    pack<T, V> row = {};
    if (id >= 0 && id < rows) row = load_pack<T, V>(weight, (id * packs + d) * V);
    else if (d == 0) complain(complaint, DR_COMPLAINT_ID_OUTSIDE, id, rows);
    store_pack(y, i * V, row);
}

template <typename T, int V> static void embedding_by(const dr_kargs *a)
{
    const int64_t rows = a->in[0].shape[0], n = dr_numel(&a->in[1]);
    const int32_t packs = (int32_t)(a->in[0].shape[1] / V);
    DR_LAUNCH(a, (embedding<T, V>), (unsigned)dr_blocks_for(n * packs, 128), 128, 0, (const T *)dr_in(a, 0),
              (const int32_t *)dr_in(a, 1), (T *)dr_out(a, 0), n, packs, rows, dr_cuda_complain_to(a));
}

template <typename T> static void embedding(const dr_kargs *a) /* weight [N,D], ids i32 [..] -> y [..,D] */
{
    constexpr int V = widest<T>();
    const bool packs = a->in[0].shape[1] % V == 0 && dr_aligned(dr_in(a, 0), 16) && dr_aligned(dr_out(a, 0), 16);
    if (dr_numel(&a->out[0]) == 0) return;
    if (packs) embedding_by<T, V>(a);
    else embedding_by<T, 1>(a);
}

/* ---- backward: a block has 32 columns of one row of the table, and looks through all ids for it ------------------- */

enum { COLUMNS = 32, LINES = 8, THREADS = COLUMNS * LINES };

/* Which of ids[from .. from + THREADS) are `row`, in order: list, and how many. */
__device__ inline int positions_of(const int32_t *ids, int64_t from, int64_t n, int64_t row, int32_t *list, int32_t *of_warp)
{
    const int tid = threadIdx.x, lane = tid % 32, warp = tid / 32;
    const bool mine = from + tid < n && ids[from + tid] == row;
    const unsigned ballot = __ballot_sync(0xffffffffu, mine);
    if (lane == 0) of_warp[warp] = __popc(ballot);
    __syncthreads();
    int before = 0, all = 0;
    for (int w = 0; w < THREADS / 32; w++) {
        before += w < warp ? of_warp[w] : 0;
        all += of_warp[w];
    }
    if (mine) list[before + __popc(ballot & ((1u << lane) - 1u))] = tid;
    __syncthreads();
    return all;
}

template <typename T>
__global__ void embedding_backward(const T *dy, const int32_t *ids, T *dweight, int64_t n, int64_t D, int64_t rows,
                                   int32_t tiles, dr_cuda_complaint *complaint) /* dy [n,D], dweight [rows,D] */
{
    __shared__ int32_t list[THREADS], of_warp[THREADS / 32];
    __shared__ double sums[LINES][COLUMNS];
    const int tid = threadIdx.x, line = tid / COLUMNS, column = tid % COLUMNS;
    const int64_t row = blockIdx.x / tiles, d = (int64_t)(blockIdx.x % tiles) * COLUMNS + column;
    double sum = 0.0; /* an id may be repeated very often */
    for (int64_t from = 0; from < n; from += THREADS) {
        if (blockIdx.x == 0 && from + tid < n && (ids[from + tid] < 0 || ids[from + tid] >= rows))
            complain(complaint, DR_COMPLAINT_ID_OUTSIDE, ids[from + tid], rows);
        const int found = positions_of(ids, from, n, row, list, of_warp);
        for (int k = line; k < found && d < D; k += LINES) sum += (double)load(dy, (from + list[k]) * D + d);
        __syncthreads();
    }
    sums[line][column] = sum;
    __syncthreads();
    if (line > 0 || d >= D) return;
    for (int l = 1; l < LINES; l++) sum += sums[l][column];
    store(dweight, row * D + d, (float)sum);
}

template <typename T> static void embedding_backward(const dr_kargs *a) /* dy [..,D], ids i32 [..] -> dweight [N,D] */
{
    const int64_t rows = a->out[0].shape[0], D = a->out[0].shape[1], n = dr_numel(&a->in[1]);
    const int64_t tiles = dr_blocks_for(D, COLUMNS);
    if (rows * D == 0) return;
    DR_LAUNCH(a, embedding_backward<T>, (unsigned)(rows * tiles), THREADS, 0, (const T *)dr_in(a, 0),
              (const int32_t *)dr_in(a, 1), (T *)dr_out(a, 0), n, D, rows, (int32_t)tiles, dr_cuda_complain_to(a));
}

DR_KERNEL(embedding, DR_F32, embedding<float>)
DR_KERNEL(embedding, DR_BF16, embedding<bf16>)
DR_KERNEL(embedding, DR_F16, embedding<bf16>) /* moves 16 bits, whatever they mean */
DR_KERNEL(embedding_backward, DR_F32, embedding_backward<float>)
DR_KERNEL(embedding_backward, DR_BF16, embedding_backward<bf16>)
