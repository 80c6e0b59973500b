/* The sampling loop: its grid, its callbacks, stopping it, the memory that it leaves; and the ancestral step against
 * the paper's formula, written out. */
#include "../host.h"

#include <math.h>

enum { B = 2, PIXELS = 9 };

static dr_tensor *half(void *ctx, dr_tensor *x, const dr_batch_cond *cond) /* predicts x/2 */
{
    (void)ctx, (void)cond;
    return dr_scale(0.5, x);
}

static dr_tensor *start(void)
{
    const dr_rng rng = { .seed = 3, .purpose = dr_purpose("start") };
    return dr_rand_normal(DR_F32, DR_SHAPE(B, 1, 3, 3), &rng);
}

typedef struct setup {
    dr_instance *process, *sampler;
    dr_model *f;
} setup;

static setup open_setup(const char *process, dr_args process_args, const char *sampler, dr_args sampler_args)
{
    setup s = { .process = dr_instance_new("process", process, process_args),
                .sampler = dr_instance_new("sampler", sampler, sampler_args) };
    assert_true(s.process && s.sampler);
    s.f = dr_model_new(s.process, half, NULL);
    return s;
}

static void close_setup(setup *s)
{
    dr_model_free(s->f);
    dr_instance_free(s->sampler);
    dr_instance_free(s->process);
}

static void check_grid(setup s, int64_t steps, double first, double second, double last)
{
    double *t = NULL;
    int64_t n = 0;
    assert_int_equal(dr_sample_grid(s.f, s.sampler, &t, &n), DR_OK);
    assert_int_equal(n, steps);
    assert_true(t[0] == first && t[1] == second && t[n] == last);
    free(t);
    close_setup(&s);
}

static void the_grid_is_even_from_noise_to_data(void **state)
{
    (void)state;
    check_grid(open_setup("flow_matching", DR_NO_ARGS, "euler", DR_ARGS(DR_I("steps", 4))), 4, 0.0, 0.25, 1.0);
    check_grid(open_setup("ddpm", DR_NO_ARGS, "ddpm", DR_NO_ARGS), 300, 300.0, 299.0, 0.0);
    check_grid(open_setup("ddpm", DR_NO_ARGS, "euler", DR_ARGS(DR_I("steps", 7))), 7, 300.0, 257.0, 0.0); /* whole */
    check_grid(open_setup("ddpm", DR_ARGS(DR_I("T", 3)), "euler", DR_ARGS(DR_I("steps", 6))), 6, 3.0, 2.5, 0.0);
}

static void all_steps_of_continuous_time_is_an_error(void **state)
{
    (void)state;
    setup s = open_setup("flow_matching", DR_NO_ARGS, "euler", DR_ARGS(DR_I("steps", 0)));
    assert_null(dr_sample(s.f, s.sampler, start(), (dr_rng){ 0 }, NULL, 0, NULL, NULL));
    assert_error_has("sampler euler: steps = 0");
    close_setup(&s);
}

typedef struct trace { int64_t calls, stop_at; double t[8]; } trace;

static dr_status watch(void *ctx, int64_t step, int64_t steps, double t, dr_tensor **x)
{
    trace *w = ctx;
    assert_int_equal(step, w->calls + 1);
    assert_int_equal(steps, 4);
    assert_non_null(*x);
    w->t[w->calls++] = t;
    return step == w->stop_at ? DR_EINTERRUPTED : DR_OK;
}

static void callbacks_follow_the_steps(void **state)
{
    (void)state;
    setup s = open_setup("flow_matching", DR_NO_ARGS, "euler", DR_ARGS(DR_I("steps", 4)));
    trace w = { 0 };
    assert_true(dr_grad_mode(true));
    dr_tensor *y = dr_sample(s.f, s.sampler, start(), (dr_rng){ 0 }, NULL, 0, watch, &w);
    assert_non_null(y);
    assert_int_equal(w.calls, 4);
    for (int i = 0; i < 4; i++) assert_true(w.t[i] == (i + 1) / 4.0);
    assert_int_equal(dr_model_calls(s.f), 4);
    assert_true(dr_grad_mode(true)); /* recording again */

    dr_tensor *x = start(), *expected = dr_scale(pow(1.0 + 0.25 * 0.5, 4), x); /* x' = x + dt x/2 */
    float a[B * PIXELS], b[B * PIXELS];
    dr_tensor_read(y, DR_F32, a);
    dr_tensor_read(expected, DR_F32, b);
    for (int i = 0; i < B * PIXELS; i++) assert_true(fabsf(a[i] - b[i]) < 1e-5f);
    close_setup(&s);
}

static void a_callback_stops_the_run(void **state)
{
    (void)state;
    setup s = open_setup("flow_matching", DR_NO_ARGS, "euler", DR_ARGS(DR_I("steps", 4)));
    trace w = { .stop_at = 2 };
    assert_null(dr_sample(s.f, s.sampler, start(), (dr_rng){ 0 }, NULL, 0, watch, &w));
    assert_int_equal(dr_failed(), DR_EINTERRUPTED);
    assert_error_has("stopped after step 2 of 4");
    assert_int_equal(w.calls, 2);
    close_setup(&s);
}

