/* The model that samplers see: guidance runs inside-out through the levels, classifier-free guidance mixes two halves
 * that ran as one batch, conditions reach the network as labels and masks, and what cannot be is said. */
#include "../host.h"

#include <math.h>

enum { B = 3 };

typedef struct seen { /* what the stub network was called with */
    int64_t calls, rows;
    double time;
} seen;

/* y = x + 10 mask + label: the null half is x + label. */
static dr_tensor *stub(void *ctx, dr_tensor *x, const dr_batch_cond *c)
{
    seen *s = ctx;
    s->calls++;
    s->rows = dr_tensor_view(x)->shape[0];
    s->time = dr_tensor_item(dr_slice(c->time, 0, 0, 1));
    if (!c->label) return x;
    dr_tensor *mask = dr_reshape(c->mask, DR_SHAPE(s->rows, 1, 1, 1));
    dr_tensor *label = dr_reshape(dr_cast(c->label, DR_F32), DR_SHAPE(s->rows, 1, 1, 1));
    return dr_add(x, dr_add(dr_scale(10.0, mask), label));
}

static double row(dr_tensor *y, int64_t b) { return dr_tensor_item(dr_slice(dr_slice(y, 0, b, 1), 3, 0, 1)); }
static dr_tensor *images(void) { return dr_tensor_full(DR_F32, DR_SHAPE(B, 1, 1, 2), 0.5); }
static dr_tensor *labels(void) { return dr_tensor_from(DR_I32, DR_SHAPE(B), (int32_t[]){ 1, 2, 3 }); }

static dr_instance *flow(void)
{
    dr_instance *p = dr_instance_new("process", "flow_matching", DR_ARGS(DR_S("predict", "x0")));
    assert_non_null(p);
    return p;
}

static dr_instance *cfg(double scale)
{
    dr_instance *g = dr_instance_new("guidance", "cfg", DR_ARGS(DR_R("scale", scale)));
    assert_non_null(g);
    return g;
}

static void cfg_mixes_both_halves_of_one_batch(void **state)
{
    (void)state;
    seen s = { 0 };
    dr_instance *process = flow(), *guidance = cfg(5.0);
    dr_model *f = dr_model_new(process, stub, &s);
    dr_model_guide(f, guidance);
    assert_int_equal(dr_model_condition(f, labels(), NULL, NULL), DR_OK);
    dr_tensor *y = dr_eval_x0(f, images(), 0.25);
    for (int b = 0; b < B; b++) assert_true(row(y, b) == 0.5 + 5.0 * 10.0 + (b + 1));
    assert_int_equal(s.calls, 1);
    assert_int_equal(dr_model_calls(f), 1);
    assert_int_equal(s.rows, 2 * B);
    assert_true(s.time == 0.25);
    dr_model_free(f);
    dr_instance_free(guidance);
    dr_instance_free(process);
}

/* y = x + 10 mask for the condition's rows, x's going round. */
static dr_tensor *sharing_stub(void *ctx, dr_tensor *x, const dr_batch_cond *c)
{
    seen *s = ctx;
    s->calls++;
    s->rows = dr_tensor_view(x)->shape[0];
    dr_tensor *mask = dr_reshape(c->mask, DR_SHAPE(-1, s->rows, 1, 1, 1));
    dr_tensor *y = dr_add(dr_reshape(x, DR_SHAPE(1, s->rows, 1, 1, 2)), dr_scale(10.0, mask));
    return dr_reshape(y, DR_SHAPE(-1, 1, 1, 2));
}

static void cfg_leaves_an_image_that_is_shared_as_it_is(void **state)
{
    (void)state;
    seen s = { 0 };
    dr_instance *process = flow(), *guidance = cfg(5.0);
    dr_model *f = dr_model_new(process, sharing_stub, &s);
    dr_model_shares_images(f);
    dr_model_guide(f, guidance);
    assert_int_equal(dr_model_condition(f, labels(), NULL, NULL), DR_OK);
    dr_tensor *y = dr_eval_x0(f, images(), 0.25);
    for (int b = 0; b < B; b++) assert_true(row(y, b) == 0.5 + 5.0 * 10.0);
    assert_int_equal(s.calls, 1);
    assert_int_equal(s.rows, B);
    dr_model_free(f);
    dr_instance_free(guidance);
    dr_instance_free(process);
}

static double with_scale(double scale, seen *s)
{
    dr_instance *process = flow(), *guidance = cfg(scale);
    dr_model *f = dr_model_new(process, stub, s);
    dr_model_guide(f, guidance);
    dr_model_condition(f, labels(), NULL, NULL);
    const double y = row(dr_eval_x0(f, images(), 0.25), 0);
    dr_model_free(f);
    dr_instance_free(guidance);
    dr_instance_free(process);
    return y;
}

