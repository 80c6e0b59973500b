/* random.cu: uniform and normal tensors from Philox4x32-10 counters.     Salmon et al. 2011; Box & Muller 1958
 * Key: the seed. Counter: (element/4, sample + row, step, purpose), row the index along the first axis, element the
 * row-major index within the row; of the four words, element % 4 is the element's own. So a sample's numbers depend
 * neither on the batch around it nor on memory order. In rank 1 each element is a row; rank 0 is row 0.
 * A thread has one counter. In a graph whose sample moves, it is counted from a word on the device. */
#include "cuda_kernel.h"

struct stream {
    int64_t quads, elements, counters; /* of a row, of a row, of all rows */
    uint64_t seed;
    uint32_t sample, step, purpose;
    const int64_t *moved; /* NULL: the sample stands */
};

struct words {
    uint32_t w[4];
};

__device__ inline words philox4x32_10(uint64_t seed, words c)
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++) {
        const uint32_t high0 = __umulhi(0xD2511F53u, c.w[0]), low0 = 0xD2511F53u * c.w[0];
        const uint32_t high1 = __umulhi(0xCD9E8D57u, c.w[2]), low1 = 0xCD9E8D57u * c.w[2];
        c = words{ { high1 ^ c.w[1] ^ k0, low1, high0 ^ c.w[3] ^ k1, low0 } };
        k0 += 0x9E3779B9u; /* golden ratio */
        k1 += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    return c;
}

/* ---- words -> numbers -------------------------------------------------------------------------------------------- */

__device__ inline float uniform(uint32_t word) { return (float)(word >> 8) * 5.9604644775390625e-8f; } /* [0,1), by 2^-24 */

/* -ln((word + 1)/2^32), which near 1 is -ln(1 - t), t = (2^32 - 1 - word)/2^32 */
__device__ inline float minus_log(uint32_t word)
{
    const float scale = 2.3283064365386963e-10f; /* 2^-32 */
    return word >= 0x80000000u ? -log1pf(-((float)~word * scale)) : -logf((float)(word + 1) * scale);
}

/* For |x| <= pi/4, to within a unit in the last place. */
__device__ inline float sine(float x)
{
    const float s = x * x;
    float p = 2.717366669e-06f;
    p = fmaf(p, s, -1.983923285e-04f);
    p = fmaf(p, s, 8.333329111e-03f);
    p = fmaf(p, s, -1.666666716e-01f);
    return fmaf(p * s, x, x);
}

__device__ inline float cosine(float x)
{
    const float s = x * x;
    float p = -2.719863232e-07f;
    p = fmaf(p, s, 2.479937211e-05f);
    p = fmaf(p, s, -1.388888340e-03f);
    p = fmaf(p, s, 4.166666791e-02f);
    return fmaf(p * s, s, fmaf(-0.5f, s, 1.0f));
}

__device__ inline void box_muller(uint32_t word0, uint32_t word1, float *even, float *odd)
{
    const float r = sqrtf(2.0f * minus_log(word0));
    const uint32_t quarters = (word1 + 0x20000000u) >> 30; /* the angle 2 pi word1/2^32, to the nearest quarter turn */
    const float rest = (float)(int32_t)(word1 - (quarters << 30)) * 1.4629180793e-9f; /* 2 pi/2^32 */
    const float s = r * sine(rest), c = r * cosine(rest);
    const float upright = quarters & 1 ? s : c, across = quarters & 1 ? c : s;
    *even = ((quarters + 1) & 2) ? -upright : upright; /* the cosine of the whole angle */
    *odd = (quarters & 2) ? -across : across;
}

template <bool NORMAL> __device__ inline void numbers_of(const words &w, float y[4])
{
    if (NORMAL) {
        box_muller(w.w[0], w.w[1], &y[0], &y[1]);
        box_muller(w.w[2], w.w[3], &y[2], &y[3]);
    } else {
#pragma unroll
        for (int j = 0; j < 4; j++) y[j] = uniform(w.w[j]);
    }
}

/* ---- the kernel -------------------------------------------------------------------------------------------------- */

template <typename T, bool NORMAL> __global__ void random_numbers(stream s, T *y) /* y [rows, elements] */
{
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i >= s.counters) return;
    const bool narrow = s.counters <= 0xffffffffLL;
    const int64_t row = narrow ? (uint32_t)i / (uint32_t)s.quads : i / s.quads, quad = i - row * s.quads;
    const uint32_t first = s.moved ? s.sample + (uint32_t)*s.moved : s.sample;
    const words counter = { { (uint32_t)quad, first + (uint32_t)row, s.step, s.purpose } };
    float number[4];
    numbers_of<NORMAL>(philox4x32_10(s.seed, counter), number);

    T *to = y + row * s.elements + quad * 4;
    if (s.elements % 4 == 0) {
        pack<T, 4> all;
#pragma unroll
        for (int j = 0; j < 4; j++) all.v[j] = from_float<T>(number[j]);
        store_pack(to, 0, all);
        return;
    }
#pragma unroll
    for (int j = 0; j < 4; j++) /* a row's last counter may give fewer */
        if (quad * 4 + j < s.elements) store(to, j, number[j]);
}

template <typename T, bool NORMAL> static void generate(const dr_kargs *a) /* -> y */
{
    const dr_random_attr *attr = (const dr_random_attr *)a->attr;
    const dr_view *y = &a->out[0];
    const int64_t rows = y->rank > 0 ? y->shape[0] : 1, elements = dr_count(y, 1, y->rank);
    stream s = {};
    s.elements = elements;
    s.quads = (elements + 3) / 4;
    s.counters = rows * s.quads;
    s.seed = (uint64_t)attr->seed;
    s.sample = (uint32_t)attr->sample;
    s.step = (uint32_t)attr->step;
    s.purpose = (uint32_t)attr->purpose;
    s.moved = a->sample_moves ? dr_cuda_of(a)->sample : NULL;
    if (s.counters == 0) return;
    DR_LAUNCH(a, (random_numbers<T, NORMAL>), (unsigned)dr_blocks_for(s.counters, 256), 256, 0, s, (T *)dr_out(a, 0));
}

DR_KERNEL(rand_uniform, DR_F32, (generate<float, false>))
DR_KERNEL(rand_uniform, DR_BF16, (generate<bf16, false>))
DR_KERNEL(rand_normal, DR_F32, (generate<float, true>))
DR_KERNEL(rand_normal, DR_BF16, (generate<bf16, true>))
