/* dopri5 takes the steps that its tolerance allows: its error follows the tolerance, and so does the number of calls. */
#include "known_data.h"
#include "walk.h"

#include <math.h>

static double dopri5_error(double tol, int64_t *calls)
{
    known_data k = { &circle, 1.0 };
    dr_process api;
    dr_instance seen = watched(&circle, &api);
    dr_model *f = dr_model_new(&seen, best_prediction, &k);
    dr_instance *sampler = dr_instance_new("sampler", "dopri5", DR_ARGS(DR_R("rtol", tol), DR_R("atol", tol)));
    const dr_coef start = coef_at(&circle, 0.0), end = coef_at(&circle, 1.0);
    const double stretch = sqrt(variance(&end) / variance(&start));
    dr_tensor *x = noise(DR_F64, DR_SHAPE(2, 1, 3, 3), 1);
    dr_tensor *exact = dr_affine(stretch, x, end.alpha * mu - stretch * start.alpha * mu);
    const double error = max_difference(dr_sample(f, sampler, x, (dr_rng){ 0 }, NULL, 0, NULL, NULL), exact);
    *calls = dr_model_calls(f);
    dr_model_free(f);
    dr_instance_free(sampler);
    return error;
}

/* Every hundredth of the tolerance: a smaller error, and 100^(1/5) = 2.5 times the steps once they are many. */
static void dopri5s_error_follows_its_tolerance(void **state)
{
    double error[4];
    int64_t calls[4];
    (void)state;
    for (int i = 0; i < 4; i++) {
        const double tol = pow(100.0, -i - 2);
        error[i] = dopri5_error(tol, &calls[i]);
        print_message("    tolerance %.0e: error %.1e after %lld calls\n", tol, error[i], (long long)calls[i]);
        assert_true(error[i] < 5 * tol);
        if (i > 0) assert_true(error[i] < error[i - 1] / 10 && calls[i] > calls[i - 1] && calls[i] < 3 * calls[i - 1]);
    }
}

/* sigma/alpha of ddpm's data is 0, and its velocity infinite. */
static void dopri5_ends_where_the_velocity_is_singular(void **state)
{
    place p;
    (void)state;
    enter(&p, &worlds[CHAIN]);
    assert_true(dr_singular(p.f, 0.0));
    const dr_coef c = coef_at(p.process, 300.0);
    dr_tensor *x = start_of(&p, DR_F64, 2, 3, 6);
    dr_tensor *exact = dr_affine(s / sqrt(variance(&c)), x, mu - s / sqrt(variance(&c)) * c.alpha * mu);
    for (int i = 2; i <= 7; i++) {
        const double tol = pow(10.0, -i);
        dr_instance *sampler = dr_instance_new("sampler", "dopri5", DR_ARGS(DR_R("rtol", tol), DR_R("atol", tol)));
        const double error = max_difference(dr_sample(p.f, sampler, x, (dr_rng){ 0 }, NULL, 0, NULL, NULL), exact);
        print_message("    tolerance %.0e: error %.1e\n", tol, error);
        assert_true(error < 5 * tol);
        dr_instance_free(sampler);
    }
    leave(&p);
}

static void dopri5_says_when_it_does_not_arrive(void **state)
{
    place p;
    (void)state;
    enter(&p, &worlds[LINES]);
    dr_instance *sampler = dr_instance_new("sampler", "dopri5", DR_ARGS(DR_I("max_steps", 3), DR_R("atol", 1e-9), DR_R("rtol", 1e-9)));
    assert_null(dr_sample(p.f, sampler, start_of(&p, DR_F64, 2, 3, 6), (dr_rng){ 0 }, NULL, 0, NULL, NULL));
    assert_error_has("sampler dopri5: max_steps = 3");
    dr_instance_free(sampler);
    leave(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dopri5s_error_follows_its_tolerance),
        cmocka_unit_test(dopri5_ends_where_the_velocity_is_singular),
        cmocka_unit_test(dopri5_says_when_it_does_not_arrive),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
