/* Tensors come back as they were written, in any memory order; scopes give back exactly what was not kept; sizes that
 * cannot be are refused. On the reference backend. */
#include "drift.h"
#include "../host.h"

static void row_major_in_row_major_out(void **state)
{
    (void)state;
    const float v[6] = { 1, 2, 3, 4, 5, 6 };
    float back[6];
    dr_tensor *t = dr_tensor_from(DR_F32, DR_SHAPE(2, 3), v);
    assert_int_equal(dr_tensor_read(t, DR_F32, back), DR_OK);
    assert_memory_equal(v, back, sizeof v);
}

static void channels_last_memory_keeps_the_logical_order(void **state)
{
    (void)state;
    float v[2 * 3 * 2 * 2], back[2 * 3 * 2 * 2];
    for (int i = 0; i < 24; i++) v[i] = (float)i;
    dr_tensor *t = dr_tensor_new(DR_F32, DR_SHAPE(2, 3, 2, 2), DR_LAYOUT_CL);
    assert_int_equal(dr_tensor_view(t)->stride[1], 1);
    assert_int_equal(dr_tensor_write(t, DR_F32, v), DR_OK);
    const float *memory = dr_tensor_view(t)->data; /* ref's memory is the host's */
    assert_true(memory[1] == v[4]);                /* the next channel of the first pixel */
    assert_int_equal(dr_tensor_read(t, DR_F32, back), DR_OK);
    assert_memory_equal(v, back, sizeof v);
}

static void reading_converts(void **state)
{
    (void)state;
    const int32_t v[3] = { -1, 0, 70000 };
    double back[3];
    dr_tensor *t = dr_tensor_from(DR_I32, DR_SHAPE(3), v);
    assert_int_equal(dr_tensor_read(t, DR_F64, back), DR_OK);
    for (int i = 0; i < 3; i++) assert_true(back[i] == v[i]);
}

static void a_scope_gives_back_what_was_not_kept(void **state)
{
    (void)state;
    size_t before, inside, after, last;
    dr_device_memory(dr_device_current(), &before, NULL, NULL);
    dr_scope_open();
    dr_tensor *kept = dr_keep(dr_tensor_full(DR_F32, DR_SHAPE(1000), 1.0));
    for (int i = 0; i < 50; i++) dr_tensor_full(DR_F32, DR_SHAPE(1000), i);
    dr_device_memory(dr_device_current(), &inside, NULL, NULL);
    dr_scope_close();
    dr_device_memory(dr_device_current(), &after, NULL, NULL);
    assert_true(inside >= before + 51 * 4000);
    assert_true(after >= before + 4000 && after < before + 8000);
    dr_release(kept);
    dr_device_memory(dr_device_current(), &last, NULL, NULL);
    assert_int_equal(last, before);
}

static void an_escaped_tensor_lives_one_scope_longer(void **state)
{
    (void)state;
    size_t before, after;
    dr_device_memory(dr_device_current(), &before, NULL, NULL);
    dr_scope_open();
    dr_scope_open();
    dr_tensor *t = dr_escape(dr_tensor_full(DR_F32, DR_SHAPE(1), 7.0));
    dr_scope_close();
    assert_true(dr_tensor_item(t) == 7.0);
    dr_scope_close();
    dr_device_memory(dr_device_current(), &after, NULL, NULL);
    assert_int_equal(before, after);
}

/* A forward that returns its input: escaping does not take the input from a scope further out. */
static void escaping_what_an_outer_scope_holds_changes_nothing(void **state)
{
    (void)state;
    size_t held, after;
    dr_scope_open();
    dr_tensor *t = dr_tensor_full(DR_F32, DR_SHAPE(1000), 7.0);
    dr_device_memory(dr_device_current(), &held, NULL, NULL);
    dr_scope_open();
    dr_scope_open();
    assert_ptr_equal(dr_escape(t), t);
    dr_scope_close();
    dr_scope_close();
    dr_device_memory(dr_device_current(), &after, NULL, NULL);
    assert_int_equal(after, held);
    dr_scope_close();
}

static void a_size_that_overflows_is_refused(void **state)
{
    (void)state;
    assert_null(dr_tensor_new(DR_F32, DR_SHAPE((int64_t)1 << 40, (int64_t)1 << 40), DR_LAYOUT_ROW));
    assert_error_has("too large");
    assert_null(dr_tensor_new(DR_F32, DR_SHAPE(3, -1), DR_LAYOUT_ROW));
    assert_error_has("dimension 1 is -1");
    int64_t n;
    assert_true(dr_checked_size("x", DR_F64, DR_SHAPE(0, 1000), &n, NULL)); /* nothing in it */
    assert_int_equal(n, 0);
    assert_false(dr_checked_size("x", DR_F64, DR_SHAPE(0, (int64_t)1 << 60), &n, NULL)); /* its strides would be */
    assert_error_has("too large");
}

static void the_first_error_stays_and_stops_what_follows(void **state)
{
    (void)state;
    dr_error_push("unet.down1.conv");
    dr_fail(DR_ESHAPE, "first %d", 1);
    dr_error_pop();
    dr_fail(DR_EINVAL, "second");
    assert_null(dr_tensor_full(DR_F32, DR_SHAPE(1), 0.0));
    assert_string_equal(dr_error_message(), "unet.down1.conv: first 1");
    assert_int_equal(dr_failed(), DR_ESHAPE);
    dr_error_clear();
    assert_non_null(dr_tensor_full(DR_F32, DR_SHAPE(1), 0.0));
}

static size_t reserved_after(int64_t mebibytes) /* a tensor of that size has come and gone */
{
    size_t reserved;
    dr_scope_open();
    assert_non_null(dr_tensor_new(DR_U8, DR_SHAPE(mebibytes << 20), DR_LAYOUT_ROW));
    dr_scope_close();
    dr_device_memory(dr_device_current(), NULL, NULL, &reserved);
    return reserved >> 20;
}

/* Free memory is kept for the next tensor of its size; what fits nothing does not pile up beside it. */
static void free_memory_is_no_more_than_was_once_needed(void **state)
{
    (void)state;
    const size_t of_24 = reserved_after(24);
    assert_true(of_24 >= 24);
    assert_int_equal(reserved_after(24), of_24);
    assert_true(reserved_after(10) <= of_24);
    const size_t of_40 = reserved_after(40);
    assert_true(of_40 >= 40 && of_40 < 40 + 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_major_in_row_major_out),
        cmocka_unit_test(channels_last_memory_keeps_the_logical_order),
        cmocka_unit_test(reading_converts),
        cmocka_unit_test(a_scope_gives_back_what_was_not_kept),
        cmocka_unit_test(an_escaped_tensor_lives_one_scope_longer),
        cmocka_unit_test(escaping_what_an_outer_scope_holds_changes_nothing),
        cmocka_unit_test(a_size_that_overflows_is_refused),
        cmocka_unit_test(the_first_error_stays_and_stops_what_follows),
        cmocka_unit_test(free_memory_is_no_more_than_was_once_needed),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
