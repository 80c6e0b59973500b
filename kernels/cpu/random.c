/* random.c: uniform and normal tensors from Philox4x32-10 counters.     Salmon et al. 2011; Box & Muller 1958
 * Key: the seed. Counter: (element/4, sample + row, step, purpose), row the index along the first axis, element the
 * row-major index within the row; of the four words, element % 4 is the element's own. So a sample's numbers depend
 * neither on the batch around it nor on memory order. In rank 1 each element is a row; rank 0 is row 0.
 * LANES counters are worked on at once. f32 or bf16, which is the f32 number rounded. */
#include "bf16.h"
#include "cpu_backend.h"

enum { LANES = 16 };

typedef struct lanes {
    uint32_t w[4][LANES];
} lanes; /* counters, then the words made of them */

static void philox4x32_10(uint64_t seed, lanes *restrict l)
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < LANES; i++) {
            const uint64_t product0 = (uint64_t)0xD2511F53 * l->w[0][i], product1 = (uint64_t)0xCD9E8D57 * l->w[2][i];
            l->w[0][i] = (uint32_t)(product1 >> 32) ^ l->w[1][i] ^ k0;
            l->w[1][i] = (uint32_t)product1;
            l->w[2][i] = (uint32_t)(product0 >> 32) ^ l->w[3][i] ^ k1;
            l->w[3][i] = (uint32_t)product0;
        }
        k0 += 0x9E3779B9; /* golden ratio */
        k1 += 0xBB67AE85; /* sqrt(3) - 1 */
    }
}

/* ---- words -> numbers; y[4 i + j] belongs to word j of lane i ---------------------------------------------------- */

static void uniform(const lanes *l, float *restrict y) /* [0,1) in steps of 2^-24 */
{
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < 4; j++) y[4 * i + j] = (float)(l->w[j][i] >> 8) * 0x1p-24f;
}

/* -ln((word + 1)/2^32). Near 1 the logarithm is that of 1 - t, t = (2^32 - 1 - word)/2^32, with the rounding of 1 - t
 * taken out again: ln(1 - t) = -t ln(u)/(u - 1), u = fl(1 - t). */
VM_INLINE float minus_log(uint32_t word)
{
    const int upper = word >= 0x80000000u;
    const float t = (float)~word * 0x1p-32f;
    const float u = upper ? 1.0f - t : (float)(word + 1) * 0x1p-32f;
    const float log = vm_log(u);
    const float near = u == 1.0f ? t : t * log / (u - 1.0f);
    return upper ? near : -log;
}

VM_INLINE void box_muller(uint32_t word0, uint32_t word1, float *even, float *odd)
{
    const float r = sqrtf(2.0f * minus_log(word0));
    const uint32_t quarters = (word1 + 0x20000000u) >> 30; /* the angle 2 pi word1/2^32, to the nearest quarter turn */
    const float rest = (float)(int32_t)(word1 - (quarters << 30)) * 1.4629180793e-9f; /* 2 pi/2^32 */

    *even = r * vm_sin_from(rest, (int32_t)quarters + 1); /* the cosine */
    *odd = r * vm_sin_from(rest, (int32_t)quarters);
}

static void normal(const lanes *l, float *restrict y)
{
    float value[4][LANES];
    for (int i = 0; i < LANES; i++) box_muller(l->w[0][i], l->w[1][i], &value[0][i], &value[1][i]);
    for (int i = 0; i < LANES; i++) box_muller(l->w[2][i], l->w[3][i], &value[2][i], &value[3][i]);
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < 4; j++) y[4 * i + j] = value[j][i];
}

/* ---- counters ---------------------------------------------------------------------------------------------------- */

/* Counters `from` and those after it, of rows that take `quads` each. */
static void count(const dr_random_attr *attr, int64_t from, int64_t quads, lanes *l)
{
    int64_t row = from / quads, quad = from % quads;
    for (int i = 0; i < LANES; i++) {
        l->w[0][i] = (uint32_t)quad;
        l->w[1][i] = (uint32_t)(attr->sample + row);
        l->w[2][i] = (uint32_t)attr->step;
        l->w[3][i] = (uint32_t)attr->purpose;
        if (++quad == quads) {
            quad = 0;
            row++;
        }
    }
}

/* The numbers of up to LANES counters to their places in y [rows, elements]; a row's last counter may give fewer
 * than 4. */
VM_INLINE void place(int type, const float *number, int64_t from, int64_t lanes_used, int64_t quads, int64_t elements,
                     void *y)
{
    if (elements % 4 == 0) {
        void *to = dr_into(type, y, from * 4);
        for (int64_t i = 0; i < lanes_used * 4; i++) dr_store(type, to, i, number[i]);
        return;
    }
    for (int64_t i = 0; i < lanes_used; i++) {
        const int64_t row = (from + i) / quads, first = (from + i) % quads * 4;
        for (int64_t j = 0; j < dr_min64(4, elements - first); j++)
            dr_store(type, y, row * elements + first + j, number[4 * i + j]);
    }
}

static void generate(const dr_kargs *a, void (*of_words)(const lanes *l, float *restrict y)) /* -> y */
{
    const dr_random_attr *attr = a->attr;
    const dr_view *view = &a->out[0];
    const int64_t rows = view->rank > 0 ? view->shape[0] : 1, elements = dr_count(view, 1, view->rank);
    const int64_t quads = (elements + 3) / 4, n = rows * quads;
    void *y = dr_out(a, 0);
#pragma omp parallel for schedule(static) if (n * 4 > DR_CPU_PARALLEL / 4)
    for (int64_t from = 0; from < n; from += LANES) {
        lanes l;
        float number[4 * LANES];
        const int64_t used = dr_min64(LANES, n - from);
        count(attr, from, quads, &l);
        philox4x32_10((uint64_t)attr->seed, &l);
        of_words(&l, number);
        if (view->dtype == DR_BF16) place(DR_BF16, number, from, used, quads, elements, y);
        else place(DR_F32, number, from, used, quads, elements, y);
    }
}

static void rand_uniform(const dr_kargs *a) { generate(a, uniform); }
static void rand_normal(const dr_kargs *a) { generate(a, normal); }

DR_KERNEL(rand_uniform, DR_F32, rand_uniform)
DR_KERNEL(rand_uniform, DR_BF16, rand_uniform)
DR_KERNEL(rand_normal, DR_F32, rand_normal)
DR_KERNEL(rand_normal, DR_BF16, rand_normal)
