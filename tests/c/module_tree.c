/* Modules: weights have PyTorch's names, start equal wherever their path is equal, errors name the place, and a
 * forward leaves nothing behind but its result and what backward needs. */
#include "../host.h"

static dr_args conv_args(int64_t in, int64_t out)
{
    static dr_arg a[2];
    a[0] = (dr_arg)DR_I("in_channels", in);
    a[1] = (dr_arg)DR_I("out_channels", out);
    return (dr_args){ a, 2 };
}

static dr_module *network(uint64_t seed, int64_t width)
{
    dr_module *root = dr_module_group(NULL, "unet");
    dr_module_seed(root, seed);
    dr_module_create(root, "init", "block", "conv_block", conv_args(1, width));
    dr_module_create(root, "d1", "block", "conv_block", conv_args(width, 4));
    return root;
}

static dr_tensor *named(dr_module *m, const char *path)
{
    for (int64_t i = 0; i < dr_module_named_count(m); i++) {
        if (strcmp(dr_module_named_at(m, i)->path, path) == 0) return dr_module_named_at(m, i)->tensor;
    }
    return NULL;
}

static void weights_have_pytorchs_names(void **state)
{
    (void)state;
    dr_module *m = network(1, 3);
    assert_int_equal(dr_module_named_count(m), 4 * 7); /* four Conv of weight, bias, and BatchNorm's five */
    assert_non_null(named(m, "init.c1.conv.0.weight"));
    assert_non_null(named(m, "init.c1.conv.0.bias"));
    assert_non_null(named(m, "d1.c2.conv.1.running_var"));
    assert_non_null(named(m, "d1.c2.conv.1.num_batches_tracked"));
    dr_module_free(m);
}

static void equal_paths_start_equal_whatever_is_around_them(void **state)
{
    (void)state;
    dr_module *a = network(7, 3), *b = network(7, 5), *c = network(8, 3);
    float wa[144], wb[144], wc[144];
    dr_tensor_read(named(a, "d1.c2.conv.0.weight"), DR_F32, wa); /* [4,4,3,3] in both */
    dr_tensor_read(named(b, "d1.c2.conv.0.weight"), DR_F32, wb);
    dr_tensor_read(named(c, "d1.c2.conv.0.weight"), DR_F32, wc);
    assert_memory_equal(wa, wb, sizeof wa);
    assert_memory_not_equal(wa, wc, sizeof wa);
    dr_module_free(a);
    dr_module_free(b);
    dr_module_free(c);
}

static void different_paths_start_different(void **state)
{
    (void)state;
    dr_module *m = network(7, 4);
    float first[144], second[144]; /* [4,4,3,3] each */
    dr_tensor_read(named(m, "init.c2.conv.0.weight"), DR_F32, first);
    dr_tensor_read(named(m, "d1.c2.conv.0.weight"), DR_F32, second);
    assert_memory_not_equal(first, second, sizeof first);
    dr_module_free(m);
}

static void initial_weights_fill_pytorchs_bounds(void **state)
{
    (void)state;
    dr_module *m = network(3, 3);
    float w[144];
    dr_tensor_read(named(m, "d1.c2.conv.0.weight"), DR_F32, w);
    const float bound = 1.0f / 6.0f; /* 1/sqrt(4 x 3 x 3) */
    float low = 1, high = -1;
    for (int i = 0; i < 144; i++) {
        low = w[i] < low ? w[i] : low;
        high = w[i] > high ? w[i] : high;
    }
    assert_true(low >= -bound && high <= bound);
    assert_true(low < -0.9f * bound && high > 0.9f * bound);
    dr_module_free(m);
}

static void an_error_names_the_place(void **state)
{
    (void)state;
    dr_module *m = network(1, 3);
    dr_tensor *x = dr_tensor_full(DR_F32, DR_SHAPE(2, 5, 8, 8), 0.0); /* d1 expects 3 channels */
    assert_null(dr_module_forward(dr_module_child_at(m, 1), &x, 1));
    assert_error_has("unet.d1.c1.conv.0: conv2d");
    dr_module_free(m);
}

