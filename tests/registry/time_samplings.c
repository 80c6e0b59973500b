/* Every distribution of training times on every process: its times are ones that the process itself may draw, whole steps
 * of a chain, and can be trained on. The distributions are what they say: the logit of the way, the logarithm of the noise
 * level. A component that says otherwise is refused. */
#include "walk.h"

#include <math.h>

static double draw(dr_instance *time_sampling, dr_instance *process, double u)
{
    double t = NAN;
    if (dr_draw_time(process, time_sampling, u, &t) != DR_OK) fail_msg("u = %g: %s", u, dr_error_message());
    return t;
}

static void times_are_ones_that_the_process_can_be_trained_on(void **state)
{
    (void)state;
    every("time_sampling", 3, "times are ones that the process can be trained on");
}

/* ---- distributions ------------------------------------------------------------------------------------------------- */

static double normal_below(double z) { return erfc(-z / sqrt(2.0)) / 2.0; }
static double logit(double s) { return log(s / (1.0 - s)); }

/* The share of the way from noise to data. */
static double way(dr_instance *process, double t)
{
    double t_noise, t_data;
    int64_t steps;
    dr_process_range(process, &t_noise, &t_data, &steps);
    return (t - t_noise) / (t_data - t_noise);
}

static void the_logit_of_the_way_is_normal(void **state)
{
    (void)state;
    static const char *const continuous[] = { "flow_matching", "vp", "ve" };
    dr_instance *ts = built("time_sampling", "logit_normal", DR_ARGS(DR_R("mean", 0.5), DR_R("std", 0.8)));
    for (int k = 0; k < 3; k++) {
        dr_instance *p = built("process", continuous[k], DR_NO_ARGS);
        for (double z = -2.0; z <= 2.0; z += 0.25) {
            const double s = way(p, draw(ts, p, normal_below(z)));
            if (!(fabs(logit(s) - (0.5 + 0.8 * z)) < 1e-9)) fail_msg("%s: logit %g at z = %g", continuous[k], logit(s), z);
        }
        dr_instance_free(p);
    }
    dr_instance_free(ts);
}

/* Step t of a chain is drawn with the probability of ways between 1 - t/T and 1 - (t-1)/T. */
static void a_chain_s_steps_have_the_probability_of_their_intervals(void **state)
{
    (void)state;
    enum { T = 10, DRAWS = 100000 };
    int64_t drawn[T + 1] = { 0 };
    dr_instance *ts = built("time_sampling", "logit_normal", DR_ARGS(DR_R("mean", -0.4), DR_R("std", 1.2)));
    dr_instance *p = built("process", "ddpm", DR_ARGS(DR_I("T", T)));
    for (int i = 0; i < DRAWS; i++) drawn[(int)draw(ts, p, (i + 0.5) / DRAWS)]++;
    for (int t = 1; t <= T; t++) {
        const double above = t == 1 ? 1.0 : normal_below((logit(1.0 - (t - 1.0) / T) + 0.4) / 1.2);
        const double below = t == T ? 0.0 : normal_below((logit(1.0 - t / (double)T) + 0.4) / 1.2);
        assert_true(fabs((double)drawn[t] / DRAWS - (above - below)) < 2.0 / DRAWS);
    }
    dr_instance_free(p);
    dr_instance_free(ts);
}

