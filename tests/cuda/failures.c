/* Whichever call of CUDA, cuDNN or cuBLASLt fails, the 1st, the 2nd, ..., while a device is opened, a network trained, or its
 * step captured and launched as a graph: an error comes back, or the result is right all the same; nothing crashes, and
 * nothing is left.   label: cuda */
#include "fake_control.h"
#include "training_step.h"

#include <math.h>
#include <stdio.h>

enum { STEPS = 5 };

typedef struct use { /* of a device */
    int steps;
    bool by_plan, bf16, late;
} use;

static float expected[STEPS]; /* losses without failures */

/* The losses of the steps that were made; false: an error is pending. */
static bool train(const use *u, float *loss)
{
    network n = { 0 };
    dr_plan *plan = u->by_plan ? dr_plan_new("step", 1000) : NULL;
    dr_scope_open();
    bool well = network_open(&n) == DR_OK;
    n.bf16 = u->bf16;
    for (int k = 0; k < u->steps && well; k++) well = train_step_by_plan(&n, plan, k, &loss[k]) == DR_OK;
    dr_plan_free(plan);
    network_close(&n);
    dr_scope_close();
    return well && !dr_failed();
}

static bool open_and_train(const use *u, float *loss)
{
    dr_device *d = dr_device_open("cuda", DR_NO_ARGS);
    if (d) dr_device_use(d);
    return d && train(u, loss);
}

static void close_and_check(int64_t n)
{
    dr_error_clear();
    dr_device_close_all();
    if (fake.leaks() || fake.violations()) {
        fake.expect_violations(); /* the next test counts its own */
        fail_msg("call %lld: it leaks, or calls wrongly: see above", (long long)n);
    }
}

/* 1, 2, 3, ... while few, then further apart; all of them where DRIFT_ALL_FAILURES is set */
static int64_t next_call(int64_t n) { return getenv("DRIFT_ALL_FAILURES") || n < 150 ? n + 1 : n + 1 + n / 40; }

static void every_call_may_fail(const use *u)
{
    int64_t tried = 0, said = 0;
    fake.late(u->late);
    for (int64_t n = 1;; n = next_call(n)) {
        float loss[STEPS] = { 0 };
        fake.forget();
        fake.fail_at(n);
        const bool well = open_and_train(u, loss);
        const bool failed = fake.has_failed();
        if (!well && !failed) fail_msg("without a failure: %s", dr_error_message());
        if (!well && !*dr_error_message()) fail_msg("call %lld failed, and no error says so", (long long)n);
        for (int k = 0; k < u->steps && well; k++) {
            if (fabsf(loss[k] - expected[k]) <= (u->bf16 ? 0.05f : 1e-4f) * fabsf(expected[k])) continue;
            fail_msg("call %lld (%s) failed without an error: loss %d is %g, not %g", (long long)n, fake.name_of(n - 1), k,
                     (double)loss[k], (double)expected[k]);
        }
        close_and_check(n);
        if (!failed) break;
        tried++;
        said += !well;
    }
    fake.forget();
    fake.late(false);
    print_message("%lld calls failed, one a time; %lld times an error came back\n", (long long)tried, (long long)said);
    assert_true(4 * said > tried); /* the rest can be done without: cuDNN, for one, and graphs */
}

static int find_expected(void **state)
{
    (void)state;
    setenv("DRIFT_CUDA_TUNE", "off", 1); /* the same calls each time */
    if (open_on("ref") != 0 || !train(&(use){ .steps = STEPS }, expected)) return -1;
    dr_device_close_all();
    return 0;
}

static void of_opening(void **state)
{
    (void)state;
    every_call_may_fail(&(use){ .steps = 0 });
}

static void of_training(void **state)
{
    (void)state;
    every_call_may_fail(&(use){ .steps = 2 });
}

static void of_training_by_graphs(void **state)
{
    (void)state;
    every_call_may_fail(&(use){ .steps = STEPS, .by_plan = true });
}

static void of_late_training_by_graphs_in_bf16(void **state)
{
    (void)state;
    every_call_may_fail(&(use){ .steps = 4, .by_plan = true, .bf16 = true, .late = true });
}

static void memory_that_runs_out(void **state)
{
    (void)state;
    for (size_t limit = 1 << 10; limit < (size_t)1 << 28; limit *= 2) {
        float loss[STEPS];
        fake.forget();
        fake.memory_limit(limit);
        const bool well = open_and_train(&(use){ .steps = STEPS, .by_plan = true }, loss);
        if (!well) assert_non_null(strstr(dr_error_message(), "out of memory"));
        if (limit == 1 << 10) assert_false(well);
        if (limit == (size_t)1 << 27) assert_true(well);
        close_and_check((int64_t)limit);
    }
    fake.memory_limit((size_t)80 << 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_opening),
        cmocka_unit_test(of_training),
        cmocka_unit_test(of_training_by_graphs),
        cmocka_unit_test(of_late_training_by_graphs_in_bf16),
        cmocka_unit_test(memory_that_runs_out),
    };
    if (!there_is_a_fake()) return 77;
    return cmocka_run_group_tests(tests, find_expected, close_all);
}
