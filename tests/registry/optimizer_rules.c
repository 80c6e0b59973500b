/* Optimizers: state that does not fit is refused; weight decay does what each says. Where the loss itself asks for
 * nothing (gradient 0), one step from w = 2 with lr = 0.1 and decay d gives
 *   sgd  w - lr d w       adam  w - lr (normalised: the size of d does not show)       adamw  w (1 - lr d) */
#include "walk.h"

#include <math.h>

static double after_one_step(const char *name, double decay)
{
    static const char *const path[] = { "w" };
    dr_tensor *w = dr_requires_grad(dr_keep(dr_tensor_full(DR_F32, DR_SHAPE(1), 2.0)), true);
    dr_instance *instance = dr_instance_new("optim", name, DR_ARGS(DR_R("lr", 0.1), DR_R("weight_decay", decay)));
    assert_non_null(instance);
    dr_optim *o = dr_optim_new(instance, &w, path, 1);
    assert_int_equal(dr_backward(dr_sum(dr_scale(0.0, w), 0, NULL, false), NULL), DR_OK);
    assert_int_equal(dr_optim_step(o, 1.0), DR_OK);
    const double value = dr_tensor_item(w);
    dr_optim_free(o);
    dr_instance_free(instance);
    dr_release(w);
    return value;
}

static void weight_decay_pulls_to_zero_as_each_says(void **state)
{
    (void)state;
    assert_true(after_one_step("sgd", 0.0) == 2.0);
    assert_true(after_one_step("adam", 0.0) == 2.0);
    assert_true(after_one_step("adamw", 0.0) == 2.0);
    assert_true(fabs(after_one_step("sgd", 0.5) - 1.9) < 1e-6);
    assert_true(fabs(after_one_step("adam", 0.5) - 1.9) < 1e-6);
    assert_true(fabs(after_one_step("adamw", 0.5) - 1.9) < 1e-6);
    assert_true(fabs(after_one_step("adam", 5.0) - 1.9) < 1e-6);
    assert_true(fabs(after_one_step("adamw", 5.0) - 1.0) < 1e-6);
}

/* State of another shape is refused before any of it is read. */
static void state_of_another_shape_is_refused(void **state)
{
    (void)state;
    static const char *const path[] = { "w" };
    dr_tensor *wide = dr_requires_grad(dr_tensor_full(DR_F32, DR_SHAPE(2, 3), 1.0), true);
    dr_tensor *tall = dr_requires_grad(dr_tensor_full(DR_F32, DR_SHAPE(3, 2), 1.0), true);
    dr_instance *instance = dr_instance_new("optim", "adam", DR_NO_ARGS);
    dr_optim *from = dr_optim_new(instance, &wide, path, 1), *to = dr_optim_new(instance, &tall, path, 1);
    dr_save *s = dr_save_begin();
    assert_int_equal(dr_optim_save(from, s, "optim."), DR_OK);
    assert_int_equal(dr_save_commit(s, "wide.safetensors"), DR_OK);
    dr_file *f = dr_file_open("wide.safetensors");
    assert_int_equal(dr_optim_load(to, f, "optim."), DR_ESHAPE);
    assert_error_has("the optimizer's state optim.exp_avg.w should be f32[3,2], and has another shape");
    dr_file_close(f);
    dr_optim_free(from);
    dr_optim_free(to);
    dr_instance_free(instance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weight_decay_pulls_to_zero_as_each_says),
        cmocka_unit_test(state_of_another_shape_is_refused),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
