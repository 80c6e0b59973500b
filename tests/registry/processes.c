/* Every process, with every choice of what the network predicts: it inverts itself (the data, the noise, v and the
 * velocity come back from the prediction), its derivatives are those of its coefficients, it goes from noise to data,
 * and its training times lie within. Every schedule: betas between 0 and 1. */
#include "walk.h"

#include <math.h>

enum { B = 4 };

static const dr_process *api_of(const dr_instance *p) { return p->iface; }

static dr_coef coef_at(dr_instance *p, double t)
{
    dr_coef c = { 0 };
    api_of(p)->coef(p->self, t, &c);
    return c;
}

static void range_of(dr_instance *p, double *t_noise, double *t_data)
{
    int64_t steps;
    api_of(p)->range(p->self, t_noise, t_data, &steps);
}

static dr_tensor *mix(double a, dr_tensor *x0, double b, dr_tensor *eps) { return dr_axpy(a, x0, dr_scale(b, eps)); }

/* What comes back from x_t and the target must be what x0 and eps were made of. */
static void inverts_itself(dr_instance *p, double t)
{
    const dr_coef c = coef_at(p, t);
    dr_tensor *x0 = noise(DR_F64, DR_SHAPE(B, 1, 3, 3), 1), *eps = noise(DR_F64, DR_SHAPE(B, 1, 3, 3), 2);
    dr_tensor *x = mix(c.alpha, x0, c.sigma, eps), *y = mix(c.p, x0, c.q, eps);
    const double wanted[][2] = { { 1, 0 }, { 0, 1 }, { -c.sigma, c.alpha }, { c.dalpha, c.dsigma } };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const double a = wanted[i][0], b = wanted[i][1];
        dr_tensor *got = dr_prediction_to(&c, x, y, a, b);
        if (!got) fail_msg("t = %g: %s", t, dr_error_message());
        const double scale = fmax(1.0, hypot(a, b)) / fmin(1.0, fmin(c.alpha, c.sigma));
        const double error = max_difference(got, mix(a, x0, b, eps));
        if (!(error < 1e-9 * scale)) fail_msg("t = %g: %g x0 + %g eps is off by %g", t, a, b, error);
    }
}

static void check_derivatives(dr_instance *p, double t, double h)
{
    const dr_coef c = coef_at(p, t), up = coef_at(p, t + h), down = coef_at(p, t - h);
    assert_true(fabs((up.alpha - down.alpha) / (2 * h) - c.dalpha) < 1e-5 * fmax(1.0, fabs(c.dalpha)));
    assert_true(fabs((up.sigma - down.sigma) / (2 * h) - c.dsigma) < 1e-5 * fmax(1.0, fabs(c.dsigma)));
}

static void check_noising(dr_instance *p, double t_noise, double t_data)
{
    dr_tensor *x0 = noise(DR_F32, DR_SHAPE(B, 2, 3, 3), 1), *eps = noise(DR_F32, DR_SHAPE(B, 2, 3, 3), 2);
    double t[B];
    for (int b = 0; b < B; b++) t[b] = t_noise + (t_data - t_noise) * (b + 0.5) / (B + 1);
    dr_noised n;
    assert_int_equal(dr_noising(p, NULL, x0, eps, t, &n), DR_OK);
    for (int b = 0; b < B; b++) { /* each row by its own t */
        const dr_coef c = coef_at(p, t[b]);
        dr_tensor *x = dr_slice(x0, 0, b, 1), *e = dr_slice(eps, 0, b, 1);
        assert_true(max_difference(dr_slice(n.x_t, 0, b, 1), mix(c.alpha, x, c.sigma, e)) < 1e-5);
        assert_true(max_difference(dr_slice(n.target, 0, b, 1), mix(c.p, x, c.q, e)) < 1e-5 * fmax(1, hypot(c.p, c.q)));
        assert_true(max_difference(dr_slice(n.input, 0, b, 1), dr_scale(c.c_in, dr_slice(n.x_t, 0, b, 1))) < 1e-5);
        assert_true(fabs(dr_tensor_item(dr_slice(n.time, 0, b, 1)) - c.time) < 1e-6 * fmax(1.0, fabs(c.time)));
        if (n.weight) assert_true(fabs(dr_tensor_item(dr_slice(n.weight, 0, b, 1)) / c.weight - 1.0) < 1e-6);
        if (!n.weight) assert_true(c.weight == 1.0);
    }
}

