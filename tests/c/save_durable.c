/* save_durable.c: a file survives a power cut: its bytes are flushed before it is renamed into place, and the folder
 * after. The program's own fsync and rename stand in for the C library's, and write down who called. */
#define _GNU_SOURCE /* renameat */
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

static char calls[256];
static int64_t flushed_bytes;
static bool disk_is_broken;

int fsync(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return -1;
    strcat(calls, S_ISDIR(st.st_mode) ? "flush folder, " : "flush file, ");
    if (!S_ISDIR(st.st_mode)) flushed_bytes = st.st_size;
    errno = EIO;
    return disk_is_broken ? -1 : 0;
}

int rename(const char *from, const char *to)
{
    strcat(calls, "rename, ");
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

static void a_file_is_flushed_then_renamed_then_its_folder_is_flushed(void **state)
{
    (void)state;
    calls[0] = 0;
    assert_int_equal(dr_write_file("a", "twelve bytes", 12), DR_OK);
    assert_string_equal(calls, "flush file, rename, flush folder, ");
    assert_int_equal(flushed_bytes, 12);
}

static void a_file_that_cannot_be_flushed_does_not_replace_the_old_one(void **state)
{
    (void)state;
    calls[0] = 0;
    assert_int_equal(dr_write_file("b", "old", 3), DR_OK);
    calls[0] = 0;
    disk_is_broken = true;
    assert_int_equal(dr_write_file("b", "newer", 5), DR_EIO);
    disk_is_broken = false;
    assert_non_null(strstr(dr_error_message(), "cannot save b: fsync: "));
    dr_error_clear();
    assert_string_equal(calls, "flush file, ");
    struct stat st;
    assert_int_equal(stat("b", &st), 0);
    assert_int_equal(st.st_size, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_flushed_then_renamed_then_its_folder_is_flushed),
        cmocka_unit_test(a_file_that_cannot_be_flushed_does_not_replace_the_old_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
