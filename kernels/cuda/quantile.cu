/* quantile.cu: the q-quantile of each row, by linear interpolation between the sorted elements around q (n - 1). Nothing is
 * sorted: the element of a given rank is found digit by digit (11, 11, 10 bits), by counting; the next one in order is the
 * same value again, or the smallest above it. A block has a row. */
#include "cuda_kernel.h"

enum { THREADS = 512, DIGITS = 2048, OWN = DIGITS / THREADS };

/* Unsigned numbers in the order of the floats. */
__device__ inline uint32_t key_of(float x)
{
    const uint32_t bits = __float_as_uint(x);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ inline float float_of(uint32_t key) { return __uint_as_float(key & 0x80000000u ? key & 0x7FFFFFFFu : ~key); }

struct search {
    uint32_t count[DIGITS], of_thread[THREADS];
    uint32_t digit, below; /* found: the digit, and the elements below it among those counted */
    uint32_t above, nan;
};

/* Finds the digit in which the element of the given rank lies, among those that count[] counts. */
__device__ inline void find_digit(search *s, uint32_t rank)
{
    const int tid = threadIdx.x;
    uint32_t own = 0;
    for (int k = 0; k < OWN; k++) own += s->count[tid * OWN + k];
    s->of_thread[tid] = own;
    __syncthreads();
    for (int step = 1; step < THREADS; step *= 2) { /* sums up to and with each thread */
        const uint32_t before = tid >= step ? s->of_thread[tid - step] : 0;
        __syncthreads();
        s->of_thread[tid] += before;
        __syncthreads();
    }
    uint32_t below = s->of_thread[tid] - own;
    for (int k = 0; k < OWN; k++) {
        const uint32_t here = s->count[tid * OWN + k];
        if (below <= rank && rank < below + here) {
            s->digit = (uint32_t)(tid * OWN + k);
            s->below = below;
        }
        below += here;
    }
    __syncthreads();
}

__global__ void quantile(const float *x, float *y, int64_t n, int64_t rank, double rest) /* x [B,n], y [B] */
{
    __shared__ search s;
    const int shift[3] = { 21, 10, 0 }, tid = threadIdx.x;
    const float *row = x + blockIdx.x * n;
    uint32_t prefix = 0, mask = 0; /* the digits found so far */
    int64_t through = 0;           /* elements below the prefix, so far */
    if (tid == 0) {
        s.above = 0xffffffffu;
        s.nan = 0;
    }
#pragma unroll
    for (int pass = 0; pass < 3; pass++) {
        const uint32_t digits = pass < 2 ? 2048u : 1024u;
        for (int d = tid; d < DIGITS; d += THREADS) s.count[d] = 0;
        __syncthreads();
        for (int64_t i = tid; i < n; i += THREADS) {
            const float value = row[i];
            const uint32_t key = key_of(value);
            if (value != value) s.nan = 1;
            if ((key & mask) == prefix) atomicAdd(&s.count[key >> shift[pass] & (digits - 1)], 1u);
        }
        __syncthreads();
        find_digit(&s, (uint32_t)(rank - through));
        through += s.below;
        prefix |= s.digit << shift[pass];
        mask |= (digits - 1) << shift[pass];
        if (pass == 2) through += s.count[s.digit];
        __syncthreads();
    }
    const bool repeated = through > rank + 1 || through >= n;
    if (!repeated) { /* the same for all threads */
        uint32_t above = 0xffffffffu;
        for (int64_t i = tid; i < n; i += THREADS) {
            const uint32_t key = key_of(row[i]);
            above = key > prefix && key < above ? key : above;
        }
        atomicMin(&s.above, above);
        __syncthreads();
    }
    if (tid > 0) return;
    const float low = float_of(prefix), high = repeated ? low : float_of(s.above);
    const double between = (double)low + rest * ((double)high - (double)low);
    y[blockIdx.x] = s.nan ? __uint_as_float(0x7FC00000u) : (float)between;
}

__global__ void quantile_of_nothing(float *y, int64_t B)
{
    for (int64_t b = threadIdx.x; b < B; b += blockDim.x) y[b] = __uint_as_float(0x7FC00000u);
}

static void quantile(const dr_kargs *a) /* x [B,...] -> y [B]; a row with NaN gives NaN */
{
    const double q = ((const dr_quantile_attr *)a->attr)->q;
    const int64_t B = a->out[0].shape[0], n = dr_count(&a->in[0], 1, a->in[0].rank);
    float *y = (float *)dr_out(a, 0);
    if (B == 0) return;
    if (n == 0) {
        DR_LAUNCH(a, quantile_of_nothing, 1, 256, 0, y, B);
        return;
    }
    const double position = q * (double)(n - 1);
    const int64_t rank = (int64_t)position;
    DR_LAUNCH(a, quantile, (unsigned)B, THREADS, 0, (const float *)dr_in(a, 0), y, n, rank, position - (double)rank);
}

DR_KERNEL(quantile, DR_F32, quantile)
