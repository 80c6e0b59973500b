/* Every clip: what it does to one image does not depend on the others, what lies well within the data's range stays, and
 * what it gives lies within; each one's own rule; and under every sampler, estimates of the data are clipped wherever they
 * are made, so that what is sampled is in range. */
#include "known_data.h"
#include "walk.h"

#include <math.h>

static dr_instance *clip_of(const char *name, dr_args args)
{
    dr_instance *i = dr_instance_new("clip", name, args);
    if (!i) fail_msg("%s", dr_error_message());
    return i;
}

static dr_tensor *apply(dr_instance *clip, dr_tensor *x0)
{
    return ((const dr_clip *)clip->iface)->apply(clip->self, x0);
}

/* ---- every one of them ------------------------------------------------------------------------------------------ */

static void clips_hold_each_image_within_the_data(void **state)
{
    (void)state;
    every("clip", 2, "holds each image within the data");
}

/* ---- each one's rule -------------------------------------------------------------------------------------------- */

static void range_clamps_each_value(void **state)
{
    (void)state;
    dr_instance *clip = clip_of("range", DR_ARGS(DR_R("min", 0), DR_R("max", 0.5)));
    float y[4];
    dr_tensor *x0 = dr_tensor_from(DR_F32, DR_SHAPE(1, 1, 2, 2), (float[]){ -2, 0.25F, 0.5F, 9 });
    dr_tensor_read(apply(clip, x0), DR_F32, y);
    assert_true(y[0] == 0.0f && y[1] == 0.25f && y[2] == 0.5f && y[3] == 0.5f);
    dr_instance_free(clip);
    assert_null(dr_instance_new("clip", "range", DR_ARGS(DR_R("min", 0.5), DR_R("max", 0.5))));
    assert_error_has("clip range: min = 0.5 is not below max = 0.5");
}

/* |x0| is 0.1, 0.2, ..: of 11 values the quantile 0.75 lies halfway between the 8th and the 9th. */
static void check_threshold(double unit, double max, double s)
{
    float x[11], y[11];
    for (int i = 0; i < 11; i++) x[i] = (float)(unit * (i + 1) * (i % 2 ? -1 : 1));
    dr_instance *clip = clip_of("dynamic_threshold", DR_ARGS(DR_R("ratio", 0.75), DR_R("max", max)));
    dr_tensor *other = noise(DR_F32, DR_SHAPE(1, 1, 1, 11), 3); /* an image with a threshold of its own */
    dr_tensor *both[2] = { dr_tensor_from(DR_F32, DR_SHAPE(1, 1, 1, 11), x), dr_scale(5.0, other) };
    dr_tensor_read(dr_slice(apply(clip, dr_concat(both, 2, 0)), 0, 0, 1), DR_F32, y);
    for (int i = 0; i < 11; i++) assert_true(fabs(y[i] - fmin(fmax(x[i], -s), s) / s) < 1e-6);
    dr_instance_free(clip);
}

static void the_dynamic_threshold_is_a_quantile(void **state)
{
    (void)state;
    check_threshold(0.05, 1.5, 1.0); /* all within [-1, 1] */
    check_threshold(0.15, 1.5, 0.15 * 8.5);
    check_threshold(0.3, 1.5, 1.5); /* no more than max */
    check_threshold(0.15, 1.0, 1.0); /* a plain clip */
    assert_null(dr_instance_new("clip", "dynamic_threshold", DR_ARGS(DR_R("max", 0.5))));
    assert_error_has("clip dynamic_threshold: max = 0.5 is outside [1,");
}

/* ---- in a model ------------------------------------------------------------------------------------------------- */

/* Almost no signal is left at t = T of the cosine chain: there x0 taken back out of eps would have no digits. */
static void an_estimate_is_the_clipped_one_itself(void **state)
{
    (void)state;
    const dr_arg cosine = { .name = "schedule", .type = DR_PARAM_COMPONENT, .text = "cosine" };
    dr_instance *process = dr_instance_new("process", "ddpm", DR_ARGS(DR_I("T", 1000), cosine));
    dr_instance *clip = clip_of("range", DR_ARGS(DR_R("min", -0.3), DR_R("max", 0.7)));
    known_data k = { process, 1000.0 };
    dr_process api;
    dr_instance seen = watched(process, &api);
    dr_model *f = dr_model_new(&seen, best_prediction, &k);
    for (int t = 1; t <= 1000; t += 111) {
        dr_tensor *x = noise(DR_F32, DR_SHAPE(2, 1, 8, 8), (uint32_t)t);
        dr_model_clip(f, NULL);
        dr_tensor *expected = apply(clip, dr_eval_x0(f, x, t));
        dr_model_clip(f, clip);
        dr_tensor *x0 = dr_eval_x0(f, x, t), *eps = dr_eval_eps(f, x, t), *v = dr_eval(f, x, t);
        assert_true(max_difference(x0, expected) == 0.0);
        const dr_coef c = coef_at(process, t);
        dr_tensor *again = dr_axpy(c.alpha, x0, dr_scale(c.sigma, eps)); /* x = alpha x0 + sigma eps */
        assert_true(max_difference(again, x) < 1e-5);
        assert_true(max_difference(v, dr_axpy(c.dalpha, x0, dr_scale(c.dsigma, eps))) < 1e-4 * (1.0 + fabs(c.dsigma)));
    }
    dr_model_free(f);
    dr_instance_free(clip);
    dr_instance_free(process);
}

static void where_x0_says_nothing_of_the_velocity_it_is_singular(void **state)
{
    (void)state;
    dr_instance *process = dr_instance_new("process", "flow_matching", DR_NO_ARGS);
    dr_instance *clip = clip_of("range", DR_NO_ARGS);
    known_data k = { process, 1.0 };
    dr_model *f = dr_model_new(process, best_prediction, &k);
    assert_false(dr_singular(f, 1.0));
    dr_model_clip(f, clip);
    assert_true(dr_singular(f, 1.0) && !dr_singular(f, 0.0) && !dr_singular(f, 0.999));
    dr_model_free(f);
    dr_instance_free(clip);
    dr_instance_free(process);
}

/* ---- under every sampler ---------------------------------------------------------------------------------------- */

static void every_sampler_has_it(void **state)
{
    (void)state;
    every("sampler", 10, "estimates of the data can be clipped");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clips_hold_each_image_within_the_data),
        cmocka_unit_test(range_clamps_each_value),
        cmocka_unit_test(the_dynamic_threshold_is_a_quantile),
        cmocka_unit_test(an_estimate_is_the_clipped_one_itself),
        cmocka_unit_test(where_x0_says_nothing_of_the_velocity_it_is_singular),
        cmocka_unit_test(every_sampler_has_it),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
