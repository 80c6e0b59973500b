/* safetensors_tensor.c: tensors out of files and into them: every dtype, as stored and converted, from odd addresses,
 * channels-last and transposed tensors written row-major, and what cannot be made. */
#include <drift.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int open_ref(void **state)
{
    (void)state;
    char path[4096];
    const char *plugins = getenv("DRIFT_PLUGIN_DIR");
    snprintf(path, sizeof path, "%s/backend_ref.so", plugins ? plugins : DRIFT_PLUGIN_DIR);
    if (dr_registry_open() != DR_OK || dr_plugin_load(path) != DR_OK) {
        print_error("%s\n", dr_error_message());
        return 1;
    }
    dr_device *ref = dr_device_open("ref", DR_NO_ARGS);
    dr_device_use(ref);
    return ref == NULL;
}

static int close_ref(void **state)
{
    (void)state;
    dr_device_close_all();
    dr_registry_close();
    return 0;
}

static void write_raw(const char *path, const char *header, const void *data, size_t n)
{
    const size_t h = strlen(header);
    char *file = malloc(8 + h + n);
    assert_non_null(file);
    for (int i = 0; i < 8; i++) file[i] = (char)(h >> (8 * i) & 0xff);
    memcpy(file + 8, header, h);
    memcpy(file + 8 + h, data, n);
    assert_int_equal(dr_write_file(path, file, 8 + h + n), DR_OK);
    free(file);
}

static dr_file *opened(const char *path)
{
    dr_file *f = dr_file_open(path);
    if (!f) fail_msg("%s", dr_error_message());
    return f;
}

static void every_dtype_there_and_back(void **state)
{
    (void)state;
    static const double values[] = { 0, 1, 1, 0, 1, 1 };
    const int64_t shape[] = { 2, 3 };
    dr_scope_open();
    dr_save *s = dr_save_begin();
    for (int d = 0; d < DR_DTYPE_COUNT; d++) {
        char raw[6 * 8];
        dr_convert((dr_dtype)d, raw, DR_F64, values, 6);
        assert_int_equal(dr_save_tensor(s, dr_dtype_name((dr_dtype)d), dr_tensor_from((dr_dtype)d, 2, shape, raw)),
                         DR_OK);
    }
    assert_int_equal(dr_save_commit(s, "dtypes.safetensors"), DR_OK);
    dr_file *f = opened("dtypes.safetensors");
    assert_int_equal(dr_file_count(f), DR_DTYPE_COUNT);
    for (int d = 0; d < DR_DTYPE_COUNT; d++) {
        for (int as = -1; as < DR_DTYPE_COUNT; as++) {
            dr_tensor *t = dr_file_tensor(f, dr_dtype_name((dr_dtype)d), as);
            assert_non_null(t);
            assert_int_equal(dr_tensor_view(t)->dtype, as < 0 ? d : as);
            assert_int_equal(dr_tensor_view(t)->rank, 2);
            double got[6];
            assert_int_equal(dr_tensor_read(t, DR_F64, got), DR_OK);
            assert_memory_equal(got, values, sizeof got);
        }
    }
    dr_file_close(f);
    dr_scope_close();
}

static void from_odd_addresses(void **state)
{
    (void)state;
    const double pi = 3.25;
    char data[1 + 8 + 2 + 2 + 4];
    data[0] = 5;
    memcpy(data + 1, &pi, 8);
    memcpy(data + 9, (int16_t[]){ -300 }, 2);
    memcpy(data + 11, (uint16_t[]){ 65535 }, 2);
    memcpy(data + 13, (uint32_t[]){ 4294967295u }, 4);
    write_raw("odd.safetensors",
              "{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]},\"b\":{\"dtype\":\"F64\",\"shape\":[],"
              "\"data_offsets\":[1,9]},"
              "\"c\":{\"dtype\":\"I16\",\"shape\":[1],\"data_offsets\":[9,11]},\"d\":{\"dtype\":\"U16\",\"shape\":[1],"
              "\"data_offsets\":[11,13]},"
              "\"e\":{\"dtype\":\"U32\",\"shape\":[1],\"data_offsets\":[13,17]}}",
              data, sizeof data);
    static const double expect[] = { 5, 3.25, -300, 65535, 4294967295.0 };
    dr_file *f = opened("odd.safetensors");
    dr_scope_open();
    for (int i = 0; i < 5; i++) {
        const char name[] = { (char)('a' + i), 0 };
        dr_tensor *t = dr_file_tensor(f, name, DR_F64);
        assert_true(dr_tensor_item(t) == expect[i]);
        if (i == 1) continue;
        assert_null(dr_file_tensor(f, name, -1));
        assert_int_equal(dr_failed(), DR_EUNSUPPORTED);
        assert_non_null(strstr(dr_error_message(), "name a dtype to convert it to"));
        dr_error_clear();
    }
    dr_scope_close();
    dr_file_close(f);
}

