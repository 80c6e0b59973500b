/* Every metric: says that it has seen nothing before it has, counts samples however they are batched, starts again
 * after reset, evaluates any rows, and has an interval that holds its value and shrinks with more samples. What each
 * one's values are is in metric_values.c. */
#include "walk.h"

#include <math.h>

static const dr_metric *api_of(const dr_instance *m) { return m->iface; }

enum { K = 3, SIDE = 4 };

/* Normal rows in the metric's space, from a stream of their own: [n,3] or [n,1,4,4] */
static dr_tensor *rows_for(const dr_instance *m, int64_t n, uint32_t stream)
{
    const int64_t image[] = { n, 1, SIDE, SIDE }, row[] = { n, K };
    const bool pixels = api_of(m)->space == DR_SPACE_PIXELS;
    return noise(DR_F32, pixels ? 4 : 2, pixels ? image : row, stream);
}

static dr_instance *make(const char *name, int64_t real, uint32_t stream)
{
    dr_instance *m = dr_instance_new("metric", name, DR_NO_ARGS);
    assert_non_null(m);
    if (!real) return m;
    assert_int_equal(dr_metric_reference(m, rows_for(m, real, stream), DR_TEST), DR_OK);
    assert_int_equal(dr_metric_reference(m, rows_for(m, real, stream + 1), DR_TRAIN), DR_OK);
    return m;
}

static void every_metric_counts(void **state)
{
    (void)state;
    every("metric", 6, "counts samples, and its values are within its range");
}

static void every_metric_is_the_same_in_batches(void **state)
{
    (void)state;
    every("metric", 6, "is the same in batches");
    every("metric", 6, "the order of batches does not matter");
}

static void every_metric_has_an_interval(void **state)
{
    (void)state;
    every("metric", 6, "has an interval that shrinks with more samples");
}

/* Of a normal mean, the interval misses the true one about as often as it says, and evenly to both sides. */
static void intervals_miss_as_often_as_they_say(void **state)
{
    (void)state;
    enum { TRIALS = 600, N = 40 };
    const dr_resampling how = { .resamples = 200, .confidence = 0.9, .seed = 3 };
    int above = 0, below = 0;
    for (uint32_t trial = 0; trial < TRIALS; trial++) {
        double x[N];
        dr_metric_value v;
        dr_tensor *t = noise(DR_F64, DR_SHAPE(N), 1000 + trial);
        assert_int_equal(dr_tensor_read(t, DR_F64, x), DR_OK);
        assert_int_equal(dr_bootstrap_mean(x, N, &how, &v), DR_OK);
        above += v.low > 0.0, below += v.high < 0.0;
    }
    assert_in_range(above, TRIALS * 25 / 1000, TRIALS * 85 / 1000); /* 5% are meant; few samples give more */
    assert_in_range(below, TRIALS * 25 / 1000, TRIALS * 85 / 1000);
}

static void every_metric_evaluates_any_rows(void **state)
{
    (void)state;
    every("metric", 6, "evaluates any rows");
}

static void resampling_is_checked(void **state)
{
    (void)state;
    dr_metric_value v;
    const dr_resampling none = { .resamples = -1, .confidence = 0.9 }, all = { .resamples = 10, .confidence = 1.0 };
    assert_int_not_equal(dr_bootstrap_mean((double[]){ 1.0 }, 1, &none, &v), DR_OK);
    assert_error_has("resamples = -1");
    assert_int_not_equal(dr_bootstrap_mean((double[]){ 1.0 }, 1, &all, &v), DR_OK);
    assert_error_has("confidence = 1");
}

static void real_images_come_first(void **state)
{
    (void)state;
    dr_instance *m = make("frechet", 10, 1);
    assert_int_equal(dr_metric_update(m, rows_for(m, 10, 2), NULL), DR_OK);
    assert_int_not_equal(dr_metric_reference(m, rows_for(m, 10, 3), DR_TEST), DR_OK);
    assert_error_has("real images come before the samples");
    assert_int_not_equal(dr_metric_update(m, noise(DR_F32, DR_SHAPE(2, 9), 1), NULL), DR_OK);
    assert_error_has("rows of 9 numbers after rows of 3");
    dr_instance_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_metric_counts),
        cmocka_unit_test(every_metric_is_the_same_in_batches),
        cmocka_unit_test(every_metric_has_an_interval),
        cmocka_unit_test(intervals_miss_as_often_as_they_say),
        cmocka_unit_test(every_metric_evaluates_any_rows),
        cmocka_unit_test(resampling_is_checked),
        cmocka_unit_test(real_images_come_first),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