static void a_block_that_cannot_be_built_names_the_place(void **state)
{
    (void)state;
    dr_module *root = dr_module_group(NULL, "unet");
    assert_null(dr_module_create(root, "init", "block", "conv_block", DR_ARGS(DR_I("in_channels", 1), DR_I("out_channels", 0))));
    assert_error_has("unet.init: block conv_block: out_channels = 0");
    assert_int_equal(dr_module_child_count(root), 0);
    assert_null(dr_module_create(root, "x", "sampler", "euler", DR_NO_ARGS));
    assert_error_has("only blocks and conditionings are modules");
    dr_module_free(root);
}

static void two_weights_of_one_name_are_refused(void **state)
{
    (void)state;
    dr_module *root = dr_module_group(NULL, "unet");
    assert_non_null(dr_module_create(root, "init", "block", "conv_block", conv_args(1, 2)));
    assert_null(dr_module_create(root, "init", "block", "conv_block", conv_args(1, 2)));
    assert_error_has("two weights have the name 'init.c1.conv.0.weight'");
    dr_module_free(root);
}

static void a_forward_keeps_only_its_result_when_nothing_is_recorded(void **state)
{
    (void)state;
    dr_module *m = network(1, 3);
    dr_scope_open();
    dr_tensor *x = dr_tensor_full(DR_F32, DR_SHAPE(2, 1, 32, 32), 0.5);
    const bool was = dr_grad_mode(false);
    size_t before, after;
    dr_device_memory(dr_device_current(), &before, NULL, NULL);
    dr_tensor *y = dr_module_forward(dr_module_child_at(m, 0), &x, 1); /* [2,3,32,32] */
    dr_device_memory(dr_device_current(), &after, NULL, NULL);
    dr_grad_mode(was);
    assert_non_null(y);
    assert_true(after - before <= 2 * 3 * 32 * 32 * sizeof(float) + 64);
    dr_scope_close();
    dr_module_free(m);
}

static void a_training_step_gives_all_its_memory_back(void **state)
{
    (void)state;
    dr_module *m = network(1, 3);
    size_t early = 0, late = 0;
    for (int step = 0; step < 22; step++) {
        dr_scope_open();
        dr_tensor *x = dr_tensor_full(DR_F32, DR_SHAPE(2, 1, 8, 8), 0.5);
        dr_tensor *h = dr_module_forward(dr_module_child_at(m, 0), &x, 1); /* [2,3,8,8], 1.5 KB */
        dr_tensor *y = dr_module_forward(dr_module_child_at(m, 1), &h, 1);
        assert_int_equal(dr_backward(dr_sum(dr_square(y), 0, NULL, false), NULL), DR_OK);
        dr_scope_close();
        dr_device_memory(dr_device_current(), &late, NULL, NULL);
        if (step == 1) early = late; /* the first steps make the gradients */
    }
    assert_true(late < early + 4096); /* blocks from the cache may be a little larger; one activation a step would be 30 KB */
    assert_non_null(dr_grad(named(m, "init.c1.conv.0.weight")));
    dr_module_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_have_pytorchs_names),
        cmocka_unit_test(equal_paths_start_equal_whatever_is_around_them),
        cmocka_unit_test(different_paths_start_different),
        cmocka_unit_test(initial_weights_fill_pytorchs_bounds),
        cmocka_unit_test(an_error_names_the_place),
        cmocka_unit_test(a_block_that_cannot_be_built_names_the_place),
        cmocka_unit_test(two_weights_of_one_name_are_refused),
        cmocka_unit_test(a_forward_keeps_only_its_result_when_nothing_is_recorded),
        cmocka_unit_test(a_training_step_gives_all_its_memory_back),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
