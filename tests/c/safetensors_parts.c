/* safetensors_parts.c: parts of tensors, as plugins read them: shapes, ranges of elements, conversion, and what is
 * refused instead of being read past its end. */
#include "../host.h"

static const int64_t SHAPE[] = { 2, 3 };

static dr_file *small_file(void)
{
    static const float x[] = { 0, 1, 2, 3, 4, 5 };
    static const int64_t label[] = { 7, -1 };
    dr_save *s = dr_save_begin();
    dr_save_data(s, "x", DR_F32, 2, SHAPE, x);
    dr_save_data(s, "label", DR_I64, 1, SHAPE, label);
    dr_save_data(s, "one", DR_F32, 0, NULL, &x[3]);
    dr_save_metadata(s, "made", "here");
    assert_int_equal(dr_save_commit(s, "parts.safetensors"), DR_OK);
    dr_file *f = dr_file_open("parts.safetensors");
    assert_non_null(f);
    return f;
}

static void shapes_are_those_of_the_header(void **state)
{
    (void)state;
    dr_file *f = small_file();
    int32_t dtype = -5, rank = -5;
    int64_t shape[8] = { 0 };
    assert_true(dr_file_shape(f, "x", &dtype, &rank, shape));
    assert_int_equal(dtype, DR_F32);
    assert_int_equal(rank, 2);
    assert_memory_equal(shape, SHAPE, sizeof SHAPE);
    assert_true(dr_file_shape(f, "one", &dtype, &rank, shape));
    assert_int_equal(rank, 0);
    assert_false(dr_file_shape(f, "y", &dtype, &rank, shape));
    assert_false(dr_file_shape(NULL, "x", &dtype, &rank, shape));
    assert_int_equal(dr_failed(), DR_OK);
    assert_string_equal(dr_file_metadata(f, "made"), "here");
    dr_file_close(f);
    dr_file_close(NULL);
}

static void ranges_are_read_and_converted(void **state)
{
    (void)state;
    dr_file *f = small_file();
    float x[3] = { -1, -1, -1 };
    int32_t i[6];
    double label;
    assert_int_equal(dr_file_read(f, "x", 3, 2, DR_F32, x), DR_OK);
    assert_true(x[0] == 3 && x[1] == 4 && x[2] == -1);
    assert_int_equal(dr_file_read(f, "x", 0, 6, DR_I32, i), DR_OK);
    for (int k = 0; k < 6; k++) assert_int_equal(i[k], k);
    assert_int_equal(dr_file_read(f, "label", 1, 1, DR_F64, &label), DR_OK);
    assert_true(label == -1);
    assert_int_equal(dr_file_read(f, "one", 0, 1, DR_F32, x), DR_OK);
    assert_true(x[0] == 3);
    assert_int_equal(dr_file_read(f, "x", 6, 0, DR_F32, x), DR_OK); /* nothing, at the end */
    dr_file_close(f);
}

static void ranges_outside_are_refused(void **state)
{
    (void)state;
    static const int64_t bad[][2] = { { -1, 1 }, { 0, 7 }, { 6, 1 }, { 7, 0 },
                                      { 0, -1 }, { 1, INT64_MAX }, { INT64_MAX, 1 } };
    dr_file *f = small_file();
    float x[8];
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        assert_int_equal(dr_file_read(f, "x", bad[k][0], bad[k][1], DR_F32, x), DR_EINVAL);
        assert_error_has("parts.safetensors: tensor 'x' has 6 elements, not ");
    }
    assert_int_equal(dr_file_read(f, "y", 0, 1, DR_F32, x), DR_ENOTFOUND);
    assert_error_has("parts.safetensors: has no tensor 'y'");
    dr_file_close(f);
}

static void types_without_a_tensor_are_refused(void **state)
{
    (void)state;
    static const char header[] = "{\"a\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,4]}}";
    char file[8 + sizeof header - 1 + 4] = { (char)(sizeof header - 1) };
    memcpy(file + 8, header, sizeof header - 1);
    assert_int_equal(dr_write_file("narrow.safetensors", file, sizeof file), DR_OK);
    dr_file *f = dr_file_open("narrow.safetensors");
    int32_t dtype, rank;
    int64_t shape[8];
    float x[4];
    assert_true(dr_file_shape(f, "a", &dtype, &rank, shape));
    assert_int_equal(dtype, -1);
    assert_int_equal(dr_file_read(f, "a", 0, 4, DR_F32, x), DR_EUNSUPPORTED);
    assert_error_has("narrow.safetensors: tensor 'a' is I8, which cannot be read in parts");
    dr_file_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_those_of_the_header),
        cmocka_unit_test(ranges_are_read_and_converted),
        cmocka_unit_test(ranges_outside_are_refused),
        cmocka_unit_test(types_without_a_tensor_are_refused),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
