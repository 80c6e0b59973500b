/* Random numbers on cuda are those of ref: the same integers of Philox, so uniform numbers are equal bit for bit, whatever
 * the shape, the stream, and the sample that a batch begins with; normal numbers to a few roundings.
 * label: cuda */
#include "../host.h"
#include "both_devices.h"

#include <math.h>

static float *numbers(dr_device *device, bool is_normal, int rank, const int64_t *shape, const dr_rng *rng, int64_t *n)
{
    dr_device_use(device);
    dr_tensor *t = is_normal ? dr_rand_normal(DR_F32, rank, shape, rng) : dr_rand_uniform(DR_F32, rank, shape, rng);
    if (!t) fail_msg("%s", dr_error_message());
    *n = view_count(dr_tensor_view(t));
    float *v = malloc((size_t)*n * sizeof *v);
    assert_non_null(v);
    assert_int_equal(dr_tensor_read(t, DR_F32, v), DR_OK);
    dr_device_use(ref);
    return v;
}

static const struct {
    int rank;
    int64_t shape[4];
} shapes[] = { { 1, { 1 } },        { 1, { 5 } },       { 1, { 70001 } },         { 2, { 3, 4 } },
               { 2, { 1001, 3 } },  { 2, { 2, 65537 } }, { 4, { 7, 3, 5, 7 } },   { 4, { 130, 1, 28, 28 } },
               { 3, { 33, 17, 9 } } };
static const dr_rng streams[] = { { .seed = 0 },
                                  { .seed = 1, .purpose = 2, .step = 3, .sample = 4 },
                                  { .seed = 0xfedcba9876543210u, .purpose = 0xffffffffu, .step = 0x80000001u, .sample = 1 << 20 },
                                  { .seed = 7, .sample = 0xfffffff0u } }; /* samples wrap around */

static void compare(bool is_normal)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (size_t k = 0; k < sizeof streams / sizeof *streams; k++) {
            int64_t n, same;
            dr_scope_open();
            float *want = numbers(ref, is_normal, shapes[i].rank, shapes[i].shape, &streams[k], &n);
            float *got = numbers(cuda, is_normal, shapes[i].rank, shapes[i].shape, &streams[k], &same);
            assert_int_equal(n, same);
            for (int64_t e = 0; e < n; e++) {
                const float off = is_normal ? 4e-6f * fmaxf(1.0f, fabsf(want[e])) : 0.0f;
                if (!(fabsf(got[e] - want[e]) <= off))
                    fail_msg("shape %zu, stream %zu, element %lld is %.9g, not %.9g", i, k, (long long)e, (double)got[e],
                             (double)want[e]);
            }
            free(want);
            free(got);
            dr_scope_close();
        }
    }
}

static void uniform_numbers_are_equal(void **state)
{
    (void)state;
    compare(false);
}

static void normal_numbers_are_close(void **state)
{
    (void)state;
    compare(true);
}

/* Sample i of a batch has what it has alone. */
static void a_sample_does_not_depend_on_the_batch(void **state)
{
    (void)state;
    int64_t n, m;
    const dr_rng batch = { .seed = 1, .purpose = 2, .sample = 10 }, one = { .seed = 1, .purpose = 2, .sample = 13 };
    float *all = numbers(cuda, true, 2, (const int64_t[]){ 6, 61 }, &batch, &n);
    float *alone = numbers(cuda, true, 2, (const int64_t[]){ 1, 61 }, &one, &m);
    assert_memory_equal(all + 3 * 61, alone, 61 * sizeof(float));
    free(all);
    free(alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uniform_numbers_are_equal),
        cmocka_unit_test(normal_numbers_are_close),
        cmocka_unit_test(a_sample_does_not_depend_on_the_batch),
    };
    if (!there_is_cuda()) return 77;
    return cmocka_run_group_tests(tests, open_ref_and_cuda, close_all);
}
