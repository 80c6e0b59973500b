/* Every process, with every choice of what the network predicts: it inverts itself (the data, the noise, v and the
 * velocity come back from the prediction), its derivatives are those of its coefficients, it goes from noise to data
 * with ever more signal, its training times lie within and can be trained on, and the best network's samples are the
 * data. Every schedule: betas between 0 and 1, ever less signal. */
#include "walk.h"

#include <math.h>

static const dr_process *api_of(const dr_instance *p) { return p->iface; }

static dr_coef coef_at(dr_instance *p, double t)
{
    dr_coef c = { 0 };
    api_of(p)->coef(p->self, t, &c);
    return c;
}

static dr_tensor *never_asked(void *ctx, dr_tensor *input, const dr_batch_cond *cond)
{
    (void)ctx, (void)cond;
    return input;
}

static void every_process_inverts_itself(void **state)
{
    (void)state;
    every("process", 6, "inverts itself, and its samples are the data");
}

/* ---- what papers say of single processes --------------------------------------------------------------------------- */

static bool close_to(double a, double b) { return fabs(a - b) <= 1e-12 * fmax(1.0, fabs(b)); }

/* D = c_skip x + c_out F, with F the prediction; the weight of the data's error is lambda. */
static void edm_is_preconditioned_as_the_paper_says(void **state)
{
    (void)state;
    const double sd = 0.7, sigmas[] = { 0.002, 0.1, 0.7, 5.0, 80.0, 200.0 };
    dr_instance *p = dr_instance_new("process", "edm", DR_ARGS(DR_R("sigma_data", sd)));
    for (size_t i = 0; i < sizeof sigmas / sizeof *sigmas; i++) {
        const double t = sigmas[i], sum = t * t + sd * sd, c_skip = sd * sd / sum, c_out = t * sd / sqrt(sum);
        const dr_coef c = coef_at(p, t);
        assert_true(close_to(c.p, (1.0 - c_skip) / c_out) && close_to(c.q, -c_skip * t / c_out));
        assert_true(close_to(c.c_in, 1.0 / sqrt(sum)) && close_to(c.time, log(t) / 4.0));
        assert_true(close_to(c.weight, sum / (t * t * sd * sd) * c_out * c_out));
        assert_true(dr_process_time(p, t) == t);
        /* the target has variance 1 for data of deviation sd: that is what c_out is for */
        assert_true(close_to(c.p * c.p * sd * sd + c.q * c.q, 1.0));
    }
    assert_true(fabs(api_of(p)->draw_t(p->self, 0.5) - exp(-1.2)) < 1e-15);
    assert_true(close_to(log(api_of(p)->draw_t(p->self, 0.8413447460685429)), 0.0));
    dr_instance_free(p);
    assert_null(dr_instance_new("process", "edm", DR_ARGS(DR_R("sigma_min", 5), DR_R("sigma_max", 5))));
    assert_error_has("sigma_min = 5 should be below sigma_max = 5");
}

static void an_edm_network_is_not_asked_at_no_noise(void **state)
{
    (void)state;
    dr_instance *p = dr_instance_new("process", "edm", DR_NO_ARGS);
    dr_model *f = dr_model_new(p, never_asked, NULL);
    assert_true(dr_singular(f, 0.0) && !dr_singular(f, 0.002));
    assert_null(dr_eval(f, noise(DR_F32, DR_SHAPE(1, 1, 2, 2), 1), 0.0));
    assert_error_has("process edm: the network cannot be asked at t = 0");
    dr_model_free(f);
    dr_instance_free(p);
}

/* A chain with beta_i = beta(i/T)/T goes to the VP SDE as T grows. */
static void ddpm_goes_to_vp(void **state)
{
    (void)state;
    enum { T = 100000 };
    const dr_args linear = DR_ARGS(DR_R("beta_start", 0.1 / T), DR_R("beta_end", 20.0 / T));
    const dr_arg schedule = { .name = "schedule", .type = DR_PARAM_COMPONENT, .text = "linear", .children = &linear };
    dr_instance *chain = dr_instance_new("process", "ddpm", DR_ARGS(schedule, DR_I("T", T)));
    dr_instance *sde = dr_instance_new("process", "vp", DR_NO_ARGS);
    for (int i = 1; i <= 10; i++) {
        const dr_coef a = coef_at(chain, i * (T / 10.0)), b = coef_at(sde, i / 10.0);
        assert_true(fabs(a.alpha - b.alpha) < 1e-4 && fabs(a.sigma - b.sigma) < 1e-4);
        assert_true(fabs(b.alpha * b.alpha + b.sigma * b.sigma - 1.0) < 1e-15);
    }
    dr_instance_free(chain);
    dr_instance_free(sde);
}

