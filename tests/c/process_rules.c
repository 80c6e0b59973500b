/* What a process asks for reaches the network: its scale of the input (c_in), its weight of the loss, in training and
 * in sampling. No process among the plugins has either, so this one is made here:
 *   x_t = x0 + t eps,  target eps,  c_in = 1/2,  weight = t */
#include "../host.h"

#include <math.h>

static void coef(void *self, double t, dr_coef *c)
{
    (void)self;
    *c = (dr_coef){ .alpha = 1.0, .sigma = t, .dsigma = 1.0, .q = 1.0, .c_in = 0.5, .time = t, .weight = t };
}

static void range(void *self, double *t_noise, double *t_data, int64_t *steps)
{
    (void)self;
    *t_noise = 4.0, *t_data = 0.0, *steps = 0;
}

static const dr_process api = { .size = sizeof(dr_process), .coef = coef, .range = range };
static const dr_component component = { .size = sizeof(dr_component), .kind = "process/1", .name = "scaled" };

static dr_tensor *filled(double value) { return dr_tensor_full(DR_F32, DR_SHAPE(2, 1, 1, 1), value); }

static void the_input_is_scaled_and_the_loss_weighed(void **state)
{
    (void)state;
    dr_instance process = { .component = &component, .iface = &api };
    const double t[2] = { 1.0, 4.0 };
    float x_t[2], input[2], weight[2];
    dr_noised n;
    assert_int_equal(dr_noising(&process, NULL, filled(3.0), filled(2.0), t, &n), DR_OK);
    assert_non_null(n.weight);
    dr_tensor_read(n.x_t, DR_F32, x_t);
    dr_tensor_read(n.input, DR_F32, input);
    dr_tensor_read(n.weight, DR_F32, weight);
    for (int b = 0; b < 2; b++) {
        assert_true(x_t[b] == 3.0 + t[b] * 2.0);
        assert_true(input[b] == 0.5 * x_t[b]);
        assert_true(weight[b] == t[b]);
    }
}

static dr_tensor *same(void *ctx, dr_tensor *x, const dr_batch_cond *cond)
{
    (void)ctx, (void)cond;
    return x;
}

static void a_sampler_s_network_sees_the_scaled_input(void **state)
{
    (void)state;
    dr_instance process = { .component = &component, .iface = &api };
    dr_model *f = dr_model_new(&process, same, NULL);
    assert_true(dr_tensor_item(dr_slice(dr_eval_eps(f, filled(8.0), 1.0), 0, 0, 1)) == 4.0);
    dr_model_free(f);
}

static void a_target_that_is_not_finite_is_refused(void **state)
{
    (void)state;
    dr_instance *process = dr_instance_new("process", "ddpm", DR_ARGS(DR_S("predict", "velocity")));
    const double t[2] = { 5.0, 0.0 };
    dr_noised n;
    assert_int_not_equal(dr_noising(process, NULL, filled(1.0), filled(1.0), t, &n), DR_OK);
    assert_error_has("process ddpm: t = 0 cannot be trained on: the target is not finite there");
    dr_instance_free(process);
}

static void ddpm_asks_for_what_predict_says(void **state)
{
    (void)state;
    static const char *const predict[] = { "eps", "x0", "v", "velocity" };
    for (int i = 0; i < 4; i++) {
        dr_instance *process = dr_instance_new("process", "ddpm", DR_ARGS(DR_S("predict", predict[i])));
        dr_coef c = { 0 };
        ((const dr_process *)process->iface)->coef(process->self, 100.0, &c);
        const double p[] = { 0.0, 1.0, -c.sigma, c.dalpha }, q[] = { 1.0, 0.0, c.alpha, c.dsigma };
        assert_true(c.p == p[i] && c.q == q[i]);
        dr_instance_free(process);
    }
}

static void ddpm_tells_the_network_a_fraction_or_an_index(void **state)
{
    static const struct { const char *time; double t, told; } cases[] = {
        { "fraction", 300, 1.0 }, { "fraction", 75, 0.25 }, { "index", 300, 299 }, { "index", 1, 0 },
        { "index", 10.5, 9.5 }, { "index", 0.25, 0 }, /* below the first step there is none */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dr_instance *process = dr_instance_new("process", "ddpm", DR_ARGS(DR_S("time", cases[i].time)));
        dr_coef c;
        dr_process_coef(process, cases[i].t, &c);
        assert_true(c.time == cases[i].told);
        dr_instance_free(process);
    }
}

/* ---- back to more noise ------------------------------------------------------------------------------------------ */