/* Sets x to the step's number, so that the last step begins at 3; step 4 gives another shape. */
typedef struct swap { int64_t wrong_at; } swap;

static dr_status replace_x(void *ctx, int64_t step, int64_t steps, double t, dr_tensor **x)
{
    const swap *w = ctx;
    (void)steps, (void)t;
    *x = dr_tensor_full(DR_F32, DR_SHAPE(B, 1, 3, step == w->wrong_at ? 4 : 3), (double)step);
    return DR_OK;
}

static void a_callback_may_put_another_x_in_place(void **state)
{
    (void)state;
    setup s = open_setup("flow_matching", DR_NO_ARGS, "euler", DR_ARGS(DR_I("steps", 4)));
    const double grid[5] = { 0.0, 0.25, 0.5, 0.75, 1.0 }; /* x' = x + x/8 from there on, were it not for the last callback */
    float got[B * PIXELS];
    for (int n = 3; n <= 4; n++) {
        swap w = { .wrong_at = -1 };
        dr_tensor *y = dr_sample(s.f, s.sampler, start(), (dr_rng){ 0 }, grid, n, replace_x, &w);
        assert_int_equal(dr_tensor_read(y, DR_F32, got), DR_OK);
        for (int i = 0; i < B * PIXELS; i++) assert_true(got[i] == (float)n);
    }
    swap w = { .wrong_at = 2 };
    assert_null(dr_sample(s.f, s.sampler, start(), (dr_rng){ 0 }, grid, 4, replace_x, &w));
    assert_error_has("what goes on in place of x f32[2,1,3,3] is f32[2,1,3,4]");
    close_setup(&s);
}

static dr_status replace_first(void *ctx, int64_t step, int64_t steps, double t, dr_tensor **x)
{
    (void)ctx, (void)steps, (void)t;
    if (step == 1) *x = dr_tensor_full(DR_F32, DR_SHAPE(B, 1, 3, 3), 8.0);
    return DR_OK;
}

static void the_next_step_begins_with_it(void **state)
{
    (void)state;
    setup s = open_setup("flow_matching", DR_NO_ARGS, "euler", DR_ARGS(DR_I("steps", 2)));
    dr_tensor *y = dr_sample(s.f, s.sampler, start(), (dr_rng){ 0 }, NULL, 0, replace_first, NULL);
    assert_true(dr_tensor_item(dr_slice(dr_reshape(y, DR_SHAPE(B * PIXELS)), 0, 0, 1)) == 10.0); /* 8 + 8/2 dt */
    close_setup(&s);
}

static void a_run_leaves_only_its_result(void **state)
{
    (void)state;
    setup s = open_setup("ddpm", DR_NO_ARGS, "ddpm", DR_NO_ARGS);
    size_t before, after, peak, reserved;
    dr_scope_open();
    dr_tensor *x = start();
    dr_device_memory(dr_device_current(), &before, &peak, &reserved);
    const size_t peak_before = peak;
    dr_tensor *y = dr_sample(s.f, s.sampler, x, (dr_rng){ .seed = 1 }, NULL, 0, NULL, NULL);
    assert_non_null(y);
    dr_device_memory(dr_device_current(), &after, &peak, &reserved);
    assert_true(after - before <= 1024);           /* y itself */
    assert_true(peak <= peak_before + 64 * 1024);  /* not 300 steps of it */
    dr_scope_close();
    close_setup(&s);
}

/* x' = sqrt(abar') beta/(1-abar) x0_hat + sqrt(alpha)(1-abar')/(1-abar) x + sqrt(beta) z,  z = 0 at the last step */
static void check_ancestral_step(double t, double t_next, bool posterior)
{
    setup s = open_setup("ddpm", DR_NO_ARGS, "ddpm", DR_ARGS(DR_S("variance", posterior ? "posterior" : "beta")));
    double abar = 1.0, abar_next = 1.0;
    for (int i = 0; i < (int)t; i++) abar *= 1.0 - (1e-4 + (0.02 - 1e-4) * i / 299.0);
    for (int i = 0; i < (int)t_next; i++) abar_next *= 1.0 - (1e-4 + (0.02 - 1e-4) * i / 299.0);
    const double alpha = abar / abar_next, beta = 1.0 - alpha;
    const double variance = posterior ? beta * (1 - abar_next) / (1 - abar) : t_next > 0 ? beta : 0.0;
    const dr_rng rng = { .seed = 5, .purpose = dr_purpose("sampler"), .sample = 3 };
    const double grid[2] = { t, t_next };
    float x[B * PIXELS], z[B * PIXELS], got[B * PIXELS];
    dr_tensor *start_x = start();
    dr_tensor_read(start_x, DR_F32, x);
    dr_tensor_read(dr_noise_like(start_x, &rng), DR_F32, z);
    assert_int_equal(dr_tensor_read(dr_sample(s.f, s.sampler, start_x, rng, grid, 1, NULL, NULL), DR_F32, got), DR_OK);
    for (int i = 0; i < B * PIXELS; i++) {
        const double eps = 0.5 * x[i], x0 = (x[i] - sqrt(1 - abar) * eps) / sqrt(abar);
        const double of_x0 = sqrt(abar_next) * beta / (1 - abar), of_x = sqrt(alpha) * (1 - abar_next) / (1 - abar);
        const double mean = of_x0 * x0 + of_x * x[i];
        assert_true(fabs(mean + sqrt(variance) * z[i] - got[i]) < 2e-6 * (1.0 + fabs(mean)));
    }
    close_setup(&s);
}

