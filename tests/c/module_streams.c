/* What a block draws in its forward (dropout) is decided by seed, step, the block's path and how often it drew in this
 * step: not by other blocks, nor by the order of their calls. */
#include "../host.h"

enum { N = 6 };

static dr_module *network(void)
{
    dr_module *root = dr_module_group(NULL, "net");
    assert_non_null(dr_module_create(root, "a", "block", "draws_noise", DR_NO_ARGS));
    assert_non_null(dr_module_create(root, "b", "block", "draws_noise", DR_NO_ARGS));
    return root;
}

static void draw(dr_module *root, int child, float out[N])
{
    dr_tensor *x = dr_tensor_full(DR_F32, DR_SHAPE(2, 3), 0.0);
    dr_tensor *y = dr_module_forward(dr_module_child_at(root, child), &x, 1);
    assert_int_equal(dr_tensor_read(y, DR_F32, out), DR_OK);
}

static int open_with_block(void **state)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/draws_noise.so", getenv("DRIFT_TEST_PLUGIN_DIR"));
    return open_ref(state) == 0 && dr_plugin_load(path) == DR_OK ? 0 : -1;
}

static void two_blocks_draw_different_numbers(void **state)
{
    (void)state;
    float a[N], b[N], other_order[N];
    dr_module *m = network();
    dr_module_stream(m, 1, 0, 0);
    draw(m, 0, a);
    draw(m, 1, b);
    assert_memory_not_equal(a, b, sizeof a);
    dr_module_stream(m, 1, 0, 0);
    draw(m, 1, other_order);
    assert_memory_equal(b, other_order, sizeof b);
    dr_module_free(m);
}

static void a_block_draws_anew_at_each_call_and_again_in_the_same_step(void **state)
{
    (void)state;
    float first[N], second[N], again[N], seed[N], step[N], sample[N];
    dr_module *m = network();
    dr_module_stream(m, 1, 0, 0);
    draw(m, 0, first);
    draw(m, 0, second);
    assert_memory_not_equal(first, second, sizeof first);
    dr_module_stream(m, 1, 0, 0);
    draw(m, 0, again);
    assert_memory_equal(first, again, sizeof first);
    dr_module_stream(m, 2, 0, 0);
    draw(m, 0, seed);
    assert_memory_not_equal(first, seed, sizeof first);
    dr_module_stream(m, 1, 1, 0);
    draw(m, 0, step);
    assert_memory_not_equal(first, step, sizeof first);
    dr_module_stream(m, 1, 0, 1); /* the batch starts one sample later: its first row is the second one of before */
    draw(m, 0, sample);
    assert_memory_equal(first + 3, sample, 3 * sizeof *first);
    dr_module_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_blocks_draw_different_numbers),
        cmocka_unit_test(a_block_draws_anew_at_each_call_and_again_in_the_same_step),
    };
    return cmocka_run_group_tests(tests, open_with_block, close_all);
}
