/* What is refused before any kernel runs: inputs on two devices, and writing in place where memory has holes (a copy
 * would be written, and lost). */
#include "../host.h"

static void inputs_on_two_devices_are_refused(void **state)
{
    (void)state;
    dr_device *ref = dr_device_current(), *cpu = dr_device_open("cpu", DR_NO_ARGS);
    assert_non_null(cpu);
    dr_tensor *a = dr_tensor_full(DR_F32, DR_SHAPE(2), 1.0);
    dr_device_use(cpu);
    dr_tensor *b = dr_tensor_full(DR_F32, DR_SHAPE(2), 1.0);
    dr_device_use(ref);
    assert_null(dr_add(a, b));
    assert_error_has("add: inputs are on ref and on cpu; move one with :to()");
}

static void writing_into_a_view_with_holes_is_refused(void **state)
{
    (void)state;
    float values[6];
    dr_tensor *whole = dr_tensor_full(DR_F32, DR_SHAPE(2, 3), 1.0);
    dr_tensor *column = dr_reshape(dr_slice(whole, 1, 0, 1), DR_SHAPE(2)); /* every third value */
    dr_tensor *in[] = { column, dr_tensor_full(DR_F32, DR_SHAPE(2), 1.0), dr_tensor_full(DR_F32, DR_SHAPE(2), 5.0),
                        dr_tensor_full(DR_F32, DR_SHAPE(2), 5.0) };
    const dr_batch_norm_update_attr attr = { .momentum = 0.1, .count = 8 };
    assert_int_not_equal(dr_apply("batch_norm_update", in, 4, &attr, NULL), DR_OK);
    assert_error_has("batch_norm_update: writes in place and needs dense memory, got a strided view f32[2]");
    assert_int_equal(dr_tensor_read(whole, DR_F32, values), DR_OK);
    for (int i = 0; i < 6; i++) assert_true(values[i] == 1.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_on_two_devices_are_refused),
        cmocka_unit_test(writing_into_a_view_with_holes_is_refused),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
