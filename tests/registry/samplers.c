/* Every sampler, on data whose best prediction is known in closed form (known_data.h). An ODE sampler converges at the order
 * that it declares to the exact solution; a stochastic one returns samples of mean mu and deviation s. What a sample becomes
 * does not depend on its batch. */
#include "known_data.h"

#include <math.h>

/* fixed: of that many steps exactly; any_variance: for processes whose alpha^2 + sigma^2 is not 1. */
static dr_instance *sampler_with(const dr_component *c, int64_t steps, bool fixed, bool any_variance)
{
    walk_args a;
    default_args(c, &a);
    const bool lays_its_own = !fixed && has_param(c, "adaptive");
    if (has_param(c, "steps") && !lays_its_own) add_arg(&a, (dr_arg)DR_I("steps", steps));
    if (fixed && has_param(c, "adaptive")) add_arg(&a, (dr_arg)DR_B("adaptive", 0));
    if (any_variance && has_param(c, "variance")) add_arg(&a, (dr_arg)DR_S("variance", "posterior"));
    dr_instance *i = dr_instance_new("sampler", c->name, a.args);
    if (!i) fail_msg("%s", dr_error_message());
    return i;
}

/* ---- order ---------------------------------------------------------------------------------------------------- */

/* From t = 1/8 to 1/2: where signal and noise are there both, since in the logarithm of their ratio the way from pure noise
 * has no smooth beginning, and not the whole way, lest a symmetry of it flatter a method. A sampler with a grid of its own
 * goes all the way. */
static double error_with(const dr_component *c, dr_instance *process, int64_t steps)
{
    enum { MOST = 64 };
    known_data k = { process, 1.0 };
    dr_process api;
    dr_instance seen = watched(process, &api);
    dr_model *f = dr_model_new(&seen, best_prediction, &k);
    dr_instance *sampler = sampler_with(c, steps, true, true);
    const bool own_grid = ((const dr_sampler *)c->iface)->grid != NULL;
    const double t_start = own_grid ? 0.0 : 0.125, t_end = own_grid ? 1.0 : 0.5;
    double t[MOST + 1];
    for (int64_t i = 0; i <= steps; i++) t[i] = t_start + (t_end - t_start) * (double)i / (double)steps;
    const dr_coef start = coef_at(process, t_start), end = coef_at(process, t_end);
    const double stretch = sqrt(variance(&end) / variance(&start));
    dr_tensor *x = noise(DR_F64, DR_SHAPE(4, 1, 3, 3), 1);
    dr_tensor *exact = dr_affine(stretch, x, end.alpha * mu - stretch * start.alpha * mu);
    dr_tensor *y = dr_sample(f, sampler, x, (dr_rng){ .seed = 1 }, own_grid ? NULL : t, steps, NULL, NULL);
    if (!y) fail_msg("%s", dr_error_message());
    const double error = max_difference(y, exact);
    dr_instance_free(sampler);
    dr_model_free(f);
    return error;
}

static void check_order(const dr_component *c)
{
    const int order = ((const dr_sampler *)c->iface)->order;
    if (order == 0) return;
    const int64_t steps = order > 4 ? 8 : 32; /* the fifth order would be at the last digits of a double */
    const double coarse = error_with(c, &circle, steps), fine = error_with(c, &circle, 2 * steps);
    const double p = log2(coarse / fine);
    print_message("        order %d: error %.2e, %.2e, so %.2f\n", order, coarse, fine, p);
    if (!(fabs(p - order) < 0.1)) fail_msg("converges at order %.2f, not %d", p, order);
}

static void ode_samplers_show_their_order(void **state)
{
    (void)state;
    for_each("sampler", 8, check_order);
}

/* ---- distribution --------------------------------------------------------------------------------------------- */

static void check_moments(const char *name, dr_instance *sampler, const world *w)
{
    enum { B = 64, SIZE = 8, PIXELS = SIZE * SIZE };
    place p;
    enter(&p, w);
    const dr_rng rng = { .seed = 3, .purpose = dr_purpose("sampler") };
    dr_tensor *y = dr_sample(p.f, sampler, start_of(&p, DR_F32, B, SIZE, 3), rng, NULL, 0, NULL, NULL);
    if (!y) fail_msg("%s on %s: %s", name, w->process, dr_error_message());
    const double mean = dr_tensor_item(dr_mean(y, 0, NULL, false));
    const double deviation = sqrt(dr_tensor_item(dr_mean(dr_square(dr_affine(1.0, y, -mean)), 0, NULL, false)));
    print_message("        on %s: mean %.3f, deviation %.3f\n", w->process, mean, deviation);
    assert_true(fabs(mean - mu) < 5 * s / sqrt(B * PIXELS) + 0.01);
    assert_true(fabs(deviation / s - 1.0) < 0.06);
    leave(&p);
}

static void check_everywhere(const dr_component *c)
{
    for (int i = 0; i < WORLDS; i++) {
        dr_instance *sampler = sampler_with(c, 100, false, !worlds[i].unit);
        check_moments(c->name, sampler, &worlds[i]);
        dr_instance_free(sampler);
    }
}

