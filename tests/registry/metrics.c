/* Every metric: says that it has seen nothing before it has, counts samples, and starts again after reset. The class
 * accuracy is the share of right rows, however they are batched. */
#include "walk.h"

#include <math.h>

static const dr_metric *api_of(const dr_instance *m) { return m->iface; }

static int64_t samples_of(dr_instance *m, double *value)
{
    int64_t samples = -1;
    assert_int_equal(api_of(m)->result(m->self, value, &samples), DR_OK);
    return samples;
}

static dr_tensor *logits(void) /* argmax 2, 0, 1, 1 */
{
    return dr_tensor_from(DR_F32, DR_SHAPE(4, 3), (float[]){ 0, 1, 2, 5, -1, 3, -9, -1, -2, 0, 4, 3 });
}

static dr_tensor *labels(void) { return dr_tensor_from(DR_I32, DR_SHAPE(4), (int32_t[]){ 2, 0, 0, 1 }); }

static void check_counts(const dr_component *c)
{
    double value = 0.0;
    dr_instance *m = dr_instance_new("metric", c->name, DR_NO_ARGS);
    assert_int_equal(samples_of(m, &value), 0);
    assert_true(isnan(value));
    assert_int_equal(api_of(m)->update(m->self, logits(), labels()), DR_OK);
    assert_int_equal(samples_of(m, &value), 4);
    assert_true(isfinite(value));
    assert_int_equal(api_of(m)->reset(m->self), DR_OK);
    assert_int_equal(samples_of(m, &value), 0);
    dr_instance_free(m);
}

static void every_metric_counts(void **state)
{
    (void)state;
    for_each("metric", 1, check_counts);
}

static void class_accuracy_is_the_share_of_right_rows(void **state)
{
    (void)state;
    double whole, parts;
    dr_instance *m = dr_instance_new("metric", "class_accuracy", DR_NO_ARGS);
    api_of(m)->update(m->self, logits(), labels());
    assert_int_equal(samples_of(m, &whole), 4);
    assert_true(whole == 0.75);
    api_of(m)->reset(m->self);
    api_of(m)->update(m->self, dr_slice(logits(), 0, 0, 3), dr_slice(labels(), 0, 0, 3));
    api_of(m)->update(m->self, dr_slice(logits(), 0, 3, 1), dr_slice(labels(), 0, 3, 1));
    assert_int_equal(samples_of(m, &parts), 4);
    assert_true(parts == whole);
    assert_int_not_equal(api_of(m)->update(m->self, logits(), dr_slice(labels(), 0, 0, 3)), DR_OK);
    assert_error_has("logits [B,K] and labels [B]");
    dr_instance_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_metric_counts),
        cmocka_unit_test(class_accuracy_is_the_share_of_right_rows),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
