/* save_faults.c: a save that fails leaves the old file as it was, no temporary file, and one message with the step and
 * the reason: no space on the disk, a file size limit, a folder that is missing or cannot be written, something else in
 * the file's place. */
#define _GNU_SOURCE /* unshare */
#include <drift.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { BIG = 1 << 20 };
static char big[BIG];

static int files_in(const char *folder)
{
    DIR *d = opendir(folder);
    assert_non_null(d);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static bool holds(const char *path, const char *text)
{
    char got[64] = "";
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    const size_t n = fread(got, 1, sizeof got - 1, f);
    fclose(f);
    return n == strlen(text) && memcmp(got, text, n) == 0;
}

static dr_status save_big(const char *path)
{
    dr_save *s = dr_save_begin();
    dr_save_data(s, "big", DR_U8, 1, (int64_t[]){ BIG }, big);
    return dr_save_commit(s, path);
}

static void writes_and_replaces(void **state)
{
    (void)state;
    assert_int_equal(mkdir("plain", 0777), 0);
    assert_int_equal(dr_write_file("plain/a", "old", 3), DR_OK);
    assert_true(holds("plain/a", "old"));
    assert_int_equal(dr_write_file("plain/a", "newer", 5), DR_OK);
    assert_true(holds("plain/a", "newer"));
    assert_int_equal(dr_write_file("plain/a", NULL, 0), DR_OK);
    assert_true(holds("plain/a", ""));
    assert_int_equal(files_in("plain"), 1);
    struct stat st;
    const mode_t mask = umask(027);
    assert_int_equal(dr_write_file("plain/b", "x", 1), DR_OK);
    umask(mask);
    assert_int_equal(stat("plain/b", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(dr_write_file("here", "x", 1), DR_OK); /* no folder in the name */
    assert_true(holds("here", "x"));
    char longest[300] = "plain/";
    memset(longest + 6, 'n', 255);
    assert_int_equal(dr_write_file(longest, "x", 1), DR_OK);
    assert_true(holds(longest, "x"));
}

static void size_limit(void **state)
{
    (void)state;
    assert_int_equal(mkdir("limit", 0777), 0);
    assert_int_equal(dr_write_file("limit/a", "old", 3), DR_OK);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = BIG / 2; /* the first write is cut short, the next one fails */
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const dr_status status = save_big("limit/a"), new_file = dr_failed() ? DR_EIO : DR_OK;
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, DR_EIO);
    assert_int_equal(new_file, DR_EIO);
    assert_string_equal(dr_error_message(), "cannot save limit/a: write: file too large");
    dr_error_clear();
    assert_true(holds("limit/a", "old"));
    assert_int_equal(files_in("limit"), 1);
    assert_int_equal(save_big("limit/a"), DR_OK);
    assert_int_equal(files_in("limit"), 1);
}

static void places_that_cannot_be(void **state)
{
    (void)state;
    assert_int_equal(mkdir("places", 0777), 0);
    assert_int_equal(dr_write_file("places/none/a", "x", 1), DR_EIO);
    assert_string_equal(dr_error_message(),
                        "cannot save places/none/a: create a temporary file beside it: no such file or directory");
    dr_error_clear();
    assert_int_equal(mkdir("places/folder", 0777), 0);
    assert_int_equal(dr_write_file("places/folder", "x", 1), DR_EIO);
    assert_non_null(strstr(dr_error_message(), "not a regular file"));
    dr_error_clear();
    assert_int_equal(save_big("/dev/full"), DR_EIO); /* a device must not be replaced by a file */
    assert_non_null(strstr(dr_error_message(), "not a regular file"));
    dr_error_clear();
    struct stat st;
    assert_int_equal(stat("/dev/full", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    char path[6000];
    memset(path, 'd', sizeof path);
    path[sizeof path - 1] = 0;
    path[10] = '/';
    assert_int_equal(dr_write_file(path, "x", 1), DR_EIO);
    dr_error_clear();
    assert_int_equal(files_in("places"), 1);
}

static void folder_without_rights(void **state)
{
    (void)state;
    if (geteuid() == 0) {
        print_message("skipped: root may write everywhere\n");
        skip();
    }
    assert_int_equal(mkdir("closed", 0555), 0);
    assert_int_equal(dr_write_file("closed/a", "x", 1), DR_EIO);
    assert_string_equal(dr_error_message(),
                        "cannot save closed/a: create a temporary file beside it: permission denied");
    dr_error_clear();
}

static bool put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    return f && (fputs(text, f) >= 0) & (fclose(f) == 0);
}

/* Mounts for this process alone; without root, as the root of a namespace of our own. */
static bool may_mount(void)
{
    char uid[64], gid[64];
    snprintf(uid, sizeof uid, "0 %ld 1", (long)geteuid());
    snprintf(gid, sizeof gid, "0 %ld 1", (long)getegid());
    if (unshare(CLONE_NEWNS) == 0) return true;
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && put("/proc/self/setgroups", "deny") &&
           put("/proc/self/uid_map", uid) && put("/proc/self/gid_map", gid);
}

/* A file system of 256 KB of our own, in a child, since it needs a namespace: exit status 0 passed, 77 not allowed. */
static int full_disk(void)
{
    if (!may_mount()) return 77;
    if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 || mkdir("disk", 0777) != 0) return 77;
    if (mount("drift_test", "disk", "tmpfs", 0, "size=256k") != 0) return 77;
    if (dr_write_file("disk/a", "old", 3) != DR_OK) return 1;
    if (save_big("disk/a") != DR_EIO) return 2;
    if (strcmp(dr_error_message(), "cannot save disk/a: write: no space left on device") != 0) return 3;
    dr_error_clear();
    if (!holds("disk/a", "old") || files_in("disk") != 1) return 4;
    return dr_write_file("disk/a", "new", 3) == DR_OK && holds("disk/a", "new") ? 0 : 5;
}

static bool no_disk;

static void no_space_left(void **state)
{
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) _exit(full_disk());
    assert_true(child > 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("skipped: no right to mount a small disk\n");
        no_disk = true;
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_replaces),   cmocka_unit_test(size_limit),
        cmocka_unit_test(places_that_cannot_be), cmocka_unit_test(folder_without_rights),
        cmocka_unit_test(no_space_left),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed || !no_disk ? failed : 77; /* so that the test as a whole is seen to be skipped */
}
