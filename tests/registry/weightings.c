/* Every weighting of the loss, on every process and prediction: finite and not negative wherever a process trains, and,
 * but for those that weigh the output as it is, one weight of the data's error whatever the network predicts. Min-SNR and
 * the others are the papers' formulas. What is no weight is refused. */
#include "walk.h"

#include <math.h>

static const char *const predictions[] = { "eps", "x0", "v", "velocity" };

static double weigh(dr_instance *weighting, const dr_coef *c)
{
    double w = NAN;
    if (dr_weigh(weighting, c, &w) != DR_OK) fail_msg("%s", dr_error_message());
    return w;
}

static dr_coef coef_at(dr_instance *process, double t)
{
    dr_coef c;
    dr_process_coef(process, t, &c);
    return c;
}

static bool close_to(double a, double b) { return fabs(a - b) <= 1e-11 * fmax(fabs(b), 1e-12); }

/* The weight of |dx0|^2: the output's error is dy = -D/sigma dx0. */
static double weight_of_data(dr_instance *weighting, const dr_coef *c)
{
    const double D = c->alpha * c->q - c->sigma * c->p;
    return weigh(weighting, c) * D * D / (c->sigma * c->sigma);
}

static void the_prediction_does_not_change_what_counts(void **state)
{
    (void)state;
    every("weighting", 6, "the prediction does not change what counts");
}

static void a_batch_carries_its_weights(void **state)
{
    (void)state;
    every("weighting", 6, "a batch carries its weights, at every time of training");
}

/* ---- the papers' formulas ------------------------------------------------------------------------------------------- */

static void they_are_the_papers(void **state)
{
    (void)state;
    const double g = 4.0;
    dr_instance *min_snr = built("weighting", "min_snr", DR_ARGS(DR_R("gamma", g)));
    dr_instance *truncated = built("weighting", "truncated_snr", DR_NO_ARGS);
    dr_instance *p2 = built("weighting", "p2", DR_ARGS(DR_R("k", 1), DR_R("gamma", 0.5)));
    dr_instance *chain[3];
    for (int m = 0; m < 3; m++) chain[m] = built("process", "ddpm", DR_ARGS(DR_S("predict", predictions[m])));
    for (int t = 1; t <= 300; t++) {
        dr_coef c[3];
        for (int m = 0; m < 3; m++) c[m] = coef_at(chain[m], t);
        const double snr = c[0].alpha * c[0].alpha / (c[0].sigma * c[0].sigma);
        assert_true(close_to(weigh(min_snr, &c[0]), fmin(snr, g) / snr));
        assert_true(close_to(weigh(min_snr, &c[1]), fmin(snr, g)));
        assert_true(close_to(weigh(min_snr, &c[2]), fmin(snr, g) / (snr + 1.0)));
        assert_true(close_to(weigh(truncated, &c[1]), fmax(snr, 1.0)));
        assert_true(close_to(weigh(p2, &c[0]), 1.0 / sqrt(1.0 + snr)));
    }
    for (int m = 0; m < 3; m++) dr_instance_free(chain[m]);
    dr_instance_free(p2);
    dr_instance_free(truncated);
    dr_instance_free(min_snr);
}

/* weighting error: 1 where the network predicts that very thing; EDM's lambda is the weight of its data's error. */
static void an_error_of_what_is_predicted_weighs_1(void **state)
{
    (void)state;
    for (int m = 0; m < 4; m++) {
        dr_instance *w = built("weighting", "error", DR_ARGS(DR_S("of", predictions[m])));
        dr_instance *p = built("process", "vp", DR_ARGS(DR_S("predict", predictions[m])));
        for (double t = 0.05; t < 1.0; t += 0.1) {
            const dr_coef c = coef_at(p, t);
            assert_true(close_to(weigh(w, &c), 1.0));
        }
        dr_instance_free(p);
        dr_instance_free(w);
    }
    dr_instance *own = built("weighting", "process", DR_NO_ARGS), *edm = built("process", "edm", DR_NO_ARGS);
    const dr_coef c = coef_at(edm, 3.0);
    assert_true(close_to(weight_of_data(own, &c), (9.0 + 0.25) / (9.0 * 0.25)));
    dr_instance_free(edm);
    dr_instance_free(own);
}

static double bad_weight;
static double bad(void *self, const dr_coef *c)
{
    (void)self, (void)c;
    return bad_weight;
}

static void what_is_no_weight_is_refused(void **state)
{
    (void)state;
    static const dr_weighting api = { .size = sizeof api, .weight = bad };
    static const dr_component component = { .size = sizeof component, .kind = "weighting/1", .name = "bad" };
    dr_instance weighting = { .component = &component, .iface = &api }, *p = built("process", "flow_matching", DR_NO_ARGS);
    const double t[1] = { 0.5 }, values[] = { -1.0, NAN, INFINITY };
    dr_noised n;
    for (int i = 0; i < 3; i++) {
        bad_weight = values[i];
        dr_tensor *x = noise(DR_F32, DR_SHAPE(1, 1, 2, 2), 1);
        assert_int_not_equal(dr_noising(p, &weighting, x, x, t, &n), DR_OK);
        assert_error_has("weighting bad:");
    }
    dr_instance_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_prediction_does_not_change_what_counts),
        cmocka_unit_test(a_batch_carries_its_weights),
        cmocka_unit_test(they_are_the_papers),
        cmocka_unit_test(an_error_of_what_is_predicted_weighs_1),
        cmocka_unit_test(what_is_no_weight_is_refused),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
