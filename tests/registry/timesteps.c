/* Every sampling grid on every process: from t_noise to t_data, each time nearer to the data than the one before; and each
 * one's own spacing, against its equation. */
#include "timesteps.h"
#include "walk.h"

#include <math.h>
#include <stdlib.h>

static void grids_lead_from_noise_to_data(void **state)
{
    (void)state;
    every("timesteps", 6, "leads from noise to data on every process");
}

/* ---- each one's spacing ------------------------------------------------------------------------------------------ */

static void check_chain(const char *name, dr_args args, int64_t T, int64_t n, const double *expected)
{
    dr_instance *process = dr_instance_new("process", "ddpm", DR_ARGS(DR_I("T", T)));
    double *t = grid_of(process, name, args, n);
    if (!t) fail_msg("%s: %s", name, dr_error_message());
    for (int64_t i = 0; i <= n; i++) {
        if (t[i] != expected[i]) fail_msg("%s of %lld: t[%lld] = %g, not %g", name, (long long)n, (long long)i, t[i], expected[i]);
    }
    free(t);
    dr_instance_free(process);
}

/* diffusers' timestep is our t - 1. */
static void whole_steps_are_those_of_the_paper(void **state)
{
    (void)state;
    check_chain("leading", DR_NO_ARGS, 1000, 4, (double[]){ 751, 501, 251, 1, 0 });
    check_chain("leading", DR_ARGS(DR_I("offset", 1)), 1000, 3, (double[]){ 668, 335, 2, 0 });
    check_chain("leading", DR_ARGS(DR_I("stride", 30)), 1000, 3, (double[]){ 61, 31, 1, 0 });
    check_chain("leading", DR_ARGS(DR_I("stride", 30), DR_I("offset", 9)), 1000, 34,
                (double[]){ 1000, 970, 940, 910, 880, 850, 820, 790, 760, 730, 700, 670, 640, 610, 580, 550, 520, 490,
                            460, 430, 400, 370, 340, 310, 280, 250, 220, 190, 160, 130, 100, 70, 40, 10, 0 });
    check_chain("trailing", DR_NO_ARGS, 1000, 4, (double[]){ 1000, 750, 500, 250, 0 });
    check_chain("trailing", DR_NO_ARGS, 1000, 7, (double[]){ 1000, 857, 714, 571, 429, 286, 143, 0 });
    check_chain("linspace", DR_NO_ARGS, 1000, 8, (double[]){ 1000, 875, 750, 625, 501, 376, 251, 126, 0 });
    check_chain("linspace", DR_ARGS(DR_B("first_step", 1)), 1000, 3, (double[]){ 1000, 501, 1, 0 });
    check_chain("even", DR_NO_ARGS, 300, 7, (double[]){ 300, 257, 214, 171, 129, 86, 43, 0 });
    static const char *const all[] = { "leading", "linspace", "trailing", "even" };
    for (int i = 0; i < 4; i++) check_chain(all[i], DR_NO_ARGS, 5, 5, (double[]){ 5, 4, 3, 2, 1, 0 });
}

static double level(dr_instance *process, double t)
{
    dr_coef c;
    dr_process_coef(process, t, &c);
    return c.sigma / c.alpha;
}

static void check_karras(const char *name, dr_args args, double most, double least)
{
    enum { N = 9 };
    dr_instance *process = dr_instance_new("process", name, args);
    double *t = grid_of(process, "karras", DR_ARGS(DR_R("sigma_min", least), DR_R("sigma_max", most), DR_R("rho", 5)), N);
    if (!t) fail_msg("%s: %s", name, dr_error_message());
    for (int i = 0; i < N; i++) {
        const double root = pow(most, 0.2) + i / (N - 1.0) * (pow(least, 0.2) - pow(most, 0.2));
        const double e = level(process, t[i]) / pow(root, 5) - 1.0;
        if (!(fabs(e) < 1e-9)) fail_msg("%s: level %d is off by %.2e", name, i, e);
    }
    assert_true(level(process, t[N]) == 0.0);
    free(t);
    dr_instance_free(process);
}

static void karras_levels_are_even_in_their_root(void **state)
{
    (void)state;
    check_karras("fixed_noise", DR_ARGS(DR_R("sigma", 80)), 80, 0.002);
    check_karras("fixed_noise", DR_ARGS(DR_R("sigma", 80)), 20, 0.1);
    check_karras("flow_matching", DR_NO_ARGS, 50, 0.01);
    check_karras("ddpm", DR_ARGS(DR_I("T", 1000)), 100, 0.02);
}

static void check_log_snr(const char *name, dr_args args)
{
    enum { N = 9 };
    dr_instance *process = dr_instance_new("process", name, args);
    double *t = grid_of(process, "log_snr", DR_NO_ARGS, N);
    if (!t) fail_msg("%s: %s", name, dr_error_message());
    const double ratio = level(process, t[2]) / level(process, t[1]);
    for (int i = 2; i < N; i++) assert_true(fabs(level(process, t[i]) / level(process, t[i - 1]) / ratio - 1.0) < 1e-6);
    free(t);
    dr_instance_free(process);
}

static void log_snr_levels_are_even_in_their_logarithm(void **state)
{
    (void)state;
    check_log_snr("fixed_noise", DR_ARGS(DR_R("sigma", 80)));
    check_log_snr("flow_matching", DR_NO_ARGS);
    check_log_snr("ddpm", DR_NO_ARGS);
}

/* ---- refusals ----------------------------------------------------------------------------------------------------- */

static void check_refused(const char *process_name, const char *name, dr_args args, int64_t n, const char *text)
{
    dr_instance *process = dr_instance_new("process", process_name, DR_NO_ARGS);
    assert_null(grid_of(process, name, args, n));
    assert_error_has(text);
    dr_instance_free(process);
}

static void what_cannot_be_laid_is_refused(void **state)
{
    (void)state;
    check_refused("ddpm", "trailing", DR_NO_ARGS, 301, "301 steps cannot be chosen from a chain of 300");
    check_refused("ddpm", "leading", DR_ARGS(DR_I("offset", 7)), 50, "past the chain's T = 300");
    check_refused("ddpm", "leading", DR_ARGS(DR_I("stride", 30)), 11, "stride = 30 begin at t = 301");
    check_refused("flow_matching", "linspace", DR_NO_ARGS, 10, "continuous");
    check_refused("fixed_noise", "karras", DR_ARGS(DR_R("sigma_max", 80)), 10, "sigma_max = 80 is above");
    check_refused("fixed_noise", "log_snr", DR_ARGS(DR_R("sigma_min", 0.5)), 10, "not towards the data");
    check_refused("flow_matching", "karras", DR_ARGS(DR_R("sigma_max", 1), DR_R("sigma_min", 2)), 10, "not towards the data");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grids_lead_from_noise_to_data),
        cmocka_unit_test(whole_steps_are_those_of_the_paper),
        cmocka_unit_test(karras_levels_are_even_in_their_root),
        cmocka_unit_test(log_snr_levels_are_even_in_their_logarithm),
        cmocka_unit_test(what_cannot_be_laid_is_refused),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
