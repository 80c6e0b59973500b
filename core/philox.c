/* philox.c: Philox4x32-10, a counter-based random generator: each number is a function of (key, counter) alone, so
 * nothing depends on the order of calls.         Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as
 * 1, 2, 3" */
#include "drift.h"

void dr_philox(uint64_t key, const uint32_t counter[4], uint32_t out[4])
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

double dr_rng_uniform(const dr_rng *rng, uint32_t element)
{
    const uint32_t counter[4] = { element / 4, (uint32_t)rng->sample, rng->step, rng->purpose };
    uint32_t word[4];
    dr_philox(rng->seed, counter, word);
    return word[element % 4] * 0x1p-32;
}

/* FNV-1a: the same name is the same stream on every machine. */
uint32_t dr_purpose(const char *name)
{
    uint32_t h = 2166136261u;
    for (const unsigned char *p = (const unsigned char *)name; *p; p++) h = (h ^ *p) * 16777619u;
    return h;
}

dr_tensor *dr_noise_like(dr_tensor *x, const dr_rng *rng)
{
    const dr_view *v = dr_tensor_view(x);
    return v ? dr_rand_normal((dr_dtype)v->dtype, v->rank, v->shape, rng) : NULL;
}