static void the_ancestral_step_is_the_papers(void **state)
{
    (void)state;
    static const double steps[][2] = { { 300, 299 }, { 2, 1 }, { 1, 0 }, { 270, 240 }, { 30, 0 } };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        check_ancestral_step(steps[i][0], steps[i][1], false);
        check_ancestral_step(steps[i][0], steps[i][1], true);
    }
}

static void the_estimate_can_be_clipped(void **state)
{
    (void)state;
    const double last[2] = { 1.0, 0.0 }; /* the last step returns the estimate itself */
    setup s = open_setup("ddpm", DR_NO_ARGS, "ddpm",
                         DR_ARGS(DR_B("clip", 1), DR_R("clip_min", -0.25), DR_R("clip_max", 0.5)));
    dr_tensor *y = dr_sample(s.f, s.sampler, start(), (dr_rng){ 0 }, last, 1, NULL, NULL);
    float got[B * PIXELS];
    int at_bound = 0;
    assert_int_equal(dr_tensor_read(y, DR_F32, got), DR_OK);
    for (int i = 0; i < B * PIXELS; i++) {
        assert_true(got[i] >= -0.25f - 1e-6f && got[i] <= 0.5f + 1e-6f);
        at_bound += fabsf(got[i] + 0.25f) < 1e-6f || fabsf(got[i] - 0.5f) < 1e-6f;
    }
    assert_true(at_bound > 3 && at_bound < B * PIXELS);
    close_setup(&s);
}

static void the_ancestral_step_refuses_what_it_cannot(void **state)
{
    (void)state;
    const double backwards[2] = { 10, 20 }, forwards[2] = { 0.5, 0.75 };
    setup s = open_setup("ddpm", DR_NO_ARGS, "ddpm", DR_NO_ARGS);
    assert_null(dr_sample(s.f, s.sampler, start(), (dr_rng){ 0 }, backwards, 1, NULL, NULL));
    assert_error_has("sampler ddpm: t = 10 to 20");
    close_setup(&s);
    s = open_setup("flow_matching", DR_NO_ARGS, "ddpm", DR_NO_ARGS);
    assert_null(dr_sample(s.f, s.sampler, start(), (dr_rng){ 0 }, forwards, 1, NULL, NULL));
    assert_error_has("variance = posterior");
    close_setup(&s);
    s = open_setup("flow_matching", DR_NO_ARGS, "ddpm", DR_ARGS(DR_S("variance", "posterior")));
    assert_non_null(dr_sample(s.f, s.sampler, start(), (dr_rng){ 0 }, forwards, 1, NULL, NULL));
    close_setup(&s);
}

static dr_tensor *add_noise(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    (void)self, (void)f, (void)t, (void)t_next;
    return dr_add(x, dr_noise_like(x, rng));
}

/* A sampler that is called for each row alone draws what it would for all of them. */
static void rows_alone_have_their_own_noise(void **state)
{
    static const dr_component component = { .size = sizeof component, .kind = "sampler/1", .name = "add_noise" };
    const dr_rng rng = { .seed = 8, .purpose = dr_purpose("sampler"), .sample = 5 };
    const double grid[3] = { 0.0, 0.5, 1.0 };
    float y[2][B * PIXELS];
    (void)state;
    for (uint32_t flags = 0; flags < 2; flags++) {
        const dr_sampler api = { .size = sizeof api, .step = add_noise, .flags = flags ? DR_SAMPLER_ROW_BY_ROW : 0 };
        dr_instance sampler = { .component = &component, .iface = &api };
        setup s = open_setup("flow_matching", DR_NO_ARGS, "euler", DR_NO_ARGS);
        dr_tensor_read(dr_sample(s.f, &sampler, start(), rng, grid, 2, NULL, NULL), DR_F32, y[flags]);
        close_setup(&s);
    }
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_true(y[0][0] != y[0][PIXELS]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_grid_is_even_from_noise_to_data),
        cmocka_unit_test(all_steps_of_continuous_time_is_an_error),
        cmocka_unit_test(callbacks_follow_the_steps),
        cmocka_unit_test(a_callback_stops_the_run),
        cmocka_unit_test(a_callback_may_put_another_x_in_place),
        cmocka_unit_test(the_next_step_begins_with_it),
        cmocka_unit_test(a_run_leaves_only_its_result),
        cmocka_unit_test(the_ancestral_step_is_the_papers),
        cmocka_unit_test(the_estimate_can_be_clipped),
        cmocka_unit_test(the_ancestral_step_refuses_what_it_cannot),
        cmocka_unit_test(rows_alone_have_their_own_noise),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
