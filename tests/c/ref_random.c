/* ref_random.c: Philox4x32-10 against the vectors that its authors publish, and the tensors that the device ref
 * makes of it: moments, independence of batch, memory order and call, and the words that each element must come
 * from. */
#include "../host.h"

#include <math.h>

static const dr_rng stream = { .seed = 0x123456789abcdef0, .purpose = 77, .step = 5, .sample = 100 };

/* kat_vectors of Random123, philox 4x32 10. key: low word first. */
static void philox_known_answers(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } cases[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t word[4];
        dr_philox((uint64_t)cases[i].key[1] << 32 | cases[i].key[0], cases[i].counter, word);
        assert_memory_equal(word, cases[i].want, sizeof word);
    }
}

static double *values(dr_tensor *t, int64_t n) /* row-major, to be freed */
{
    double *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    assert_int_equal(dr_tensor_read(t, DR_F64, x), DR_OK);
    return x;
}

static void words_of(const dr_rng *rng, int64_t row, int64_t element, uint32_t word[4])
{
    const uint32_t counter[4] = { (uint32_t)(element / 4), (uint32_t)(rng->sample + (uint64_t)row), rng->step,
                                  rng->purpose };
    dr_philox(rng->seed, counter, word);
}

static void elements_come_from_their_words(void **state)
{
    enum { B = 3, N = 2 * 3 * 3 }; /* rows of 18: four whole groups of words and half of one */
    (void)state;
    double *u = values(dr_rand_uniform(DR_F64, DR_SHAPE(B, 2, 3, 3), &stream), B * N);
    double *z = values(dr_rand_normal(DR_F64, DR_SHAPE(B, 2, 3, 3), &stream), B * N);
    for (int64_t b = 0; b < B; b++) {
        for (int64_t e = 0; e < N; e++) {
            uint32_t word[4];
            words_of(&stream, b, e, word);
            assert_true(u[b * N + e] == (word[e % 4] >> 8) / 16777216.0);
            const double u1 = (word[e % 4 & 2] + 1.0) / 4294967296.0, u2 = word[(e % 4 & 2) + 1] / 4294967296.0;
            const double r = sqrt(-2 * log(u1)), angle = 8 * atan(1.0) * u2;
            assert_true(fabs(z[b * N + e] - r * (e % 2 ? sin(angle) : cos(angle))) < 1e-12);
        }
    }
    free(u);
    free(z);
}

static void moments(const double *x, int64_t n, double *mean, double *var, double *fourth)
{
    *mean = *var = *fourth = 0;
    for (int64_t i = 0; i < n; i++) *mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++) *var += pow(x[i] - *mean, 2) / (double)n;
    for (int64_t i = 0; i < n; i++) *fourth += pow(x[i] - *mean, 4) / (double)n;
}

/* Limits are five standard errors of the estimate, so a right generator passes for all but one seed in a million. */
static void moments_are_right(void **state)
{
    enum { B = 20, N = 5001 };
    const double n = B * N;
    double mean, var, fourth;
    (void)state;
    double *z = values(dr_rand_normal(DR_F32, DR_SHAPE(B, N), &stream), B * N);
    moments(z, B * N, &mean, &var, &fourth);
    assert_true(fabs(mean) < 5 / sqrt(n));
    assert_true(fabs(var - 1) < 5 * sqrt(2 / n));
    assert_true(fabs(fourth - 3) < 5 * sqrt(96 / n));
    double neighbours = 0; /* the two halves of a pair share their words but not their value */
    for (int64_t i = 0; i + 1 < B * N; i++) neighbours += z[i] * z[i + 1] / n;
    assert_true(fabs(neighbours) < 5 / sqrt(n));
    free(z);

    double *u = values(dr_rand_uniform(DR_F32, DR_SHAPE(B, N), &stream), B * N);
    moments(u, B * N, &mean, &var, &fourth);
    assert_true(fabs(mean - 0.5) < 5 * sqrt(1 / (12 * n)));
    assert_true(fabs(var - 1 / 12.0) < 5 * sqrt(1 / (180 * n)));
    for (int64_t i = 0; i < B * N; i++) assert_true(u[i] >= 0 && u[i] < 1);
    free(u);
}

/* Sample 103 is the same wherever it stands in a batch, and however often something is drawn in between. */
static void rows_do_not_depend_on_the_batch(void **state)
{
    enum { B = 6, N = 3 * 5 * 7 };
    dr_rng later = stream;
    later.sample += 3;
    (void)state;
    double *whole = values(dr_rand_normal(DR_F32, DR_SHAPE(B, 3, 5, 7), &stream), B * N);
    double *alone = values(dr_rand_normal(DR_F32, DR_SHAPE(1, 3, 5, 7), &later), N);
    double *flat = values(dr_rand_normal(DR_F32, DR_SHAPE(2, N), &later), 2 * N);
    assert_memory_equal(whole + 3 * N, alone, N * sizeof(double));
    assert_memory_equal(whole + 3 * N, flat, 2 * N * sizeof(double));
    assert_memory_not_equal(whole, alone, N * sizeof(double));
    free(whole);
    free(alone);
    free(flat);
}

static void each_key_is_another_stream(void **state)
{
    enum { N = 64 };
    dr_rng other[4] = { stream, stream, stream, stream };
    other[0].seed ^= (uint64_t)1 << 40; /* a bit of the key's high word */
    other[1].purpose++;
    other[2].step++;
    other[3].sample++;
    (void)state;
    double *base = values(dr_rand_uniform(DR_F32, DR_SHAPE(1, N), &stream), N);
    for (int k = 0; k < 4; k++) {
        double *x = values(dr_rand_uniform(DR_F32, DR_SHAPE(1, N), &other[k]), N);
        int equal = 0;
        for (int i = 0; i < N; i++) equal += x[i] == base[i];
        assert_int_equal(equal, 0);
        free(x);
    }
    free(base);
}

/* Rank 1: each element is a row of its own. Rank 0 is row 0. No rows: nothing happens. */
static void small_ranks(void **state)
{
    enum { N = 9 };
    (void)state;
    double *vector = values(dr_rand_normal(DR_F64, DR_SHAPE(N), &stream), N);
    double *column = values(dr_rand_normal(DR_F64, DR_SHAPE(N, 1), &stream), N);
    double *scalar = values(dr_rand_normal(DR_F64, 0, NULL, &stream), 1);
    assert_memory_equal(vector, column, N * sizeof(double));
    assert_true(scalar[0] == vector[0]);
    assert_non_null(dr_rand_normal(DR_F32, DR_SHAPE(0, 4), &stream));
    assert_int_equal(dr_failed(), DR_OK);
    free(vector);
    free(column);
    free(scalar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),       cmocka_unit_test(elements_come_from_their_words),
        cmocka_unit_test(moments_are_right),          cmocka_unit_test(rows_do_not_depend_on_the_batch),
        cmocka_unit_test(each_key_is_another_stream), cmocka_unit_test(small_ranks),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
