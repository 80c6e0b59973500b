/* safetensors_memory.c: memory running out at the 1st, 2nd, ... allocation of opening and of saving a file: an error
 * with a message each time, and the old file untouched. */
#include <drift.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#ifdef __SANITIZE_ADDRESS__ /* it brings an allocator of its own, which cannot be stood in for */
static long failing_at;
static bool reached;
enum { CAN_FAIL = 0 };
#else
enum { CAN_FAIL = 1 };
static long failing_at; /* 0: never */
static bool reached;
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t m);
extern void *__libc_realloc(void *p, size_t n);

static bool fails(void)
{
    if (failing_at == 0 || --failing_at > 0) return false;
    reached = true;
    return true;
}

void *malloc(size_t n) { return fails() ? NULL : __libc_malloc(n); }

void *calloc(size_t n, size_t m) { return fails() ? NULL : __libc_calloc(n, m); }

void *realloc(void *p, size_t n) { return fails() ? NULL : __libc_realloc(p, n); }
#endif

static dr_status save(const char *path, float first)
{
    const float x[] = { first, 2 };
    dr_save *s = dr_save_begin();
    if (!s) return dr_failed();
    dr_save_metadata(s, "k", "v");
    dr_save_data(s, "x", DR_F32, 1, (int64_t[]){ 2 }, x);
    dr_save_data(s, "n", DR_I64, 0, NULL, (int64_t[]){ 7 });
    return dr_save_commit(s, path);
}

static float first_in(const char *path)
{
    dr_file *f = dr_file_open(path);
    if (!f) fail_msg("%s", dr_error_message());
    float x;
    memcpy(&x, dr_file_find(f, "x")->data, sizeof x);
    dr_file_close(f);
    return x;
}

static void opening(void **state)
{
    (void)state;
    assert_int_equal(save("open.safetensors", 1), DR_OK);
    int failures = 0;
    for (long n = 1;; n++) {
        failing_at = n;
        reached = false;
        dr_file *f = dr_file_open("open.safetensors");
        failing_at = 0;
        if (f) assert_int_equal(dr_file_count(f), 2);
        dr_file_close(f);
        if (!reached && n == 1) skip(); /* valgrind's allocator, not ours */
        if (!reached) break;
        if (f) continue; /* an allocation that the C library could do without */
        failures++;
        assert_int_not_equal(dr_failed(), DR_OK);
        assert_non_null(strstr(dr_error_message(), "open.safetensors"));
        dr_error_clear();
    }
    assert_int_equal(dr_failed(), DR_OK);
    assert_true(failures > 10);
}

static void saving(void **state)
{
    (void)state;
    assert_int_equal(save("save.safetensors", 1), DR_OK);
    int failures = 0;
    for (long n = 1;; n++) {
        failing_at = n;
        reached = false;
        const dr_status status = save("save.safetensors", 3);
        failing_at = 0;
        if (!reached && n == 1) skip(); /* valgrind's allocator, not ours */
        if (!reached) break;
        if (status == DR_OK) continue;
        failures++;
        assert_int_equal(dr_failed(), status);
        assert_true(dr_error_message()[0] != 0);
        dr_error_clear();
        assert_true(first_in("save.safetensors") == 1 || first_in("save.safetensors") == 3);
    }
    assert_int_equal(dr_failed(), DR_OK);
    assert_true(first_in("save.safetensors") == 3);
    assert_true(failures > 10);
}

int main(void)
{
    if (!CAN_FAIL) {
        puts("skipped: the sanitizer's allocator cannot be made to fail");
        return 77;
    }
    const struct CMUnitTest tests[] = { cmocka_unit_test(opening), cmocka_unit_test(saving) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
