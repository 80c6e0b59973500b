/* catches.c: the checker itself: small files that are right, and each way in which one can be wrong, through the
 * program `parity` beside this one. What it must say is its last line and its exit status. */
#include <drift.h>
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char program[4096]; /* .../tests/parity/parity */

/* A file of one case, a + b with a = [1,2], b = [10,20], up = [1,-1], and what the test changes in it. */
typedef struct fixture {
    const char *name, *kind, *cases;
    float y[2]; /* out.y; the truth is 11, 22 */
    float tol;
    bool without_tol, without_up, extra_output, extra_input;
} fixture;

static const fixture right = {
    .name = "right", .kind = "op", .cases = "[{\"name\":\"c\",\"op\":\"add\"}]", .y = { 11, 22 }, .tol = 1e-3f
};

static void write_fixture(const fixture *f)
{
    char path[64];
    mkdir("set", 0777);
    snprintf(path, sizeof path, "set/%s.safetensors", f->name);
    const int64_t two[] = { 2 };
    dr_save *s = dr_save_begin();
    if (f->kind) dr_save_metadata(s, "kind", f->kind);
    if (f->cases) dr_save_metadata(s, "cases", f->cases);
    dr_save_data(s, "c.in.a", DR_F32, 1, two, (float[]){ 1, 2 });
    dr_save_data(s, "c.in.b", DR_F32, 1, two, (float[]){ 10, 20 });
    dr_save_data(s, "c.out.y", DR_F32, 1, two, f->y);
    if (!f->without_tol) dr_save_data(s, "tol.c.out.y", DR_F32, 0, NULL, &f->tol);
    if (!f->without_up) dr_save_data(s, "c.up.y", DR_F32, 1, two, (float[]){ 1, -1 });
    dr_save_data(s, "c.grad.a", DR_F32, 1, two, (float[]){ 1, -1 });
    dr_save_data(s, "tol.c.grad.a", DR_F32, 0, NULL, (float[]){ 1e-6f });
    if (f->extra_output) dr_save_data(s, "c.out.z", DR_F32, 1, two, f->y);
    if (f->extra_output) dr_save_data(s, "tol.c.out.z", DR_F32, 0, NULL, &f->tol);
    if (f->extra_input) dr_save_data(s, "c.param.weight", DR_F32, 1, two, f->y);
    assert_int_equal(dr_save_commit(s, path), DR_OK);
}

/* Runs the checker over the folder "set", empties it, and returns the exit status; its output is in `said`. */
static char said[1 << 16];
static int check(void)
{
    setenv("DRIFT_FIXTURES", "set", 1);
    setenv("DRIFT_PARITY_DEVICES", "ref", 1);
    FILE *output = popen(program, "r");
    assert_non_null(output);
    said[fread(said, 1, sizeof said - 1, output)] = 0;
    const int status = pclose(output);
    DIR *d = opendir("set");
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[300];
        snprintf(path, sizeof path, "set/%s", e->d_name);
        unlink(path);
    }
    if (d) closedir(d);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The checker's verdict on one file. */
static void expect(fixture f, int passed, int failed, int skipped, const char *words)
{
    write_fixture(&f);
    const int status = check();
    char last[64];
    snprintf(last, sizeof last, "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    const size_t n = strlen(said), m = strlen(last);
    if (n < m || strcmp(said + n - m, last) != 0) fail_msg("expected '%s', it said: %s", last, said);
    if (!strstr(said, words)) fail_msg("no word of '%s': %s", words, said);
    assert_int_equal(status, failed > 0);
}

static void takes_what_is_right(void **state)
{
    (void)state;
    expect(right, 1, 0, 0, "pass right.safetensors: 2 values");
    fixture f = right;
    f.y[1] = 22 + 9e-3f;
    expect(f, 1, 0, 0, "worst 9.00 x tol: c.out.y on ref");
}

static void refuses_values(void **state)
{
    (void)state;
    fixture f = right;
    f.y[1] = 22 + 11e-3f;
    expect(f, 0, 1, 0, "c.out.y: max|c - ref| = 0.011 is 11 x tol; element 1 is 22, should be 22.01");
    f = right;
    f.y[0] = NAN;
    expect(f, 0, 1, 0, "c.out.y");
    f = right;
    f.tol = NAN;
    f.y[0] = 12;
    expect(f, 0, 1, 0, "c.out.y");
}

static void refuses_what_is_left_out(void **state)
{
    (void)state;
    fixture f = right;
    f.extra_output = true;
    expect(f, 0, 1, 0, "unchecked: c.out.z");
    f = right;
    f.extra_input = true;
    expect(f, 0, 1, 0, "unchecked: c.param.weight");
    f = right;
    f.without_up = true;
    expect(f, 0, 1, 0, "unchecked: c.grad.a");
    f = right;
    f.without_tol = true;
    expect(f, 0, 1, 0, "no scalar tol.c.out.y");
    f = right;
    f.cases = "[{\"name\":\"c\",\"op\":\"add\",\"alpha\":2}]";
    expect(f, 0, 1, 0, "attribute alpha was not used");
    f.cases = "[]";
    expect(f, 0, 1, 0, "`cases` is empty");
    f.cases = NULL;
    expect(f, 0, 1, 0, "`cases` is missing");
    f.cases = "[{\"name\":\"c\",\"op\":\"mul\"}]";
    expect(f, 0, 1, 0, "c.out.y");
    f.cases = "[{\"name\":\"c\",\"op\":\"matmul\"}]";
    expect(f, 0, 1, 0, "c: forward: ");
    f.cases = "[{\"name\":\"c\",\"op\":\"fold\"}]";
    expect(f, 0, 1, 0, "op fold is not known");
}

static void names_what_it_skips(void **state)
{
    (void)state;
    fixture f = right;
    f.kind = "telepathy";
    expect(f, 0, 0, 1, "skip right.safetensors: no check is built yet for kind telepathy");
    f.kind = NULL;
    expect(f, 0, 0, 1, "skip right.safetensors: holds no kind");
}

static void finds_broken_files_and_nothing(void **state)
{
    (void)state;
    mkdir("set", 0777);
    assert_int_equal(dr_write_file("set/broken.safetensors", "12345678{}", 10), DR_OK);
    expect(right, 1, 1, 0, "FAIL set/broken.safetensors: header length");
    assert_int_equal(dr_write_file("set/manifest.tsv", "file\tverdict\nright.safetensors\treject\tx\n", 38), DR_OK);
    expect(right, 0, 1, 0, "verdict reject, the reader accepts it");
    assert_int_equal(dr_write_file("set/manifest.tsv",
                                   "file\tverdict\nright.safetensors\taccept\tx\nlost.safetensors\treject\n", 64),
                     DR_OK);
    expect(right, 1, 1, 0, "lost.safetensors: the manifest names it");
    assert_int_equal(check(), 1); /* an empty folder proves nothing */
    assert_non_null(strstr(said, "holds no *.safetensors"));
}

int main(int argc, char **argv)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    snprintf(program, sizeof program, "%.*sparity", slash ? (int)(slash - argv[0]) + 1 : 0, argv[0]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_right),
        cmocka_unit_test(refuses_values),
        cmocka_unit_test(refuses_what_is_left_out),
        cmocka_unit_test(names_what_it_skips),
        cmocka_unit_test(finds_broken_files_and_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
