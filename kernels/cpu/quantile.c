/* quantile.c: the q-quantile of each row, by linear interpolation between the sorted elements around q (n - 1). Nothing
 * is sorted: the element of a given rank is found digit by digit (11, 11, 10 bits), by counting. */
#include "cpu_backend.h"
#include <math.h>
#include <string.h>

/* Unsigned numbers in the order of the floats. */
static inline uint32_t key_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static inline float float_of(uint32_t key)
{
    const uint32_t bits = key & 0x80000000u ? key & 0x7FFFFFFFu : ~key;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The key of the given rank (0: the smallest); *through: how many elements are not above it. */
static uint32_t key_of_rank(const float *x, int64_t n, int64_t rank, int64_t *through)
{
    static const int shift[3] = { 21, 10, 0 }, digits[3] = { 2048, 2048, 1024 };
    uint32_t prefix = 0, mask = 0; /* the digits found so far */
    *through = 0;                  /* elements below the prefix, so far */
    for (int pass = 0; pass < 3; pass++) {
        int64_t count[2048] = { 0 };
        for (int64_t i = 0; i < n; i++) {
            const uint32_t key = key_of(x[i]);
            if ((key & mask) == prefix) count[key >> shift[pass] & (uint32_t)(digits[pass] - 1)]++;
        }
        int digit = 0;
        while (*through + count[digit] <= rank) *through += count[digit++];
        prefix |= (uint32_t)digit << shift[pass];
        mask |= (uint32_t)(digits[pass] - 1) << shift[pass];
        if (pass == 2) *through += count[digit];
    }
    return prefix;
}

static float quantile_of_row(const float *x, int64_t n, double q)
{
    int nan = n == 0;
    for (int64_t i = 0; i < n; i++) nan |= x[i] != x[i];
    if (nan) return NAN;
    const double position = q * (double)(n - 1);
    const int64_t rank = (int64_t)position;
    int64_t through;
    const uint32_t below = key_of_rank(x, n, rank, &through);
    uint32_t above = below; /* the next in order: the same value again, or the smallest above it */
    if (through == rank + 1 && through < n) {
        above = UINT32_MAX;
        for (int64_t i = 0; i < n; i++) {
            const uint32_t key = key_of(x[i]);
            above = key > below && key < above ? key : above;
        }
    }
    const double low = (double)float_of(below), high = (double)float_of(above);
    return (float)(low + (position - (double)rank) * (high - low));
}

static void quantile_f32(const dr_kargs *a) /* x [B,...] -> y [B]; a row with NaN gives NaN */
{
    const double q = ((const dr_quantile_attr *)a->attr)->q;
    const int64_t B = a->out[0].shape[0], n = dr_count(&a->in[0], 1, a->in[0].rank);
    const float *x = dr_in(a, 0);
    float *y = dr_out(a, 0);
#pragma omp parallel for schedule(static) if (B * n > DR_CPU_PARALLEL)
    for (int64_t b = 0; b < B; b++) y[b] = quantile_of_row(x + b * n, n, q);
}

DR_KERNEL(quantile, DR_F32, quantile_f32)
