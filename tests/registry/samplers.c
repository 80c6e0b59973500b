/* Every sampler, on data whose best prediction is known in closed form (known_data.h). An ODE sampler converges at the order
 * that it declares to the exact solution; a stochastic one returns samples of mean mu and deviation s. What a sample becomes
 * does not depend on its batch. */
#include "samplers.h"
#include "walk.h"

#include <math.h>

static void ode_samplers_show_their_order(void **state)
{
    (void)state;
    every("sampler", 8, "converges at the order that it declares");
}

static void samples_have_the_datas_moments(void **state)
{
    (void)state;
    every("sampler", 10, "samples have the data's moments");
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
        for (int i = 0; i < WORLDS; i++) expect_moments(sampler, &worlds[i]);
        dr_instance_free(sampler);
    }
}

static void a_sample_does_not_depend_on_its_batch(void **state)
{
    (void)state;
    every("sampler", 10, "a sample does not depend on its batch");
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
