/* save_bytes.c: what dr_save_* writes: the exact bytes of a small file, the same bytes whatever the order of calls,
 * every reference file rewritten byte for byte, and what it refuses. SHA-256 against the standard's own examples. */
#include <drift.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char *contents(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is not there", path);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*n + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *n, f), *n);
    fclose(f);
    bytes[*n] = 0;
    return bytes;
}

static void add_tensors(dr_save *s, bool reversed)
{
    for (int i = 0; i < 5; i++) {
        switch (reversed ? 4 - i : i) {
        case 0: assert_int_equal(dr_save_data(s, "u", DR_U8, 1, (int64_t[]){ 3 }, "abc"), DR_OK); break;
        case 1:
            assert_int_equal(dr_save_data(s, "w.b", DR_F32, 2, (int64_t[]){ 1, 2 }, (float[]){ 1, -2 }), DR_OK);
            break;
        case 2: assert_int_equal(dr_save_data(s, "n", DR_I64, 0, NULL, (int64_t[]){ -1 }), DR_OK); break;
        case 3: assert_int_equal(dr_save_data(s, "w.a", DR_F32, 2, (int64_t[]){ 0, 4 }, NULL), DR_OK); break;
        case 4:
            assert_int_equal(dr_save_data(s, "h", DR_BF16, 1, (int64_t[]){ 1 }, (uint16_t[]){ 0x3f80 }), DR_OK);
            break;
        }
    }
    assert_int_equal(dr_save_metadata(s, reversed ? "b" : "a", reversed ? "2 \"\xc3\xa9\"" : "1"), DR_OK);
    assert_int_equal(dr_save_metadata(s, reversed ? "a" : "b", reversed ? "1" : "2 \"\xc3\xa9\""), DR_OK);
}

static void exact_and_repeatable(void **state)
{
    (void)state;
    static const char header[] = "{\"__metadata__\":{\"a\":\"1\",\"b\":\"2 \\\"\xc3\xa9\\\"\"},"
                                 "\"n\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},\"w.a\":{\"dtype\":"
                                 "\"F32\",\"shape\":[0,4],\"data_offsets\":[8,8]},"
                                 "\"w.b\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[8,16]},\"h\":{\"dtype\":"
                                 "\"BF16\",\"shape\":[1],\"data_offsets\":[16,18]},"
                                 "\"u\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[18,21]}}";
    for (int reversed = 0; reversed < 2; reversed++) {
        dr_save *s = dr_save_begin();
        add_tensors(s, reversed);
        assert_int_equal(dr_save_commit(s, "small.safetensors"), DR_OK);
        size_t n;
        char *bytes = contents("small.safetensors", &n);
        const size_t padded = (sizeof header - 1 + 7) / 8 * 8;
        assert_int_equal(n, 8 + padded + 21);
        assert_int_equal((unsigned char)bytes[0] | (unsigned char)bytes[1] << 8, padded);
        assert_memory_equal(bytes + 2, "\0\0\0\0\0", 6);
        assert_memory_equal(bytes + 8, header, sizeof header - 1);
        for (size_t i = sizeof header - 1; i < padded; i++) assert_int_equal(bytes[8 + i], ' ');
        assert_memory_equal(bytes + 8 + padded,
                            "\xff\xff\xff\xff\xff\xff\xff\xff\0\0\x80\x3f\0\0\0\xc0\x80\x3f"
                            "abc",
                            21);
        free(bytes);
    }
    dr_save *s = dr_save_begin();
    assert_int_equal(dr_save_commit(s, "empty.safetensors"), DR_OK);
    size_t n;
    char *bytes = contents("empty.safetensors", &n);
    assert_int_equal(n, 16);
    assert_memory_equal(bytes, "\x08\0\0\0\0\0\0\0{}      ", 16);
    free(bytes);
}

/* The reference files were written by the same rules, so reading and writing gives them back. */
static void reference_files(void **state)
{
    (void)state;
    static const char *const names[] = { "ops/conv2d", "ops/mse", "cs180/cs180_class_time_D8", "cs180/optim_adam",
                                         "process/flow_train" };
    const char *folder = getenv("DRIFT_HOME");
    assert_non_null(folder);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/tests/fixtures/%s.safetensors", folder, names[k]);
        dr_file *f = dr_file_open(path);
        if (!f) fail_msg("%s", dr_error_message());
        dr_save *s = dr_save_begin();
        for (int64_t i = dr_file_count(f) - 1; i >= 0; i--) {
            const dr_file_entry *e = dr_file_at(f, i);
            assert_int_equal(dr_save_data(s, e->name, (dr_dtype)e->dtype, (int)e->rank, e->shape, e->data), DR_OK);
        }
        for (int64_t i = 0; i < dr_file_metadata_count(f); i++) {
            const char *key = dr_file_metadata_key(f, i);
            assert_int_equal(dr_save_metadata(s, key, dr_file_metadata(f, key)), DR_OK);
        }
        assert_int_equal(dr_save_commit(s, "again.safetensors"), DR_OK);
        char expect[65], got[65];
        assert_int_equal(dr_sha256_file(path, expect), DR_OK);
        assert_int_equal(dr_sha256_file("again.safetensors", got), DR_OK);
        assert_string_equal(got, expect);
        dr_file_close(f);
    }
}