static void samples_have_the_datas_moments(void **state)
{
    (void)state;
    for_each("sampler", 10, check_everywhere);
}

typedef struct choice { const char *sampler; dr_args args; } choice;

/* What adds noise only when it is asked to. */
static void samples_have_the_datas_moments_with_fresh_noise(void **state)
{
    const choice noisy[] = {
        { "ddim", DR_STATIC_ARGS(DR_I("steps", 100), DR_R("eta", 1)) },
        { "ddim", DR_STATIC_ARGS(DR_I("steps", 100), DR_R("eta", 0.5)) },
        { "dpmpp_2m_sde", DR_STATIC_ARGS(DR_I("steps", 100), DR_R("eta", 0.5)) },
        { "euler_ancestral", DR_STATIC_ARGS(DR_I("steps", 100), DR_R("eta", 0.5)) },
        { "edm", DR_STATIC_ARGS(DR_I("steps", 100), DR_R("s_churn", 40)) },
        { "edm", DR_STATIC_ARGS(DR_I("steps", 100), DR_R("s_churn", 20), DR_R("s_tmin", 0.05), DR_R("s_tmax", 2)) },
    };
    (void)state;
    for (size_t k = 0; k < sizeof noisy / sizeof *noisy; k++) {
        print_message("    %s\n", noisy[k].sampler);
        dr_instance *sampler = dr_instance_new("sampler", noisy[k].sampler, noisy[k].args);
        for (int i = 0; i < WORLDS; i++) check_moments(noisy[k].sampler, sampler, &worlds[i]);
        dr_instance_free(sampler);
    }
}

/* ---- one sample among others ---------------------------------------------------------------------------------- */

/* Row 2 of 5, with label and guidance, among the others and alone. */
static void check_alone_in(const dr_component *c, const world *w)
{
    enum { B = 5, ROW = 2 };
    place p;
    enter(&p, w);
    dr_instance *sampler = sampler_with(c, 10, false, !w->unit);
    dr_instance *guidance = dr_instance_new("guidance", "cfg", DR_ARGS(DR_R("scale", 1.5)));
    dr_model_guide(p.f, guidance);
    dr_tensor *x = start_of(&p, DR_F32, B, 4, 4);
    dr_tensor *labels = dr_tensor_from(DR_I32, DR_SHAPE(B), (int32_t[]){ 0, 1, 2, 3, 4 });
    const dr_rng rng = { .seed = 9, .purpose = dr_purpose("sampler"), .sample = 20 };
    dr_rng third = rng;
    third.sample += ROW;
    dr_model_condition(p.f, labels, NULL, NULL);
    dr_tensor *all = dr_sample(p.f, sampler, x, rng, NULL, 0, NULL, NULL);
    dr_tensor *again = dr_sample(p.f, sampler, x, rng, NULL, 0, NULL, NULL);
    dr_model_condition(p.f, dr_slice(labels, 0, ROW, 1), NULL, NULL);
    dr_tensor *alone = dr_sample(p.f, sampler, dr_slice(x, 0, ROW, 1), third, NULL, 0, NULL, NULL);
    if (dr_failed()) fail_msg("%s on %s: %s", c->name, w->process, dr_error_message());
    assert_true(max_difference(all, again) == 0.0);
    assert_true(max_difference(dr_slice(all, 0, ROW, 1), alone) == 0.0);
    assert_true(max_difference(dr_slice(all, 0, ROW + 1, 1), alone) > 0.0);
    dr_model_condition(p.f, dr_slice(labels, 0, 0, B - 1), NULL, NULL);
    assert_null(dr_sample(p.f, sampler, x, rng, NULL, 0, NULL, NULL));
    assert_error_has("labels: 4 rows for 5 images");
    leave(&p);
    dr_instance_free(guidance);
    dr_instance_free(sampler);
}

static void check_alone(const dr_component *c)
{
    for (int i = 0; i < WORLDS; i++) check_alone_in(c, &worlds[i]);
}

static void a_sample_does_not_depend_on_its_batch(void **state)
{
    (void)state;
    for_each("sampler", 10, check_alone);
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

static void the_wrong_way_is_refused(void **state)
{
    static const char *const towards_data[] = { "ddpm", "euler_ancestral", "dpmpp_2m", "dpmpp_2m_sde", "edm" };
    const double t[2] = { 0.75, 0.5 };
    (void)state;
    for (size_t i = 0; i < sizeof towards_data / sizeof *towards_data; i++) {
        place p;
        enter(&p, &worlds[LINES]);
        dr_instance *sampler = dr_instance_new("sampler", towards_data[i], DR_NO_ARGS);
        assert_null(dr_sample(p.f, sampler, start_of(&p, DR_F32, 2, 3, 6), (dr_rng){ 0 }, t, 1, NULL, NULL));
        assert_error_has("does not go towards the data");
        dr_instance_free(sampler);
        leave(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ode_samplers_show_their_order),
        cmocka_unit_test(samples_have_the_datas_moments),
        cmocka_unit_test(samples_have_the_datas_moments_with_fresh_noise),
        cmocka_unit_test(a_sample_does_not_depend_on_its_batch),
        cmocka_unit_test(the_wrong_way_is_refused),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
