/* DRIFT_CUDA_CONV=tile, and tile0, tile1, ... for one way of it, runs the kernels of conv2d_tile_kernel.h and of
 * conv2d_weight_tile.cu where they suit: convolutions, transposed ones, gradients; another form elsewhere.
 * label: cuda */
#include "fake_control.h"
#include "tensor.h"

/* How many of the calls since fake.forget() are launches of this kernel? */
static int launches(const char *kernel)
{
    int n = 0;
    for (int64_t i = 0; i < fake.count(); i++) {
        const char *name = fake.name_of(i);
        n += name && strstr(name, kernel) != NULL;
    }
    return n;
}

static dr_tensor *tensor(dr_dtype dtype, int64_t a, int64_t b, int64_t c, int64_t d)
{
    dr_tensor *t = dr_tensor_new(dtype, DR_SHAPE(a, b, c, d), dtype == DR_F32 ? DR_LAYOUT_ROW : DR_LAYOUT_CL);
    assert_non_null(t);
    assert_int_equal(dr_fill(t, 1.0), DR_OK);
    return t;
}

static void assert_runs(const char *form, int tiles, int weights)
{
    dr_tensor *x = tensor(DR_BF16, 2, 64, 6, 4), *y = tensor(DR_BF16, 2, 72, 6, 4),
              *half = tensor(DR_BF16, 2, 72, 3, 2);
    dr_tensor *weight = tensor(DR_F32, 72, 64, 3, 3), *wide = tensor(DR_F32, 72, 64, 4, 4), *gradients[2];
    setenv("DRIFT_CUDA_CONV", form, 1);
    fake.forget();
    assert_non_null(dr_conv2d(x, weight, NULL, 1, 1));
    assert_non_null(dr_conv_transpose2d(half, wide, NULL, 2, 1));
    assert_non_null(dr_apply1("conv2d_backward_data", (dr_tensor *[]){ y, weight }, 2,
                              &(dr_conv2d_backward_data_attr){ 1, 1, 6, 4 }));
    assert_int_equal(dr_apply("conv2d_backward_weight", (dr_tensor *[]){ x, y }, 2,
                              &(dr_conv2d_backward_weight_attr){ 1, 1, 3, 0 }, gradients),
                     DR_OK);
    assert_int_equal(launches("conv2d_tile<"), tiles);
    assert_int_equal(launches("conv2d_weight_tile<"), weights);
    unsetenv("DRIFT_CUDA_CONV");
}

static void tiles(void **state)
{
    (void)state;
    assert_runs("tile", 3, 1);
    assert_runs("tile0", 3, 1);
    assert_runs("tile1", 3, 1);
    assert_runs("tile2", 2, 1); /* its weights stay in shared memory, without a stride */
    assert_runs("tile3", 1, 1); /* 128 channels of results, which the others do not have */
    assert_runs("tile99", 0, 0);
}

static void others(void **state)
{
    (void)state;
    assert_runs("direct", 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tiles, open_emulated, close_emulated),
        cmocka_unit_test_setup_teardown(others, open_emulated, close_emulated),
    };
    if (!there_is_a_fake()) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
