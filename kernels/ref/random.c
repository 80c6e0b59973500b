/* random.c: uniform and normal tensors from Philox4x32-10 counters.     Salmon et al. 2011; Box & Muller 1958
 * Key: the seed. Counter: (element/4, sample + row, step, purpose), row the index along the first axis, element the
 * row-major index within the row; of the four words, element % 4 is the element's own. So a sample's numbers depend
 * neither on the batch around it nor on memory order. In rank 1 each element is a row; rank 0 is row 0. */
#include "element.h"

static void philox4x32_10(uint64_t seed, const uint32_t counter[4], uint32_t word[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t product0 = (uint64_t)0xD2511F53 * c0, product1 = (uint64_t)0xCD9E8D57 * c2;
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)product1;
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)product0;
        k0 += 0x9E3779B9; /* golden ratio */
        k1 += 0xBB67AE85; /* sqrt(3) - 1 */
    }
    word[0] = c0;
    word[1] = c1;
    word[2] = c2;
    word[3] = c3;
}

static void words_of(const dr_random_attr *attr, int64_t row, int64_t element, uint32_t word[4])
{
    const uint32_t counter[4] = { (uint32_t)(element / 4), (uint32_t)(attr->sample + row), (uint32_t)attr->step,
                                  (uint32_t)attr->purpose };
    philox4x32_10((uint64_t)attr->seed, counter, word);
}

static double uniform(const uint32_t word[4], int64_t element) /* [0,1) in steps of 2^-24 */
{
    return (word[element % 4] >> 8) * 0x1p-24;
}

static double normal(const uint32_t word[4], int64_t element)
{
    const double two_pi = 6.28318530717958647693;
    const int64_t pair = element % 4 / 2 * 2; /* elements 0 and 1 share words 0 and 1; 2 and 3 share words 2 and 3 */
    double u1 = (word[pair] + 1.0) * 0x1p-32; /* (0,1]: never the logarithm of 0 */
    double u2 = word[pair + 1] * 0x1p-32;
    double r = sqrt(-2 * log(u1));
    return element % 2 == 0 ? r * cos(two_pi * u2) : r * sin(two_pi * u2);
}

static void generate(const dr_kargs *a, double (*of_words)(const uint32_t word[4], int64_t element)) /* -> y */
{
    const dr_view *y = &a->out[0];
    const int64_t rows = y->rank > 0 ? y->shape[0] : 1, elements = dr_ref_count(y, 1, y->rank);
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t element = 0; element < elements; element++) {
            uint32_t word[4];
            words_of(a->attr, row, element, word);
            m.out[0][row * elements + element] = of_words(word, element);
        }
    dr_ref_close(&m);
}

static void rand_uniform_ref(const dr_kargs *a) { generate(a, uniform); }
static void rand_normal_ref(const dr_kargs *a) { generate(a, normal); }

DR_KERNEL(rand_uniform, DR_ANY_DTYPE, rand_uniform_ref)
DR_KERNEL(rand_normal, DR_ANY_DTYPE, rand_normal_ref)
