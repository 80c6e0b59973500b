/* A plan on cuda is a graph: it gives the bits of the step as written, also where the device does its work as late as it may;
 * the calls come in an order that CUDA allows, and what a graph uses lives as long as it does.   label: cuda */
#include "fake_control.h"
#include "training_step.h"

#include <stdio.h>

enum { STEPS = 6 };

static int64_t calls_of(const char *name, int64_t from)
{
    int64_t n = 0;
    for (int64_t i = from; i < fake.count(); i++) n += strcmp(fake.name_of(i), name) == 0;
    return n;
}

static int64_t first_call(const char *name, int64_t from)
{
    for (int64_t i = from; i < fake.count(); i++) {
        if (strcmp(fake.name_of(i), name) == 0) return i;
    }
    return -1;
}

static void train(network *n, dr_plan *plan, float *loss)
{
    for (int k = 0; k < STEPS; k++) {
        if (train_step_by_plan(n, plan, k, &loss[k]) != DR_OK) fail_msg("%s", dr_error_message());
    }
}

static void losses(bool by_plan, bool bf16, float *loss)
{
    network n;
    dr_plan *plan = by_plan ? dr_plan_new("step", 1000) : NULL;
    dr_scope_open();
    if (network_open(&n) != DR_OK) fail_msg("%s", dr_error_message());
    n.bf16 = bf16;
    train(&n, plan, loss);
    if (plan) assert_true(dr_plan_look(plan).graph);
    dr_plan_free(plan);
    network_close(&n);
    dr_scope_close();
}

static void give_the_bits_of_the_step_as_written(void **state)
{
    (void)state;
    for (int bf16 = 0; bf16 <= 1; bf16++) {
        float written[STEPS], replayed[STEPS];
        losses(false, bf16, written);
        losses(true, bf16, replayed);
        assert_memory_equal(written, replayed, sizeof written);
        for (int k = 1; k < STEPS; k++) assert_true(written[k] != written[k - 1]);
    }
}

static void also_where_work_is_done_late(void **state)
{
    (void)state;
    for (int by_plan = 0; by_plan <= 1; by_plan++) {
        float at_once[STEPS], late[STEPS];
        losses(by_plan, true, at_once);
        fake.late(true);
        losses(by_plan, true, late);
        fake.late(false);
        assert_memory_equal(at_once, late, sizeof late);
    }
}

/* The step's inputs, the word of the random streams, the graph, and the loss: nothing else, and no waiting but for that. */
static void are_one_launch_a_step(void **state)
{
    (void)state;
    network n;
    float loss[STEPS];
    dr_plan *plan = dr_plan_new("step", 1000);
    dr_scope_open();
    assert_int_equal(network_open(&n), DR_OK);
    train(&n, plan, loss);
    const int64_t from = fake.count();
    assert_int_equal(train_step_by_plan(&n, plan, STEPS, loss), DR_OK);
    assert_int_equal(calls_of("cudaGraphLaunch", from), 1);
    assert_int_equal(calls_of("cudaMalloc", from) + calls_of("cudaFree", from), 0);
    assert_true(calls_of("cudaStreamSynchronize", from) <= 1);
    assert_true(fake.count() - from < 12);
    dr_plan_free(plan);
    network_close(&n);
    dr_scope_close();
}

static void calls_come_in_order(void **state)
{
    (void)state;
    float loss[STEPS];
    fake.forget();
    dr_device_close_all();
    const int64_t from = fake.count();
    dr_device_use(dr_device_open("cuda", DR_NO_ARGS));
    losses(true, false, loss);
    dr_device_close_all();
    const int64_t chosen = first_call("cudaSetDevice", from), stream = first_call("cudaStreamCreateWithFlags", from);
    const int64_t begun = first_call("cudaStreamBeginCapture", from), ended = first_call("cudaStreamEndCapture", begun);
    assert_true(chosen >= 0 && chosen < first_call("cudaMalloc", from) && chosen < stream);
    assert_true(stream < first_call("cudnnCreate", from) && stream < first_call("cublasLtCreate", from));
    assert_true(begun >= 0 && begun < ended && ended < first_call("cudaGraphInstantiate", from));
    for (int64_t i = begun; i < ended; i++) {
        const char *name = fake.name_of(i);
        assert_true(strcmp(name, "cudaFree") != 0 && strcmp(name, "cudaStreamSynchronize") != 0);
        assert_true(strcmp(name, "cudaEventSynchronize") != 0 && strcmp(name, "cudaGraphLaunch") != 0);
    }
    const int64_t last_launch = first_call("cudaGraphExecDestroy", from);
    assert_int_equal(calls_of("cudaGraphLaunch", last_launch), 0);
    assert_true(first_call("cudnnDestroy", from) < first_call("cudaStreamDestroy", from)); /* its stream outlives it */
    assert_int_equal(calls_of("cudaMalloc", from), calls_of("cudaFree", from));
    assert_int_equal(calls_of("cudaHostAlloc", from), calls_of("cudaFreeHost", from));
}

/* ---- devices that are not there ------------------------------------------------------------------------------------- */

enum { INSUFFICIENT_DRIVER = 35, NO_DEVICE = 100 }; /* cudaError... */

static void assert_refused(int devices, int error, int driver, const char *name, const char *message)
{
    fake.devices(devices, error, driver);
    assert_null(dr_device_open(name, DR_NO_ARGS));
    assert_error_has(message);
    fake.devices(1, 0, 13000);
}

static void devices_that_are_not_there_are_refused(void **state)
{
    (void)state;
    dr_device_close_all();
    assert_refused(0, INSUFFICIENT_DRIVER, 0, "cuda", "no NVIDIA driver");
    assert_refused(0, INSUFFICIENT_DRIVER, 11040, "cuda", "the driver knows CUDA 11.4");
    assert_refused(0, NO_DEVICE, 13000, "cuda", "no NVIDIA GPU can be seen");
    assert_refused(0, 0, 13000, "cuda", "no NVIDIA GPU can be seen");
    assert_refused(2, 0, 13000, "cuda:2", "there is no cuda:2");
    assert_non_null(dr_device_open("cuda", DR_NO_ARGS)); /* and then there is one */
}

static void an_error_names_the_kernel(void **state)
{
    (void)state;
    dr_scope_open();
    dr_tensor *x = dr_rand_normal(DR_F32, 1, (const int64_t[]){ 33 }, &(dr_rng){ .seed = 1 });
    assert_non_null(x);
    dr_scope_open(); /* leaves the memory of one more for the next */
    dr_exp(x);
    dr_scope_close();
    fake.fail_at(1);
    dr_exp(x);
    assert_error_has("exp: kernel ");
    dr_scope_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(give_the_bits_of_the_step_as_written, open_emulated, close_emulated),
        cmocka_unit_test_setup_teardown(also_where_work_is_done_late, open_emulated, close_emulated),
        cmocka_unit_test_setup_teardown(are_one_launch_a_step, open_emulated, close_emulated),
        cmocka_unit_test_setup_teardown(calls_come_in_order, open_emulated, close_emulated),
        cmocka_unit_test_setup_teardown(devices_that_are_not_there_are_refused, open_emulated, close_emulated),
        cmocka_unit_test_setup_teardown(an_error_names_the_kernel, open_emulated, close_emulated),
    };
    if (!there_is_a_fake()) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