static void any_memory_order(void **state)
{
    (void)state;
    enum { N = 2 * 3 * 4 * 5 };
    float values[N], got[N];
    for (int i = 0; i < N; i++) values[i] = (float)i;
    const int64_t shape[] = { 2, 3, 4, 5 }, dims[] = { 3, 1, 0, 2 };
    dr_scope_open();
    dr_tensor *row = dr_tensor_from(DR_F32, 4, shape, values);
    dr_tensor *last = dr_contiguous(row, DR_LAYOUT_CL);
    assert_false(dr_view_is(dr_tensor_view(last), DR_LAYOUT_ROW));
    dr_save *s = dr_save_begin();
    assert_int_equal(dr_save_tensor(s, "row", row), DR_OK);
    assert_int_equal(dr_save_tensor(s, "last", last), DR_OK);
    assert_int_equal(dr_save_tensor(s, "permuted", dr_permute(last, 4, dims)), DR_OK);
    assert_int_equal(dr_save_tensor(s, "slice", dr_slice(row, 3, 1, 2)), DR_OK);
    assert_int_equal(dr_save_commit(s, "order.safetensors"), DR_OK);
    dr_file *f = opened("order.safetensors");
    assert_memory_equal(dr_file_find(f, "row")->data, values, sizeof values);
    assert_memory_equal(dr_file_find(f, "last")->data, values, sizeof values);
    assert_int_equal(dr_file_find(f, "permuted")->shape[0], 5);
    assert_int_equal(dr_file_find(f, "permuted")->shape[3], 4);
    const float *permuted = dr_file_find(f, "permuted")->data, *slice = dr_file_find(f, "slice")->data;
    assert_true(permuted[1] == 5.0f); /* [0,0,0,1] of the permuted is [0,0,1,0] of the original */
    assert_true(slice[0] == 1.0f && slice[1] == 2.0f && slice[2] == 6.0f);
    assert_int_equal(dr_tensor_read(dr_file_tensor(f, "last", -1), DR_F32, got), DR_OK);
    assert_memory_equal(got, values, sizeof values);
    dr_file_close(f);
    dr_scope_close();
}

static void what_cannot_be_made(void **state)
{
    (void)state;
    write_raw("many.safetensors",
              "{\"f8\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]},\"six\":{\"dtype\":\"U8\","
              "\"shape\":[1,1,1,1,1,1],\"data_offsets\":[1,2]},"
              "\"none\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[2,2]}}",
              "\1\2", 2);
    dr_file *f = opened("many.safetensors"); /* six axes are no reason not to open it */
    static const struct {
        const char *name;
        int as;
        dr_status status;
        const char *message;
    } bad[] = { { "f8", DR_F32, DR_EUNSUPPORTED, "many.safetensors: tensor 'f8' is F8_E4M3" },
                { "six", -1, DR_EUNSUPPORTED, "tensor 'six' has 6 dimensions, tensors have at most 5" },
                { "lost", -1, DR_ENOTFOUND, "many.safetensors: has no tensor 'lost'" } };
    dr_scope_open();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(dr_file_tensor(f, bad[i].name, bad[i].as));
        assert_int_equal(dr_failed(), bad[i].status);
        assert_non_null(strstr(dr_error_message(), bad[i].message));
        dr_error_clear();
    }
    dr_tensor *none = dr_file_tensor(f, "none", DR_BF16);
    assert_non_null(none);
    assert_int_equal(dr_tensor_view(none)->shape[0], 3);
    assert_int_equal(dr_tensor_view(none)->shape[1], 0);
    dr_scope_close();
    dr_file_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dtype_there_and_back),
        cmocka_unit_test(from_odd_addresses),
        cmocka_unit_test(any_memory_order),
        cmocka_unit_test(what_cannot_be_made),
    };
    return cmocka_run_group_tests(tests, open_ref, close_ref);
}
