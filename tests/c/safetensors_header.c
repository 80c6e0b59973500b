/* safetensors_header.c: what the reader takes and what it refuses, with the message that it gives. Beside the files of
 * tests/fixtures/bad_safetensors (which tests/parity walks): limits, JSON's corners, and every way to cut or change one
 * byte of a file, none of which may crash or read outside of the file. */
#include <drift.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static const char *const path = "case.safetensors";

static void write_bytes(const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* A file with this header, as it is, and n bytes of data 0, 1, 2, ... */
static void write_case(const char *header, size_t n)
{
    const size_t h = strlen(header);
    unsigned char *file = malloc(8 + h + n);
    assert_non_null(file);
    for (int i = 0; i < 8; i++) file[i] = (unsigned char)(h >> (8 * i));
    memcpy(file + 8, header, h);
    for (size_t i = 0; i < n; i++) file[8 + h + i] = (unsigned char)i;
    write_bytes(file, 8 + h + n);
    free(file);
}

static dr_file *accepted(const char *header, size_t n)
{
    write_case(header, n);
    dr_file *f = dr_file_open(path);
    if (!f) fail_msg("%s: refused: %s", header, dr_error_message());
    return f;
}

static void refused(const char *header, size_t n, dr_status status, const char *message)
{
    write_case(header, n);
    dr_file *f = dr_file_open(path);
    if (f) fail_msg("%s: accepted", header);
    assert_int_equal(dr_failed(), status);
    if (!strstr(dr_error_message(), path)) fail_msg("'%s' does not name the file", dr_error_message());
    if (!strstr(dr_error_message(), message))
        fail_msg("%s: '%s' does not say '%s'", header, dr_error_message(), message);
    dr_error_clear();
}

/* A file with holes is large enough for such a header, so that the limit alone can refuse it. */
static void a_header_over_the_limit_is_refused_unread(void **state)
{
    (void)state;
    const uint64_t length = 100000001;
    write_case("{", 0);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    for (int i = 0; i < 8; i++) fputc((int)(length >> (8 * i) & 0xff), f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(truncate(path, (off_t)length + 8), 0);
    assert_null(dr_file_open(path));
    assert_int_equal(dr_failed(), DR_EFORMAT);
    assert_non_null(strstr(dr_error_message(), "header length: 100000001 is over the limit of 100 MB"));
    dr_error_clear();
}

static void reads_what_is_there(void **state)
{
    (void)state;
    dr_file *f = accepted("{\"__metadata__\":{\"b\":\"1\",\"a\":\"two\"},"
                          "\"y\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":[8,14]},"
                          "\"none\":{\"dtype\":\"BF16\",\"shape\":[0,4],\"data_offsets\":[8,8]},"
                          "\"x\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                          "\"h\":{\"dtype\":\"F16\",\"shape\":[1,1,1,1,1,1,1,2],\"data_offsets\":[4,8]}}  ",
                          14);
    assert_int_equal(dr_file_count(f), 4);
    static const char *const order[] = { "x", "h", "none", "y" };
    for (int i = 0; i < 4; i++) {
        assert_string_equal(dr_file_at(f, i)->name, order[i]);
        assert_ptr_equal(dr_file_find(f, order[i]), dr_file_at(f, i));
    }
    const dr_file_entry *y = dr_file_find(f, "y"), *h = dr_file_find(f, "h"), *none = dr_file_find(f, "none");
    assert_int_equal(y->dtype, DR_U8);
    assert_int_equal(y->rank, 2);
    assert_int_equal(y->shape[0], 2);
    assert_int_equal(y->shape[1], 3);
    assert_int_equal(y->bytes, 6);
    assert_int_equal(*(const unsigned char *)y->data, 8);
    assert_int_equal(h->rank, 8);
    assert_int_equal(h->shape[7], 2);
    assert_int_equal(none->bytes, 0);
    assert_int_equal(dr_file_find(f, "x")->rank, 0);
    assert_null(dr_file_find(f, "z"));
    assert_null(dr_file_find(f, "__metadata__"));
    assert_null(dr_file_at(f, 4));
    assert_null(dr_file_at(f, -1));
    assert_int_equal(dr_file_metadata_count(f), 2);
    assert_string_equal(dr_file_metadata(f, "a"), "two");
    assert_null(dr_file_metadata(f, "c"));
    assert_string_equal(dr_file_metadata_key(f, 0), "b");
    assert_string_equal(dr_file_metadata_key(f, 1), "a");
    assert_null(dr_file_metadata_key(f, 2));
    assert_int_equal(dr_failed(), DR_OK);
    dr_file_close(f);
    f = accepted("{}", 0);
    assert_int_equal(dr_file_count(f), 0);
    assert_null(dr_file_find(f, "x"));
    assert_int_equal(dr_file_metadata_count(f), 0);
    dr_file_close(f);
    dr_file_close(NULL);
}

static void types_without_tensors(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t bytes;
    } valid[] = {
        { "{\"a\":{\"dtype\":\"I8\",\"shape\":[3],\"data_offsets\":[0,3]}}", 3 },
        { "{\"a\":{\"dtype\":\"U16\",\"shape\":[3],\"data_offsets\":[0,6]}}", 6 },
        { "{\"a\":{\"dtype\":\"C64\",\"shape\":[3],\"data_offsets\":[0,24]}}", 24 },
        { "{\"a\":{\"dtype\":\"F8_E5M2\",\"shape\":[3],\"data_offsets\":[0,3]}}", 3 },
        { "{\"a\":{\"dtype\":\"F4\",\"shape\":[3,2],\"data_offsets\":[0,3]}}", 3 },
        { "{\"a\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[0,3]}}", 3 },
    };
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
        dr_file *f = accepted(valid[i].header, valid[i].bytes);
        assert_int_equal(dr_file_find(f, "a")->dtype, -1);
        assert_int_equal(dr_file_find(f, "a")->bytes, valid[i].bytes);
        dr_file_close(f);
    }
    refused("{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, DR_EFORMAT,
            "tensor 'a': shape does not fill whole bytes");
}

