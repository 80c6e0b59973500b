/* Every metric: says that it has seen nothing before it has, counts samples however they are batched, starts again
 * after reset, evaluates any rows, and has an interval that holds its value and shrinks with more samples. What each
 * one's values are is in metric_values.c. */
#include "walk.h"

#include <math.h>

static const dr_metric *api_of(const dr_instance *m) { return m->iface; }

enum { K = 3, SIDE = 4, ROWS = 24 };

/* Normal rows in the metric's space, from a stream of their own: [n,3] or [n,1,4,4] */
static dr_tensor *rows_for(const dr_instance *m, int64_t n, uint32_t stream)
{
    const int64_t image[] = { n, 1, SIDE, SIDE }, row[] = { n, K };
    const bool pixels = api_of(m)->space == DR_SPACE_PIXELS;
    return noise(DR_F32, pixels ? 4 : 2, pixels ? image : row, stream);
}

static dr_tensor *labels_for(int64_t n)
{
    int32_t *label = calloc((size_t)n, sizeof *label);
    for (int64_t i = 0; i < n; i++) label[i] = (int32_t)(i % K);
    dr_tensor *t = dr_tensor_from(DR_I32, 1, &n, label);
    free(label);
    return t;
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

static void result(dr_instance *m, uint64_t seed, dr_metric_value *out)
{
    const dr_resampling how = { .resamples = 100, .confidence = 0.9, .seed = seed };
    assert_int_equal(dr_metric_result(m, &how, out), DR_OK);
}

static double value_of(dr_instance *m, int k)
{
    dr_metric_value out[DR_METRIC_VALUES];
    const dr_resampling how = { .resamples = 0, .confidence = 0.95 };
    if (dr_metric_result(m, &how, out) != DR_OK) fail_msg("metric %s: %s", m->component->name, dr_error_message());
    assert_true(isnan(out[k].low) && isnan(out[k].high));
    return out[k].value;
}

static void check_counts(const dr_component *c)
{
    dr_metric_value out[DR_METRIC_VALUES];
    dr_instance *m = make(c->name, ROWS, 1);
    assert_true(dr_metric_values(m) >= 1 && dr_metric_values(m) <= DR_METRIC_VALUES);
    assert_int_equal(dr_metric_samples(m), 0);
    result(m, 0, out);
    for (int k = 0; k < dr_metric_values(m); k++) {
        assert_true(isnan(out[k].value) && isnan(out[k].low) && isnan(out[k].high));
        assert_non_null(out[k].name);
    }
    assert_int_equal(dr_metric_update(m, rows_for(m, ROWS, 3), labels_for(ROWS)), DR_OK);
    assert_int_equal(dr_metric_samples(m), ROWS);
    result(m, 0, out);
    for (int k = 0; k < dr_metric_values(m); k++) assert_true(isfinite(out[k].value));
    assert_int_equal(dr_metric_reset(m), DR_OK);
    assert_int_equal(dr_metric_samples(m), 0);
    if (api_of(m)->references) {
        assert_int_equal(dr_metric_update(m, rows_for(m, ROWS, 3), labels_for(ROWS)), DR_OK);
        const dr_resampling how = { .resamples = 0, .confidence = 0.95 };
        assert_int_not_equal(dr_metric_result(m, &how, out), DR_OK); /* reset forgot the real images */
        assert_error_has("real images");
    }
    dr_instance_free(m);
}

static void every_metric_counts(void **state)
{
    (void)state;
    for_each("metric", 6, check_counts);
}

static void check_batches(const dr_component *c)
{
    dr_instance *whole = make(c->name, ROWS, 1), *parts = make(c->name, 0, 0);
    for (int i = 0; i < 2 && api_of(parts)->references; i++) {
        const dr_split split = i ? DR_TRAIN : DR_TEST;
        dr_tensor *real = rows_for(parts, ROWS, i ? 2 : 1);
        assert_int_equal(dr_metric_reference(parts, dr_slice(real, 0, 0, 5), split), DR_OK);
        assert_int_equal(dr_metric_reference(parts, dr_slice(real, 0, 5, ROWS - 5), split), DR_OK);
    }
    dr_tensor *rows = rows_for(whole, ROWS, 3), *labels = labels_for(ROWS);
    assert_int_equal(dr_metric_update(whole, rows, labels), DR_OK);
    for (int64_t i = 0; i < ROWS; i += 8) {
        assert_int_equal(dr_metric_update(parts, dr_slice(rows, 0, i, 8), dr_slice(labels, 0, i, 8)), DR_OK);
        value_of(parts, 0); /* an evaluation in between changes nothing */
    }
    for (int k = 0; k < dr_metric_values(whole); k++) {
        const double a = value_of(whole, k), b = value_of(parts, k);
        if (fabs(a - b) > 1e-12 * fmax(1.0, fabs(a))) fail_msg("metric %s: %.17g whole, %.17g in parts", c->name, a, b);
    }
    dr_instance_free(whole);
    dr_instance_free(parts);
}

static void every_metric_is_the_same_in_batches(void **state)
{
    (void)state;
    for_each("metric", 6, check_batches);
}

/* ---- intervals --------------------------------------------------------------------------------------------------- */

static double width_at(const dr_component *c, int64_t n)
{
    dr_metric_value out[DR_METRIC_VALUES], again[DR_METRIC_VALUES], other[DR_METRIC_VALUES];
    double width = 0.0;
    dr_instance *m = make(c->name, 200, 1);
    assert_int_equal(dr_metric_update(m, dr_scale(1.2, rows_for(m, n, 3)), labels_for(n)), DR_OK);
    result(m, 7, out);
    result(m, 7, again);
    result(m, 8, other);
    bool differs = false;
    for (int k = 0; k < dr_metric_values(m); k++) {
        if (!(out[k].low <= out[k].value && out[k].value <= out[k].high)) {
            fail_msg("metric %s: %s = %g is outside [%g, %g]", c->name, out[k].name, out[k].value, out[k].low,
                     out[k].high);
        }
        assert_true(out[k].low == again[k].low && out[k].high == again[k].high);
        differs = differs || out[k].low != other[k].low || out[k].high != other[k].high;
        width += out[k].high - out[k].low;
    }
    assert_true(differs);
    dr_instance_free(m);
    return width;
}

static void check_interval(const dr_component *c)
{
    const double few = width_at(c, 60), many = width_at(c, 960);
    if (!(many > 0.0 && many < 0.6 * few))
        fail_msg("metric %s: intervals of width %g at 60, %g at 960", c->name, few, many);
}

static void every_metric_has_an_interval(void **state)
{
    (void)state;
    for_each("metric", 6, check_interval);
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

/* Rows are what is evaluated: in any order, and without the samples that they do not name. */
static void check_rows(const dr_component *c)
{
    double whole[DR_METRIC_VALUES], turned[DR_METRIC_VALUES], some[DR_METRIC_VALUES];
    int64_t rows[ROWS];
    dr_instance *m = make(c->name, ROWS, 1);
    assert_int_equal(dr_metric_update(m, rows_for(m, ROWS, 3), labels_for(ROWS)), DR_OK);
    for (int64_t i = 0; i < ROWS; i++) rows[i] = i;
    assert_int_equal(api_of(m)->evaluate(m->self, rows, ROWS, whole), DR_OK);
    for (int64_t i = 0; i < ROWS; i++) rows[i] = ROWS - 1 - i;
    assert_int_equal(api_of(m)->evaluate(m->self, rows, ROWS, turned), DR_OK);
    assert_int_equal(api_of(m)->evaluate(m->self, rows, 11, some), DR_OK);
    bool differs = false;
    for (int k = 0; k < dr_metric_values(m); k++) {
        assert_true(fabs(whole[k] - turned[k]) <= 1e-12 * fmax(1.0, fabs(whole[k])));
        differs = differs || fabs(whole[k] - some[k]) > 1e-6;
    }
    assert_true(differs);
    dr_instance_free(m);
}

static void every_metric_evaluates_any_rows(void **state)
{
    (void)state;
    for_each("metric", 6, check_rows);
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
