/* The emulation of CUDA finds what it is there to find: kernels that read or write outside, lack a barrier, or wait where
 * not all wait; and runs a right one rightly.   label: cuda */
#include "fake_control.h"
#include "tensor.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 32 };

static void run_kernel(const char *name, int64_t n, float *y)
{
    dr_tensor *t = dr_tensor_new(DR_F32, DR_SHAPE(N), DR_LAYOUT_ROW);
    assert_non_null(t);
    fake.run_wrong_kernel(name, dr_device_current()->self, dr_tensor_view(t)->data, n);
    if (y) assert_int_equal(dr_tensor_read(t, DR_F32, y), DR_OK);
}

/* In a process of its own: what it says on stderr. */
static void said_by(const char *name, int64_t n, char *text, size_t bytes)
{
    int pipes[2], status;
    assert_int_equal(pipe(pipes), 0);
    const pid_t child = fork();
    if (child == 0) {
        dup2(pipes[1], 2);
        run_kernel(name, n, NULL);
        _exit(0);
    }
    close(pipes[1]);
    size_t length = 0;
    for (ssize_t got; length + 1 < bytes && (got = read(pipes[0], text + length, bytes - 1 - length)) > 0;)
        length += (size_t)got;
    text[length] = '\0';
    close(pipes[0]);
    waitpid(child, &status, 0);
}

static void assert_says(const char *kernel, int64_t n, const char *what)
{
    static char text[1 << 16];
    said_by(kernel, n, text, sizeof text);
    if (!strstr(text, kernel) || !strstr(text, what)) fail_msg("%s: expected '%s', got '%s'", kernel, what, text);
}

static void accesses_outside(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    assert_says("reads_past_shared", N, "global-buffer-overflow");
    assert_says("reads_past_dynamic_shared", N, "heap-buffer-overflow");
    assert_says("writes_past_output", N, "ERROR: AddressSanitizer");
    assert_says("writes_past_output", N - 3, "use-after-poison"); /* within the allocation, outside of the tensor */
#else
    skip(); /* AddressSanitizer sees them */
#endif
}

static void barriers_and_shuffles_that_not_all_reach(void **state)
{
    (void)state;
    assert_says("diverges", N, "in two places at once");
    assert_says("waits_for_ever", N, "wait for one another for ever");
    assert_says("shuffles_apart", N, "different warp operations");
    assert_says("waits_for_ever", N, "wrong_kernels.cpp:");
}

static void a_missing_barrier_shows_in_the_reverse_order(void **state)
{
    (void)state;
    float y[N];
    int wrong = 0;
    run_kernel("lacks_a_barrier", N, y);
    for (int i = 0; i < N; i++) wrong += y[i] != (float)((i + 31) % N + 1);
    const char *order = getenv("DRIFT_CUDA_EMULATED_ORDER");
    assert_true(order && strcmp(order, "reverse") == 0 ? wrong == N - 1 : wrong == 1);
}

static void launches_that_no_gpu_takes(void **state)
{
    (void)state;
    run_kernel("launched_too_large", N, NULL);
    assert_error_has("wrong: kernel is_right");
    assert_int_equal(fake.violations(), 1);
    fake.expect_violations();
}

static void a_right_kernel(void **state)
{
    (void)state;
    float y[N];
    run_kernel("is_right", N, y);
    for (int i = 0; i < 30; i++) {
        const int from = i < 16 && i % 8 < 4 ? i + 4 : i;
        assert_true(y[i] == (float)from + 43500.0f + 15e5f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(accesses_outside, open_emulated, close_emulated),
        cmocka_unit_test_setup_teardown(barriers_and_shuffles_that_not_all_reach, open_emulated, close_emulated),
        cmocka_unit_test_setup_teardown(a_missing_barrier_shows_in_the_reverse_order, open_emulated, close_emulated),
        cmocka_unit_test_setup_teardown(launches_that_no_gpu_takes, open_emulated, close_emulated),
        cmocka_unit_test_setup_teardown(a_right_kernel, open_emulated, close_emulated),
    };
    if (!there_is_a_fake()) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