static void numbers(void **state)
{
    (void)state;
    static const char *const bad[] = { "1.0",
                                       "1e0",
                                       "1E2",
                                       "-0",
                                       "-1",
                                       "\"1\"",
                                       "null",
                                       "true",
                                       "[1]",
                                       "9223372036854775808",
                                       "18446744073709551617",
                                       "1e400",
                                       "0x1",
                                       "+1",
                                       "01",
                                       ".5",
                                       "1.",
                                       "Infinity" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char header[200];
        snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"U8\",\"shape\":[%s],\"data_offsets\":[0,1]}}", bad[i]);
        refused(header, 1, DR_EFORMAT, "");
        snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[%s,0]}}", bad[i]);
        refused(header, 0, DR_EFORMAT, "");
    }
    dr_file_close(accepted("{\"a-0\\\"-0\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":-0.5}}", 1));
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, DR_ESHAPE,
            "tensor 'a': shape is too large");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}}", 4, DR_ESHAPE,
            "tensor 'a'");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[65536,65536,1,1,1,65536,65536],\"data_offsets\":[0,0]}}", 0, DR_ESHAPE,
            "tensor 'a'");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, DR_EUNSUPPORTED,
            "9 dimensions");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[0,4611686018427387904,4],\"data_offsets\":[0,0]}}", 0, DR_ESHAPE,
            "too large");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[9223372036854775806,9223372036854775807]}}", 1,
            DR_EFORMAT, "leave");
}

static void messages_name_tensor_and_field(void **state)
{
    (void)state;
    refused("{\"w\":{\"dtype\":\"F24\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, DR_EFORMAT,
            "tensor 'w': dtype 'F24' is not known");
    refused("{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, DR_EFORMAT, "tensor 'w': shape is missing");
    refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, DR_EFORMAT,
            "span 4 bytes, its shape and dtype F32 need 8");
    refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 3, DR_EFORMAT, "it is cut short");
    refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5, DR_EFORMAT,
            "1 bytes after the last tensor");
    refused("{\"w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"v\":{\"dtype\":\"U8\",\"shape\":[2],"
            "\"data_offsets\":[1,3]}}",
            3, DR_EFORMAT, "tensor 'v': data_offsets overlap those of 'w'");
    refused("{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2, DR_EFORMAT,
            "tensor 'w': data_offsets leave 1 bytes");
    refused("{\"w\":3}", 0, DR_EFORMAT, "tensor 'w': its entry must be an object");
    refused("{\"__metadata__\":{\"k\":1}}", 0, DR_EFORMAT, "__metadata__: 'k' must be a string");
    refused("{\"a\":{},\"a\":{}}", 0, DR_EFORMAT, "duplicate");
    refused("{\"a\":", 0, DR_EFORMAT, "not valid JSON");
    refused(" {}", 0, DR_EFORMAT, "must begin with '{'");
    refused("{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, DR_EFORMAT, "not valid JSON");
    refused("{\"\\u001b[31mred\\n\":{}}", 0, DR_EFORMAT,
            "tensor '?[31mred?': dtype is missing"); /* a terminal must not obey it */
    char header[700] = "{\"", name[600];
    memset(name, 0, sizeof name);
    for (int i = 0; i < 180; i++) memcpy(name + 3 * i, "\xe2\x96\x81", 3);
    strcat(strcat(header, name), "\":{}}");
    refused(header, 0, DR_EFORMAT, "\xe2\x96\x81...': dtype is missing");
}