static void ve_is_geometric(void **state)
{
    (void)state;
    dr_instance *p = dr_instance_new("process", "ve", DR_NO_ARGS);
    for (int i = 1; i <= 10; i++) {
        const double paper = 0.01 * pow(5000.0, i / 10.0); /* without s(0)^2 */
        assert_true(close_to(hypot(coef_at(p, i / 10.0).sigma, 0.01), paper));
    }
    assert_true(dr_process_time(p, INFINITY) == 1.0);
    dr_instance_free(p);
    assert_null(dr_instance_new("process", "ve", DR_ARGS(DR_R("sigma_min", 5), DR_R("sigma_max", 4))));
    assert_error_has("sigma_min = 5 should be below sigma_max = 4");
}

static void the_schedules_are_the_papers(void **state)
{
    (void)state;
    enum { T = 1000 };
    dr_instance *scaled = dr_instance_new("schedule", "scaled_linear", DR_NO_ARGS);
    assert_true(close_to(dr_schedule_beta(scaled, 0, T), 0.00085) && close_to(dr_schedule_beta(scaled, T - 1, T), 0.012));
    const double root = (sqrt(0.00085) * 2 + sqrt(0.012)) / 3;
    assert_true(close_to(dr_schedule_beta(scaled, 333, T), root * root)); /* 333/999 = 1/3 */
    dr_instance *as_beta = dr_instance_new("schedule", "sigmoid_beta", DR_NO_ARGS);
    assert_true(close_to(dr_schedule_beta(as_beta, 0, T), 1e-4 + 0.0199 / (1 + exp(6.0))));
    assert_true(close_to(dr_schedule_beta(as_beta, 50, 101), 1e-4 + 0.0199 / 2));
    dr_instance *as_abar = dr_instance_new("schedule", "sigmoid", DR_NO_ARGS);
    double abar = 1.0;
    for (int i = 0; i < T; i++) {
        abar *= 1.0 - dr_schedule_beta(as_abar, i, T);
        const double v0 = 1 / (1 + exp(3.0)), v1 = 1 / (1 + exp(-3.0)), v = 1 / (1 + exp(3.0 - 6.0 * (i + 1) / T));
        if (i < T - 1) assert_true(fabs(abar - (v1 - v) / (v1 - v0)) < 1e-12);
    }
    assert_true(dr_schedule_beta(as_abar, T - 1, T) == 0.999);
    dr_instance_free(scaled);
    dr_instance_free(as_beta);
    dr_instance_free(as_abar);
}

/* ---- schedules ------------------------------------------------------------------------------------------------------- */

static void every_schedule_stays_between_0_and_1(void **state)
{
    (void)state;
    every("schedule", 6, "betas stay between 0 and 1");
}

static void every_schedule_makes_a_chain(void **state)
{
    (void)state;
    every("schedule", 6, "makes a chain whose signal falls at every step");
}

static double beta_of_one(int64_t i, int64_t T) { return i == T - 1 ? 1.0 : 0.01; }

static void a_beta_of_one_is_refused(void **state)
{
    (void)state;
    const dr_arg beta = { .name = "beta", .type = DR_PARAM_FUNCTION, .fn = (dr_function)beta_of_one };
    const dr_args args = DR_ARGS(beta);
    const dr_arg schedule = { .name = "schedule", .type = DR_PARAM_COMPONENT, .text = "custom", .children = &args };
    assert_null(dr_instance_new("process", "ddpm", DR_ARGS(schedule)));
    assert_error_has("schedule custom: beta of step 299 is 1");
    assert_null(dr_instance_new("process", "ddpm", DR_ARGS(DR_S("schedule", "custom"))));
    assert_error_has("beta is required");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_process_inverts_itself),
        cmocka_unit_test(edm_is_preconditioned_as_the_paper_says),
        cmocka_unit_test(an_edm_network_is_not_asked_at_no_noise),
        cmocka_unit_test(ddpm_goes_to_vp),
        cmocka_unit_test(ve_is_geometric),
        cmocka_unit_test(the_schedules_are_the_papers),
        cmocka_unit_test(every_schedule_stays_between_0_and_1),
        cmocka_unit_test(every_schedule_makes_a_chain),
        cmocka_unit_test(a_beta_of_one_is_refused),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