static void scales_zero_and_one_take_one_half(void **state)
{
    (void)state;
    seen s = { 0 };
    assert_true(with_scale(0.0, &s) == 1.5 && s.rows == B);
    assert_true(with_scale(1.0, &s) == 11.5 && s.rows == B);
    assert_true(with_scale(0.5, &s) == 6.5 && s.rows == 2 * B);
    assert_true(with_scale(-1.0, &s) == -8.5 && s.rows == 2 * B);
}

/* The outer one sees the inner one's result as its conditional half: u + 2 ((u + 3 (c-u)) - u). */
static void guidance_stacks(void **state)
{
    (void)state;
    seen s = { 0 };
    dr_instance *process = flow(), *inner = cfg(3.0), *outer = cfg(2.0);
    dr_model *f = dr_model_new(process, stub, &s);
    dr_model_guide(f, inner);
    dr_model_guide(f, outer);
    dr_model_condition(f, labels(), NULL, NULL);
    for (int i = 0; i < 2; i++) assert_true(row(dr_eval_x0(f, images(), 0.25), 1) == 2.5 + 2.0 * 3.0 * 10.0);
    dr_model_free(f);
    dr_instance_free(inner);
    dr_instance_free(outer);
    dr_instance_free(process);
}

/* The weak network's answer is x - 1, whatever the condition. */
static dr_tensor *weak_stub(void *ctx, dr_tensor *x, const dr_batch_cond *c)
{
    (void)ctx, (void)c;
    return dr_affine(1.0, x, -1.0);
}

static void a_weak_network_is_asked_by_name(void **state)
{
    (void)state;
    seen s = { 0 };
    dr_instance *process = flow(), *guidance = dr_instance_new("guidance", "autoguidance", DR_ARGS(DR_R("scale", 3.0)));
    dr_model *f = dr_model_new(process, stub, &s);
    dr_model_guide(f, guidance);
    dr_model_condition(f, labels(), NULL, NULL);
    assert_null(dr_eval_x0(f, images(), 0.25));
    assert_error_has("the model has no network \"weak\"");
    dr_model_network(f, "weak", weak_stub, NULL);
    for (int b = 0; b < B; b++) /* w + 3 (c - w), w = x - 1, c = x + 10 + label */
        assert_true(row(dr_eval_x0(f, images(), 0.25), b) == -0.5 + 3.0 * (11.0 + b + 1));
    dr_model_free(f);
    dr_instance_free(guidance);
    dr_instance_free(process);
}

static double with_interval(double t, seen *s)
{
    dr_instance *process = flow();
    dr_instance *guidance =
        dr_instance_new("guidance", "cfg_interval", DR_ARGS(DR_R("scale", 5.0), DR_R("low", 0.5), DR_R("high", 2.0)));
    dr_model *f = dr_model_new(process, stub, s);
    dr_model_guide(f, guidance);
    dr_model_condition(f, labels(), NULL, NULL);
    const double y = row(dr_predict(f, images(), t, NULL), 0);
    dr_model_free(f);
    dr_instance_free(guidance);
    dr_instance_free(process);
    return y;
}

/* Here sigma/alpha = (1-t)/t: 2 at t = 1/3, 1/2 at t = 2/3. */
static void an_interval_guides_between_its_noise_levels_only(void **state)
{
    (void)state;
    seen s = { 0 };
    assert_true(with_interval(0.0, &s) == 11.5 && s.rows == B); /* pure noise: alpha is 0 */
    assert_true(with_interval(0.33, &s) == 11.5 && s.rows == B);
    assert_true(with_interval(0.34, &s) == 51.5 && s.rows == 2 * B);
    assert_true(with_interval(0.66, &s) == 51.5 && s.rows == 2 * B);
    assert_true(with_interval(0.67, &s) == 11.5 && s.rows == B);
    assert_true(with_interval(1.0, &s) == 11.5 && s.rows == B);
}

/* Conditional half: a, -a, unconditional: 0, 0, so the guided one is scale (a, -a) and its contrast `scale` times that. */
static dr_tensor *contrast_stub(void *ctx, dr_tensor *x, const dr_batch_cond *c)
{
    (void)ctx;
    const int64_t rows = dr_tensor_view(x)->shape[0];
    return dr_mul(x, dr_reshape(c->mask, DR_SHAPE(rows, 1, 1, 1)));
}

