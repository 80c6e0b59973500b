/* A number that is read later is that of the moment when it was asked for, whatever happens to the tensor meanwhile;
 * each reading is given back once; a device without a queue is read at once. The device is ref with readings of its
 * own. */
#include "../host.h"
#include "tensor.h"

#include <math.h>

enum { READINGS = 64 };

static struct cell {
    uint64_t raw[8];
    bool used;
} cell[READINGS];
static int begun, ended, waited; /* waited: ended with somewhere to put it */
static bool fails;

static void *read_begin(void *self, const void *from, size_t bytes)
{
    (void)self;
    assert_true(bytes <= sizeof cell[0].raw);
    struct cell *c = &cell[begun++];
    memcpy(c->raw, from, bytes);
    c->used = true;
    return c;
}

static dr_status read_end(void *self, void *reading, void *to)
{
    struct cell *c = reading;
    (void)self;
    assert_true(c->used);
    c->used = false;
    ended++;
    if (!to) return DR_OK;
    waited++;
    if (fails) return dr_fail(DR_EINVAL, "embedding: id 9 is outside 0..3");
    memcpy(to, c->raw, sizeof c->raw);
    return DR_OK;
}

static int open_with_queue(void **state)
{
    if (open_ref(state) != 0) return -1;
    dr_backend *b = &dr_device_current()->api_read;
    b->read_begin = read_begin;
    b->read_end = read_end;
    begun = ended = waited = 0;
    fails = false;
    return 0;
}

static void numbers_are_those_of_when_they_were_asked_for(void **state)
{
    (void)state;
    dr_reading *r[3];
    dr_tensor *t = dr_tensor_full(DR_F32, 0, NULL, 0.0);
    for (int i = 0; i < 3; i++) {
        dr_fill(t, 0.1 + i);
        r[i] = dr_read_later(t);
        assert_non_null(r[i]);
        assert_false(dr_read_is_there(r[i]));
    }
    dr_fill(t, 9.0);
    for (int i = 2; i >= 0; i--) {
        assert_true(dr_read_now(r[i]) == (double)(0.1f + (float)i));
        assert_true(dr_read_is_there(r[i]));
        assert_true(dr_read_now(r[i]) == (double)(0.1f + (float)i)); /* once more */
        dr_reading_free(r[i]);
    }
    assert_int_equal(ended, 3);
    const int32_t seven = 7;
    const dr_dtype types[] = { DR_I32, DR_F64, DR_BF16 };
    for (int i = 0; i < 3; i++) {
        r[0] = dr_read_later(dr_cast(dr_tensor_from(DR_I32, 0, NULL, &seven), types[i]));
        assert_true(dr_read_now(r[0]) == 7.0);
        dr_reading_free(r[0]);
    }
}

static void what_nobody_reads_is_given_back(void **state)
{
    (void)state;
    dr_reading_free(dr_read_later(dr_tensor_full(DR_F32, 0, NULL, 1.0)));
    dr_reading_free(NULL);
    assert_int_equal(begun, 1);
    assert_int_equal(ended, 1);
    assert_int_equal(waited, 0);
}

static void what_went_wrong_meanwhile_is_told(void **state)
{
    (void)state;
    dr_reading *r = dr_read_later(dr_tensor_full(DR_F32, 0, NULL, 1.0));
    fails = true;
    assert_true(isnan(dr_read_now(r)));
    assert_error_has("embedding: id 9 is outside 0..3");
    assert_true(isnan(dr_read_now(r)));
    dr_reading_free(r);
    assert_int_equal(ended, 1);
    assert_null(dr_read_later(dr_tensor_full(DR_F32, DR_SHAPE(2), 1.0)));
    assert_error_has("has 2 elements, not one");
    assert_null(dr_read_later(NULL));
}

static void a_device_without_a_queue_is_read_at_once(void **state)
{
    (void)state;
    begun = 0;
    dr_tensor *t = dr_tensor_full(DR_F32, 0, NULL, 4.0);
    dr_reading *r = dr_read_later(t);
    assert_true(dr_read_is_there(r));
    dr_fill(t, 5.0);
    assert_true(dr_read_now(r) == 4.0);
    dr_reading_free(r);
    assert_int_equal(begun, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_are_those_of_when_they_were_asked_for, open_with_queue, close_all),
        cmocka_unit_test_setup_teardown(what_nobody_reads_is_given_back, open_with_queue, close_all),
        cmocka_unit_test_setup_teardown(what_went_wrong_meanwhile_is_told, open_with_queue, close_all),
        cmocka_unit_test_setup_teardown(a_device_without_a_queue_is_read_at_once, open_ref, close_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