static void the_logarithm_of_the_noise_level_is_normal(void **state)
{
    (void)state;
    static const char *const processes[] = { "edm", "flow_matching", "vp", "ve", "ddpm" };
    dr_instance *ts = built("time_sampling", "log_normal", DR_ARGS(DR_R("P_mean", -0.6), DR_R("P_std", 0.9)));
    for (int k = 0; k < 5; k++) {
        const bool chain = strcmp(processes[k], "ddpm") == 0;
        dr_instance *p = built("process", processes[k], chain ? DR_ARGS(DR_I("T", 1000)) : DR_NO_ARGS);
        for (double z = -2.0; z <= 2.0; z += 0.25) {
            dr_coef c;
            const double t = draw(ts, p, normal_below(z)), want = -0.6 + 0.9 * z;
            dr_process_coef(p, t, &c);
            double error = fabs(log(c.sigma / c.alpha) - want), allowed = 1e-7;
            if (chain) { /* half a step off */
                dr_coef up, down;
                dr_process_coef(p, t + 0.5, &up);
                dr_process_coef(p, t - 0.5, &down);
                allowed = fmax(log(up.sigma / up.alpha * c.alpha / c.sigma), log(c.sigma / c.alpha * down.alpha / down.sigma)) + 1e-9;
            }
            if (!(error < allowed)) fail_msg("%s: z = %g: off by %g", processes[k], z, error);
        }
        dr_instance_free(p);
    }
    dr_instance_free(ts);
}

static void the_uniform_is_the_process_s_own(void **state)
{
    (void)state;
    dr_instance *ts = built("time_sampling", "uniform", DR_NO_ARGS), *flow = built("process", "flow_matching", DR_NO_ARGS);
    const dr_rng rng = { .seed = 5, .purpose = dr_purpose("time") };
    double own[64], drawn[64];
    assert_int_equal(dr_draw_times(flow, NULL, &rng, 64, own), DR_OK);
    assert_int_equal(dr_draw_times(flow, ts, &rng, 64, drawn), DR_OK);
    assert_memory_equal(own, drawn, sizeof own);
    dr_instance_free(ts);
    dr_instance_free(flow);
}

/* Drawn from the stream: mean and deviation of the logit, and a sample's time whatever its batch. */
static void draws_from_the_stream_have_the_moments(void **state)
{
    (void)state;
    enum { DRAWS = 20000 };
    static double t[DRAWS];
    dr_instance *ts = built("time_sampling", "logit_normal", DR_NO_ARGS), *flow = built("process", "flow_matching", DR_NO_ARGS);
    dr_rng rng = { .seed = 6, .purpose = dr_purpose("time") };
    assert_int_equal(dr_draw_times(flow, ts, &rng, DRAWS, t), DR_OK);
    double sum = 0.0, squares = 0.0, alone;
    for (int i = 0; i < DRAWS; i++) sum += logit(t[i]), squares += logit(t[i]) * logit(t[i]);
    assert_true(fabs(sum / DRAWS) < 4.0 / sqrt(DRAWS) && fabs(squares / DRAWS - 1.0) < 4.0 * sqrt(2.0 / DRAWS));
    rng.sample = 777;
    assert_int_equal(dr_draw_times(flow, ts, &rng, 1, &alone), DR_OK);
    assert_true(alone == t[777]);
    dr_instance_free(ts);
    dr_instance_free(flow);
}

static double too_late(void *self, const dr_instance *process, double u)
{
    (void)self, (void)process, (void)u;
    return 1.5;
}

static void a_time_that_the_process_does_not_train_on_is_refused(void **state)
{
    (void)state;
    static const dr_time_sampling api = { .size = sizeof api, .draw = too_late };
    static const dr_component component = { .size = sizeof component, .kind = "time_sampling/1", .name = "late" };
    dr_instance late = { .component = &component, .iface = &api }, *flow = built("process", "flow_matching", DR_NO_ARGS);
    double t;
    assert_int_not_equal(dr_draw_time(flow, &late, 0.5, &t), DR_OK);
    assert_error_has("time_sampling late: t = 1.5 is outside [0, 1], the training times of process flow_matching");
    dr_instance_free(flow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_ones_that_the_process_can_be_trained_on),
        cmocka_unit_test(the_logit_of_the_way_is_normal),
        cmocka_unit_test(a_chain_s_steps_have_the_probability_of_their_intervals),
        cmocka_unit_test(the_logarithm_of_the_noise_level_is_normal),
        cmocka_unit_test(the_uniform_is_the_process_s_own),
        cmocka_unit_test(draws_from_the_stream_have_the_moments),
        cmocka_unit_test(a_time_that_the_process_does_not_train_on_is_refused),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
