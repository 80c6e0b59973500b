/* tensor_table.h: many tensors in one launch, for the steps of optimizers. The pointers travel as the launch's argument (4
 * KiB at most), so that a graph keeps them. A block has CHUNK elements of one tensor; which, it finds by bisection. Tensors
 * come in groups of P with equal sizes, such as a weight, its gradient and its averages. */
#ifndef DRIFT_CUDA_TENSOR_TABLE_H
#define DRIFT_CUDA_TENSOR_TABLE_H

#include "cuda_kernel.h"

enum { CHUNK_THREADS = 256, CHUNK_PACKS = 2, CHUNK = CHUNK_THREADS * CHUNK_PACKS * 4 };

template <int P> constexpr int table_rows() { return 3800 / (P * (int)sizeof(float *) + 12); }

template <int P> struct tensor_table {
    float *at[table_rows<P>()][P];
    int64_t count[table_rows<P>()];     /* elements of each tensor of the group */
    int32_t first[table_rows<P>() + 1]; /* the group's first block; at the end, the number of blocks */
    int32_t rows;
};

/* Fills the table with the groups of a->in from `from` on; returns where the next table begins. */
template <int P> static int fill_table(tensor_table<P> *t, const dr_kargs *a, int from)
{
    t->rows = 0;
    t->first[0] = 0;
    for (; from < a->n_in && t->rows < table_rows<P>(); from += P) {
        const int64_t n = dr_numel(&a->in[from]), blocks = t->first[t->rows] + dr_blocks_for(n, CHUNK);
        if (n == 0) continue;
        if (blocks > INT32_MAX) break; /* the next table begins with it */
        for (int p = 0; p < P; p++) t->at[t->rows][p] = (float *)a->in[from + p].data;
        t->count[t->rows] = n;
        t->first[++t->rows] = (int32_t)blocks;
    }
    return from;
}

struct chunk {
    int row;         /* of the table */
    int64_t from, n; /* elements [from, from + n) of its tensors */
};

template <int P> __device__ inline chunk chunk_of(const tensor_table<P> &t, int32_t block)
{
    int low = 0, high = t.rows; /* first[low] <= block < first[high] */
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (t.first[middle] <= block) low = middle;
        else high = middle;
    }
    const int64_t from = (int64_t)(block - t.first[low]) * CHUNK, rest = t.count[low] - from;
    return chunk{ low, from, rest < CHUNK ? rest : (int64_t)CHUNK };
}

/* Four elements of a tensor's chunk, or those that there are; the others read as 0. */
__device__ inline pack<float, 4> load_four(const float *p, int64_t i, int64_t n)
{
    if (i + 4 <= n && ((uintptr_t)(p + i) & 15) == 0) return load_pack<float, 4>(p, i);
    pack<float, 4> v = {};
#pragma unroll
    for (int k = 0; k < 4; k++)
        if (i + k < n) v.v[k] = p[i + k];
    return v;
}

__device__ inline void store_four(float *p, int64_t i, int64_t n, const pack<float, 4> &v)
{
    if (i + 4 <= n && ((uintptr_t)(p + i) & 15) == 0) {
        store_pack(p, i, v);
        return;
    }
#pragma unroll
    for (int k = 0; k < 4; k++)
        if (i + k < n) p[i + k] = v.v[k];
}

/* average + rest (value - average), rest = 1 - decay, which is exact at both ends and keeps what a small rest adds. */
__device__ inline float moved_average(double decay, float average, float value)
{
    const float rest = (float)(1.0 - decay);
    if (rest < 0.5f) return fmaf(rest, value - average, average);
    return fmaf((float)decay, average - value, value);
}

#endif