static double first(dr_tensor *x) { return dr_tensor_item(dr_slice(x, 0, 0, 1)); }

/* One step back is one step of the chain itself: sqrt(1 - beta) x + sqrt(beta) z. */
static void renoising_goes_back_along_the_chain(void **state)
{
    (void)state;
    dr_instance *schedule = dr_instance_new("schedule", "linear", DR_NO_ARGS);
    dr_instance *process = dr_instance_new("process", "ddpm", DR_NO_ARGS);
    for (int t = 0; t < 300; t += 50) {
        const double beta = dr_schedule_beta(schedule, t, 300);
        dr_tensor *y = dr_renoise(process, filled(3.0), t, t + 1, filled(2.0));
        assert_true(fabs(first(y) - (sqrt(1.0 - beta) * 3.0 + sqrt(beta) * 2.0)) < 1e-6);
    }
    dr_tensor *x = filled(3.0);
    assert_ptr_equal(dr_renoise(process, x, 20, 20, filled(2.0)), x);
    assert_null(dr_renoise(process, x, 20, 19, filled(2.0)));
    assert_error_has("renoise: t = 20 to 19 does not go towards the noise");
    dr_instance_free(process);
    dr_instance_free(schedule);
}

/* From the data, it is the forward process; from anywhere, what is at t' has the law of the forward process there. */
static void renoising_has_the_forward_process_s_law(void **state)
{
    static const struct { const char *process; double data, from, to; } cases[] = {
        { "ddpm", 0, 100, 250 }, { "flow_matching", 1, 0.75, 0.25 }, { "edm", 0, 0.5, 7 }, { "vp", 0, 0.25, 1 },
        { "ve", 0, 0.25, 1 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dr_instance *process = dr_instance_new("process", cases[i].process, DR_NO_ARGS);
        dr_coef from, to;
        dr_process_coef(process, cases[i].from, &from);
        dr_process_coef(process, cases[i].to, &to);
        const double x = first(dr_renoise(process, filled(3.0), cases[i].data, cases[i].to, filled(2.0)));
        assert_true(fabs(x - (to.alpha * 3.0 + to.sigma * 2.0)) < 1e-5 * (1.0 + fabs(x)));
        const double a = first(dr_renoise(process, filled(1.0), cases[i].from, cases[i].to, filled(0.0)));
        const double b = first(dr_renoise(process, filled(0.0), cases[i].from, cases[i].to, filled(1.0)));
        assert_true(fabs(a * from.alpha - to.alpha) < 1e-6);
        assert_true(fabs(hypot(a * from.sigma, b) - to.sigma) < 1e-6 * (1.0 + to.sigma));
        dr_instance_free(process);
    }
}

/* ---- guidance on guidance: the one given last is outermost ------------------------------------------------------- */

static dr_tensor *plus_one(void *self, dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    (void)self;
    dr_tensor *y = dr_predict(f, x, t, cond);
    return dr_add(y, dr_tensor_full(DR_F32, DR_SHAPE(1), 1.0));
}

static dr_tensor *times_three(void *self, dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    (void)self;
    return dr_scale(3.0, dr_predict(f, x, t, cond));
}

static void guidance_given_last_is_outermost(void **state)
{
    (void)state;
    static const dr_guidance plus = { .size = sizeof(dr_guidance), .eval = plus_one },
                             times = { .size = sizeof(dr_guidance), .eval = times_three };
    dr_instance process = { .component = &component, .iface = &api };
    dr_instance inner = { .component = &component, .iface = &plus },
                outer = { .component = &component, .iface = &times };
    dr_model *f = dr_model_new(&process, same, NULL);
    dr_model_guide(f, &inner);
    dr_model_guide(f, &outer);
    assert_true(dr_tensor_item(dr_slice(dr_eval_eps(f, filled(8.0), 1.0), 0, 0, 1)) == 3.0 * (4.0 + 1.0));
    dr_model_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_input_is_scaled_and_the_loss_weighed),
        cmocka_unit_test(a_sampler_s_network_sees_the_scaled_input),
        cmocka_unit_test(a_target_that_is_not_finite_is_refused),
        cmocka_unit_test(ddpm_asks_for_what_predict_says),
        cmocka_unit_test(ddpm_tells_the_network_a_fraction_or_an_index),
        cmocka_unit_test(renoising_goes_back_along_the_chain),
        cmocka_unit_test(renoising_has_the_forward_process_s_law),
        cmocka_unit_test(guidance_given_last_is_outermost),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
