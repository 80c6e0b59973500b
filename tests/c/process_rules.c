/* What a process asks for reaches the network: its scale of the input (c_in), its weight of the loss, in training and
 * in sampling. No process among the plugins has either, so this one is made here:
 *   x_t = x0 + t eps,  target eps,  c_in = 1/2,  weight = t */
#include "../host.h"

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
        cmocka_unit_test(guidance_given_last_is_outermost),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