static void what_is_no_file(void **state)
{
    (void)state;
    assert_null(dr_file_open("nowhere/x.safetensors"));
    assert_int_equal(dr_failed(), DR_ENOTFOUND);
    assert_string_equal(dr_error_message(), "nowhere/x.safetensors: cannot open: No such file or directory");
    dr_error_clear();
    assert_null(dr_file_open("/"));
    assert_int_equal(dr_failed(), DR_EIO);
    assert_non_null(strstr(dr_error_message(), "not a regular file"));
    dr_error_clear();
    unlink("pipe");
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_null(dr_file_open("pipe")); /* and it must not wait */
    assert_int_equal(dr_failed(), DR_EIO);
    dr_error_clear();
}

static const char whole[] =
    "{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
    "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]}}  ";
enum { WHOLE_DATA = 11 };

/* Reads everything that an accepted file offers, so that a sanitizer sees each byte. */
static unsigned use(const dr_file *f)
{
    unsigned sum = 0;
    for (int64_t i = 0; i < dr_file_count(f); i++) {
        const dr_file_entry *e = dr_file_at(f, i);
        for (size_t k = 0; k < e->bytes; k++) sum += ((const unsigned char *)e->data)[k];
        assert_ptr_equal(dr_file_find(f, e->name), e);
    }
    for (int64_t i = 0; i < dr_file_metadata_count(f); i++) {
        sum += (unsigned)strlen(dr_file_metadata(f, dr_file_metadata_key(f, i)));
    }
    return sum;
}

static void every_length(void **state)
{
    (void)state;
    write_case(whole, WHOLE_DATA);
    const size_t n = 8 + strlen(whole) + WHOLE_DATA;
    for (size_t k = n; k-- > 0;) {
        assert_int_equal(truncate(path, (off_t)k), 0);
        assert_null(dr_file_open(path));
        assert_int_equal(dr_failed(), DR_EFORMAT);
        dr_error_clear();
    }
}

static void every_byte_changed(void **state)
{
    (void)state;
    static const unsigned char to[] = { 0,   1,   2,   4,   8,   16,  64,  128,  ' ',  '"', '-',
                                        '0', '9', ',', '[', ']', '{', '}', '\\', 0x7f, 0xff };
    write_case(whole, WHOLE_DATA);
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    int taken = 0;
    for (off_t i = 0; i < (off_t)(8 + sizeof whole - 1); i++) {
        unsigned char was;
        assert_int_equal(pread(fd, &was, 1, i), 1);
        for (size_t k = 0; k < sizeof to; k++) {
            if (to[k] == was) continue;
            assert_int_equal(pwrite(fd, &to[k], 1, i), 1);
            dr_file *f = dr_file_open(path);
            assert_true(f ? dr_failed() == DR_OK : dr_failed() != DR_OK);
            if (f) {
                assert_true(i >= 8); /* in the length nothing can change */
                taken++;
                use(f);
            }
            dr_file_close(f);
            dr_error_clear();
        }
        assert_int_equal(pwrite(fd, &was, 1, i), 1);
    }
    close(fd);
    assert_true(taken > 20 && taken < 600); /* names, texts and spaces may change; most else may not */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_there),
        cmocka_unit_test(a_header_over_the_limit_is_refused_unread),
        cmocka_unit_test(types_without_tensors),
        cmocka_unit_test(numbers),
        cmocka_unit_test(messages_name_tensor_and_field),
        cmocka_unit_test(what_is_no_file),
        cmocka_unit_test(every_length),
        cmocka_unit_test(every_byte_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