/* After a refusal nothing is written, whatever else was asked. */
static void incomplete(dr_save *s, const char *message)
{
    assert_int_not_equal(dr_failed(), DR_OK);
    if (!strstr(dr_error_message(), message)) fail_msg("'%s' does not say '%s'", dr_error_message(), message);
    assert_int_not_equal(dr_save_data(s, "later", DR_U8, 1, (int64_t[]){ 1 }, "x"), DR_OK);
    dr_error_clear();
    assert_int_not_equal(dr_save_commit(s, "incomplete.safetensors"), DR_OK);
    assert_int_not_equal(access("incomplete.safetensors", F_OK), 0);
    dr_error_clear();
}

static void refusals(void **state)
{
    (void)state;
    dr_save *s = dr_save_begin();
    assert_int_equal(dr_save_data(s, "a", DR_U8, 1, (int64_t[]){ 1 }, "x"), DR_OK);
    assert_int_equal(dr_save_data(s, "a", DR_U8, 1, (int64_t[]){ 1 }, "x"), DR_EINVAL);
    incomplete(s, "tensor 'a' is given twice");
    s = dr_save_begin();
    assert_int_equal(dr_save_data(s, "__metadata__", DR_U8, 1, (int64_t[]){ 1 }, "x"), DR_EINVAL);
    incomplete(s, "'__metadata__' cannot have this name");
    s = dr_save_begin();
    assert_int_equal(dr_save_data(s, "a\xff", DR_U8, 1, (int64_t[]){ 1 }, "x"), DR_EINVAL);
    incomplete(s, "not UTF-8");
    s = dr_save_begin();
    assert_int_equal(dr_save_data(s, "a", (dr_dtype)99, 1, (int64_t[]){ 1 }, "x"), DR_EINVAL);
    incomplete(s, "dtype 99");
    s = dr_save_begin();
    assert_int_equal(dr_save_data(s, "wide", DR_U8, 2, (int64_t[]){ 1LL << 40, 1LL << 40 }, "x"), DR_ESHAPE);
    incomplete(s, "wide");
    s = dr_save_begin();
    assert_int_equal(dr_save_tensor(s, "lost", NULL), DR_EINVAL);
    incomplete(s, "lost");
    s = dr_save_begin();
    assert_int_equal(dr_save_metadata(s, "k", "1"), DR_OK);
    assert_int_equal(dr_save_metadata(s, "k", "2"), DR_EINVAL);
    incomplete(s, "'k' is given twice");
    s = dr_save_begin();
    assert_int_equal(dr_save_metadata(s, "k", "\xff"), DR_EINVAL);
    incomplete(s, "not UTF-8");
    dr_save_abandon(dr_save_begin());
    dr_save_abandon(NULL);
}

static void sha256_examples(void **state)
{
    (void)state;
    char hex[65];
    dr_sha256_hex("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    dr_sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    dr_sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, hex);
    assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *million = malloc(1000000);
    assert_non_null(million);
    memset(million, 'a', 1000000);
    dr_sha256_hex(million, 1000000, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert_int_equal(dr_write_file("million", million, 1000000), DR_OK);
    assert_int_equal(dr_sha256_file("million", hex), DR_OK);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    /* Lengths around a block's end, where the padding changes. */
    static const struct {
        size_t n;
        const char *hex;
    } a[] = { { 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318" },
              { 56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a" },
              { 63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34" },
              { 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb" },
              { 65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0" } };
    for (size_t i = 0; i < sizeof a / sizeof *a; i++) {
        dr_sha256_hex(million, a[i].n, hex);
        assert_string_equal(hex, a[i].hex);
    }
    free(million);
    assert_int_equal(dr_sha256_file("nowhere", hex), DR_ENOTFOUND);
    assert_non_null(strstr(dr_error_message(), "nowhere: cannot open"));
    dr_error_clear();
    assert_int_equal(dr_sha256_file(".", hex), DR_EIO);
    dr_error_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_and_repeatable),
        cmocka_unit_test(reference_files),
        cmocka_unit_test(refusals),
        cmocka_unit_test(sha256_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