static void rescaled_guidance_keeps_the_contrast(void **state)
{
    static const struct { double phi, factor; } cases[] = { { 0.0, 5.0 }, { 1.0, 1.0 }, { 0.5, 3.0 } };
    (void)state;
    dr_instance *process = flow();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dr_instance *guidance =
            dr_instance_new("guidance", "cfg_rescale", DR_ARGS(DR_R("scale", 5.0), DR_R("phi", cases[i].phi)));
        dr_model *f = dr_model_new(process, contrast_stub, NULL);
        dr_model_guide(f, guidance);
        dr_model_condition(f, dr_tensor_from(DR_I32, DR_SHAPE(1), (int32_t[]){ 1 }), NULL, NULL);
        dr_tensor *x = dr_tensor_from(DR_F32, DR_SHAPE(1, 1, 1, 2), (float[]){ 0.5F, -0.25F });
        assert_true(fabs(row(dr_predict(f, x, 0.5, NULL), 0) - 0.5 * cases[i].factor) < 1e-6);
        dr_model_free(f);
        dr_instance_free(guidance);
    }
    dr_instance_free(process);
}

static void without_a_condition_guidance_changes_nothing(void **state)
{
    (void)state;
    seen s = { 0 };
    dr_instance *process = flow(), *guidance = cfg(5.0);
    dr_model *f = dr_model_new(process, stub, &s);
    dr_model_guide(f, guidance);
    assert_true(row(dr_eval_x0(f, images(), 0.25), 0) == 0.5);
    assert_int_equal(s.rows, B);
    dr_model_free(f);
    dr_instance_free(guidance);
    dr_instance_free(process);
}

static void labels_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    seen s = { 0 };
    dr_instance *process = flow();
    dr_model *f = dr_model_new(process, stub, &s);
    assert_int_not_equal(dr_model_condition(f, images(), NULL, NULL), DR_OK);
    assert_error_has("labels should be i32[B]");
    dr_model_condition(f, dr_slice(labels(), 0, 0, 2), NULL, NULL);
    assert_null(dr_eval_x0(f, images(), 0.25));
    assert_error_has("labels: 2 rows for 3 images");
    assert_int_equal(s.calls, 0);
    dr_model_free(f);
    dr_instance_free(process);
}

/* From an x0-prediction at t = 1 the noise cannot be had; the data can, exactly. */
static void what_is_not_determined_is_said(void **state)
{
    (void)state;
    seen s = { 0 };
    dr_instance *process = flow();
    dr_model *f = dr_model_new(process, stub, &s);
    assert_true(row(dr_eval_x0(f, images(), 1.0), 0) == 0.5);
    assert_true(dr_singular(f, 1.0));
    assert_false(dr_singular(f, 0.0));
    assert_null(dr_eval_eps(f, images(), 1.0));
    assert_error_has("does not determine the noise");
    assert_null(dr_eval(f, images(), 1.0));
    assert_error_has("does not determine the velocity");
    dr_model_free(f);
    dr_instance_free(process);

    process = dr_instance_new("process", "flow_matching", DR_NO_ARGS);
    f = dr_model_new(process, stub, &s);
    assert_false(dr_singular(f, 0.0) || dr_singular(f, 1.0)); /* a velocity is one everywhere */
    dr_model_free(f);
    dr_instance_free(process);

    process = dr_instance_new("process", "ddpm", DR_NO_ARGS);
    f = dr_model_new(process, stub, &s);
    assert_true(dr_singular(f, 0.0));
    assert_false(dr_singular(f, 1.0));
    dr_model_free(f);
    dr_instance_free(process);
}

static void memory_lasts_until_the_run_ends(void **state)
{
    (void)state;
    seen s = { 0 };
    dr_instance *process = flow();
    dr_model *f = dr_model_new(process, stub, &s);
    assert_null(dr_recall(f, "last"));
    dr_scope_open();
    dr_remember(f, "last", dr_tensor_full(DR_F32, DR_SHAPE(1), 7.0));
    dr_remember(f, "other", dr_tensor_full(DR_F32, DR_SHAPE(1), 8.0));
    dr_remember(f, "last", dr_tensor_full(DR_F32, DR_SHAPE(1), 9.0));
    dr_scope_close();
    assert_true(dr_tensor_item(dr_recall(f, "last")) == 9.0);
    assert_true(dr_tensor_item(dr_recall(f, "other")) == 8.0);
    dr_model_free(f);
    dr_instance_free(process);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cfg_mixes_both_halves_of_one_batch),
        cmocka_unit_test(cfg_leaves_an_image_that_is_shared_as_it_is),
        cmocka_unit_test(scales_zero_and_one_take_one_half),
        cmocka_unit_test(guidance_stacks),
        cmocka_unit_test(a_weak_network_is_asked_by_name),
        cmocka_unit_test(an_interval_guides_between_its_noise_levels_only),
        cmocka_unit_test(rescaled_guidance_keeps_the_contrast),
        cmocka_unit_test(without_a_condition_guidance_changes_nothing),
        cmocka_unit_test(labels_that_do_not_fit_are_refused),
        cmocka_unit_test(what_is_not_determined_is_said),
        cmocka_unit_test(memory_lasts_until_the_run_ends),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