static void check_times(dr_instance *p, double t_noise, double t_data)
{
    const double low = fmin(t_noise, t_data), high = fmax(t_noise, t_data);
    for (int i = 0; i <= 1000; i++) {
        const double t = api_of(p)->draw_t(p->self, i < 1000 ? i / 1000.0 : nextafter(1.0, 0.0));
        if (!(t >= low && t <= high)) fail_msg("a training time %g outside [%g, %g]", t, low, high);
    }
}

static void check_built(const dr_component *c, dr_args args)
{
    enum { POINTS = 9 };
    double t_noise, t_data, before = -1.0;
    dr_instance *p = dr_instance_new("process", c->name, args);
    if (!p) fail_msg("%s", dr_error_message());
    range_of(p, &t_noise, &t_data);
    assert_true(t_noise != t_data);
    for (int i = 0; i < POINTS; i++) {
        const double t = t_noise + (t_data - t_noise) * (i + 0.3512) / POINTS; /* not on a whole step of a chain */
        const dr_coef at = coef_at(p, t);
        assert_true(at.alpha > 0.0 && at.sigma > 0.0 && at.weight > 0.0 && at.c_in > 0.0);
        assert_true(at.alpha / at.sigma > before); /* ever more signal */
        before = at.alpha / at.sigma;
        inverts_itself(p, t);
        assert_true(fabs(dr_process_time(p, at.sigma / at.alpha) - t) < 1e-9 * fabs(t_data - t_noise));
        check_derivatives(p, t, 1e-6 * fabs(t_data - t_noise));
    }
    assert_true(coef_at(p, t_data).sigma < 1e-3);
    check_noising(p, t_noise, t_data);
    check_times(p, t_noise, t_data);
    dr_instance_free(p);
}

static void check_process(const dr_component *c)
{
    const dr_param *row = has_param(c, "predict");
    walk_args a;
    default_args(c, &a);
    check_built(c, a.args);
    for (const char *s = row ? row->choices : ""; *s;) {
        char choice[64];
        const size_t length = strcspn(s, "|");
        snprintf(choice, sizeof choice, "%.*s", (int)length, s);
        print_message("        predict = %s\n", choice);
        default_args(c, &a);
        add_arg(&a, (dr_arg)DR_S("predict", choice));
        check_built(c, a.args);
        s += length + (s[length] == '|');
    }
}

static void every_process_inverts_itself(void **state)
{
    (void)state;
    for_each("process", 3, check_process);
}

static void check_schedule(const dr_component *c)
{
    static const int64_t chains[] = { 1, 2, 20, 1000 };
    walk_args a;
    default_args(c, &a);
    dr_instance *s = dr_instance_new("schedule", c->name, a.args);
    assert_non_null(s);
    for (size_t k = 0; k < sizeof chains / sizeof *chains; k++) {
        for (int64_t i = 0; i < chains[k]; i++) {
            const double beta = dr_schedule_beta(s, i, chains[k]);
            if (!(beta > 0.0 && beta < 1.0)) fail_msg("beta of step %lld is %g", (long long)i, beta);
        }
    }
    dr_instance_free(s);
}

static void every_schedule_stays_between_0_and_1(void **state)
{
    (void)state;
    for_each("schedule", 3, check_schedule);
}

/* Every schedule makes a chain, and a chain refuses what cannot be a beta. */
static void check_chain(const dr_component *c)
{
    walk_args a;
    default_args(c, &a);
    const dr_arg schedule = { .name = "schedule", .type = DR_PARAM_COMPONENT, .text = c->name, .children = &a.args };
    dr_instance *p = dr_instance_new("process", "ddpm", DR_ARGS(schedule, DR_I("T", 50)));
    if (!p) fail_msg("%s", dr_error_message());
    assert_true(coef_at(p, 50).alpha < coef_at(p, 1).alpha);
    assert_true(coef_at(p, 0).alpha == 1.0 && coef_at(p, 0).sigma == 0.0);
    dr_instance_free(p);
}

static void every_schedule_makes_a_chain(void **state)
{
    (void)state;
    for_each("schedule", 3, check_chain);
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
        cmocka_unit_test(every_schedule_stays_between_0_and_1),
        cmocka_unit_test(every_schedule_makes_a_chain),
        cmocka_unit_test(a_beta_of_one_is_refused),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
