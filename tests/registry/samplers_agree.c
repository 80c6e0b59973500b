/* Samplers that are one another's special cases give the same samples, noise for noise; so does one sampler on processes
 * that differ in nothing but scale and pace. */
#include "known_data.h"
#include "walk.h"

#include <math.h>

typedef struct choice { const char *sampler; dr_args args; } choice;

static void check_same(const world *w, choice a, choice b)
{
    place p;
    enter(&p, w);
    dr_instance *sampler[2] = { dr_instance_new("sampler", a.sampler, a.args), dr_instance_new("sampler", b.sampler, b.args) };
    dr_tensor *y[2], *x = start_of(&p, DR_F64, 3, 4, 5);
    for (int i = 0; i < 2; i++) {
        y[i] = dr_sample(p.f, sampler[i], x, (dr_rng){ .seed = 2 }, NULL, 0, NULL, NULL);
        if (!y[i]) fail_msg("%s on %s: %s", a.sampler, w->process, dr_error_message());
    }
    const double d = max_difference(y[0], y[1]);
    print_message("    %s and %s on %s: %.1e\n", a.sampler, b.sampler, w->process, d);
    assert_true(d < 1e-10);
    for (int i = 0; i < 2; i++) dr_instance_free(sampler[i]);
    leave(&p);
}

static void special_cases_agree(void **state)
{
    const choice ddpm = { "ddpm", DR_STATIC_ARGS(DR_I("steps", 12), DR_S("variance", "posterior")) };
    const choice ddim_1 = { "ddim", DR_STATIC_ARGS(DR_I("steps", 12), DR_R("eta", 1)) };
    const choice ddim_half = { "ddim", DR_STATIC_ARGS(DR_I("steps", 12), DR_R("eta", 0.5)) };
    const choice ddim_0 = { "ddim", DR_STATIC_ARGS(DR_I("steps", 12)) };
    const choice ancestral_half = { "euler_ancestral", DR_STATIC_ARGS(DR_I("steps", 12), DR_R("eta", 0.5)) };
    const choice ancestral_0 = { "euler_ancestral", DR_STATIC_ARGS(DR_I("steps", 12), DR_R("eta", 0)) };
    const choice edm_1 = { "edm", DR_STATIC_ARGS(DR_I("steps", 12), DR_I("order", 1), DR_S("timesteps", "even")) };
    const choice edm_2 = { "edm", DR_STATIC_ARGS(DR_I("steps", 12), DR_S("timesteps", "even")) };
    const choice heun = { "heun", DR_STATIC_ARGS(DR_I("steps", 12)) };
    const choice multi = { "dpmpp_2m", DR_STATIC_ARGS(DR_I("steps", 12)) };
    const choice multi_sde_0 = { "dpmpp_2m_sde", DR_STATIC_ARGS(DR_I("steps", 12), DR_R("eta", 0)) };
    (void)state;
    for (int i = 0; i < WORLDS; i++) {
        check_same(&worlds[i], ddpm, ddim_1);
        check_same(&worlds[i], ancestral_half, ddim_half);
        check_same(&worlds[i], ancestral_0, edm_1);
        check_same(&worlds[i], edm_1, ddim_0);
        check_same(&worlds[i], multi, multi_sde_0);
    }
    check_same(&worlds[ADDED], edm_2, heun); /* t is the noise level there */
}

/* In x/alpha and sigma/alpha all processes are one: a chain's samples are those of x0 + sigma eps, noise for noise, along
 * the same noise levels. Not so for the samplers that step in the process's own time. */
static void the_noise_level_is_all_that_counts(void **state)
{
    static const char *const samplers[] = { "ddim", "euler_ancestral", "dpmpp_2m", "dpmpp_2m_sde", "edm", "ddpm" };
    (void)state;
    for (size_t k = 0; k < sizeof samplers / sizeof *samplers; k++) {
        const dr_arg levels[] = { DR_R("sigma_min", 0.05), DR_R("sigma_max", 4) };
        const dr_args level_args = { levels, 2 };
        walk_args a = { .args = { .v = a.v, .n = 0 } };
        add_arg(&a, (dr_arg)DR_I("steps", 12));
        add_arg(&a, (dr_arg){ .name = "timesteps", .type = DR_PARAM_COMPONENT, .text = "karras", .children = &level_args });
        if (k == 0) add_arg(&a, (dr_arg)DR_R("eta", 0.7));
        if (k == 4) add_arg(&a, (dr_arg)DR_R("s_churn", 3)), add_arg(&a, (dr_arg)DR_R("s_tmax", 3)); /* no further than 4 */
        if (k == 5) add_arg(&a, (dr_arg)DR_S("variance", "posterior"));
        dr_instance *sampler = dr_instance_new("sampler", samplers[k], a.args);
        dr_tensor *y[2], *x = noise(DR_F64, DR_SHAPE(3, 1, 4, 4), 8);
        for (int i = 0; i < 2; i++) {
            place p;
            enter(&p, &worlds[i == 0 ? CHAIN : ADDED]);
            const dr_coef c = coef_at(p.process, dr_process_time(p.process, 4.0));
            y[i] = dr_sample(p.f, sampler, dr_scale(4.0 * c.alpha, x), (dr_rng){ .seed = 2 }, NULL, 0, NULL, NULL);
            if (!y[i]) fail_msg("%s: %s", samplers[k], dr_error_message());
            leave(&p);
        }
        const double d = max_difference(y[0], y[1]);
        print_message("    %s: %.1e\n", samplers[k], d);
        assert_true(d < 1e-10);
        dr_instance_free(sampler);
    }
}

/* s_churn over N steps: up to sigma (1 + s_churn/N), then the step from there; nothing outside [s_tmin, s_tmax]. */
static void churn_is_noise_before_the_step(void **state)
{
    enum { N = 4 };
    const double sigma = 2.0, gamma = 0.2, s_noise = 1.1, t[2] = { sigma, 1.5 }, from[2] = { sigma * (1 + gamma), 1.5 };
    const dr_rng rng = { .seed = 6, .purpose = dr_purpose("sampler"), .sample = 3 };
    place p;
    (void)state;
    enter(&p, &worlds[ADDED]);
    dr_instance *plain = dr_instance_new("sampler", "edm", DR_NO_ARGS);
    dr_tensor *x = noise(DR_F64, DR_SHAPE(2, 1, 3, 3), 9);
    dr_tensor *raised = dr_axpy(sigma * sqrt((1 + gamma) * (1 + gamma) - 1) * s_noise, dr_noise_like(x, &rng), x);
    dr_tensor *expected = dr_sample(p.f, plain, raised, rng, from, 1, NULL, NULL);
    dr_tensor *quiet = dr_sample(p.f, plain, x, rng, t, 1, NULL, NULL);
    for (int inside = 0; inside < 2; inside++) {
        dr_instance *sampler = dr_instance_new("sampler", "edm",
                                               DR_ARGS(DR_I("steps", N), DR_R("s_churn", gamma * N), DR_R("s_noise", s_noise),
                                                       DR_R("s_tmax", inside ? 2.0 : 1.9)));
        dr_tensor *y = dr_sample(p.f, sampler, x, rng, t, 1, NULL, NULL);
        assert_true(max_difference(y, inside ? expected : quiet) < 1e-12);
        dr_instance_free(sampler);
    }
    assert_true(max_difference(expected, quiet) > 0.1);
    dr_instance_free(plain);
    leave(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_cases_agree),
        cmocka_unit_test(the_noise_level_is_all_that_counts),
        cmocka_unit_test(churn_is_noise_before_the_step),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
