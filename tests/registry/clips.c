/* Every clip: what it does to one image does not depend on the others, what lies well within the data's range stays, and
 * what it gives lies within; each one's own rule; and under every sampler, estimates of the data are clipped wherever they
 * are made, so that what is sampled is in range. */
#include "known_data.h"

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

static void check_clip(const dr_component *c)
{
    walk_args a;
    default_args(c, &a);
    dr_instance *clip = clip_of(c->name, a.args);
    dr_tensor *x0 = noise(DR_F32, DR_SHAPE(4, 3, 5, 7), 1), *small = dr_tanh(x0);
    dr_tensor *y = apply(clip, x0);
    assert_true(max_difference(dr_slice(y, 0, 2, 1), apply(clip, dr_slice(x0, 0, 2, 1))) == 0.0);
    assert_true(max_difference(y, x0) > 0.0);
    assert_true(max_difference(apply(clip, small), small) == 0.0);
    assert_true(dr_tensor_item(dr_amax(dr_abs(apply(clip, dr_scale(9.0, x0))), 0, NULL, false)) <= 1.0);
    dr_instance_free(clip);
}

static void clips_hold_each_image_within_the_data(void **state)
{
    (void)state;
    for_each("clip", 2, check_clip);
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

static int64_t applied;

static dr_tensor *counting(void *self, dr_tensor *x0)
{
    (void)self;
    applied++;
    return dr_clamp(x0, 0.3, 0.5);
}

/* The data are N(0.4, 0.6^2), so that most of what is sampled without a clip lies outside. What is left of an ODE's last
 * step is a hundredth of the way. */
static void check_sampler_in(const dr_component *c, const world *w)
{
    static const dr_clip api = { .size = sizeof api, .apply = counting };
    static const dr_component component = { .size = sizeof component, .kind = "clip/1", .name = "counting" };
    dr_instance clip = { .component = &component, .iface = &api };
    place p;
    walk_args a;
    enter(&p, w);
    default_args(c, &a);
    if (has_param(c, "steps") && !has_param(c, "adaptive")) add_arg(&a, (dr_arg)DR_I("steps", 100));
    if (!w->unit && has_param(c, "variance")) add_arg(&a, (dr_arg)DR_S("variance", "posterior"));
    if (has_param(c, "rtol")) { /* a clip has kinks, which cost an adaptive walk many steps */
        add_arg(&a, (dr_arg)DR_R("rtol", 1e-3));
        add_arg(&a, (dr_arg)DR_R("atol", 1e-3));
    }
    dr_instance *sampler = dr_instance_new("sampler", c->name, a.args);
    const dr_rng rng = { .seed = 3, .purpose = dr_purpose("sampler") };
    dr_tensor *x = start_of(&p, DR_F32, 3, 6, 3);
    dr_tensor *free_y = dr_sample(p.f, sampler, x, rng, NULL, 0, NULL, NULL);
    dr_model_clip(p.f, &clip);
    applied = 0;
    const int64_t before = dr_model_calls(p.f);
    dr_tensor *y = dr_sample(p.f, sampler, x, rng, NULL, 0, NULL, NULL);
    if (!y) fail_msg("%s on %s: %s", c->name, w->process, dr_error_message());
    assert_true(applied > 0 && applied == dr_model_calls(p.f) - before);
    dr_tensor *off = dr_amax(dr_abs(dr_affine(1.0, y, -0.4)), 0, NULL, false);
    dr_tensor *off_free = dr_amax(dr_abs(dr_affine(1.0, free_y, -0.4)), 0, NULL, false);
    print_message("        %s: within %.4f of the middle, without a clip %.2f\n", w->process, dr_tensor_item(off),
                  dr_tensor_item(off_free));
    assert_true(dr_tensor_item(off) < 0.1 + 0.03 && dr_tensor_item(off_free) > 0.5);
    dr_instance_free(sampler);
    leave(&p);
}

static void check_sampler(const dr_component *c)
{
    for (int i = 0; i < WORLDS; i++) check_sampler_in(c, &worlds[i]);
}

static void every_sampler_has_it(void **state)
{
    (void)state;
    for_each("sampler", 10, check_sampler);
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
