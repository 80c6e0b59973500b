/* weightings.c: every weighting of the loss, on every process and prediction: finite and not negative wherever a
 * process trains, and one weight of the data's error whatever the network predicts, or one of the output's as it is. */
#include "kinds.h"

#include <math.h>

static const char *const predictions[] = { "eps", "x0", "v", "velocity" };

static double weigh(dr_instance *weighting, const dr_coef *c)
{
    double w = NAN;
    dr_weigh(weighting, c, &w);
    expect_ok("weight");
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

static const char *const with_choice[] = { "ddpm", "flow_matching", "vp", "ve" };
enum { PROCESSES = 4, POINTS = 40 };

/* A time inside the range, near its ends as well; whole for chains. flow_matching with eps starts later. */
static double time_at(dr_instance *process, int k, int i)
{
    if (with_choice[k][0] == 'f') return 0.02 + 0.96 * i / (POINTS - 1.0);
    return dr_process_draw_t(process, 0.002 + 0.996 * i / (POINTS - 1.0));
}

/* Ours that weigh the output weigh it 1. Of another, what it weighs is seen: the output where that is the same for all
 * predictions at every time. */
static bool weighs_output(const dr_component *c, dr_instance *weighting)
{
    if (strcmp(c->name, "uniform") == 0 || strcmp(c->name, "process") == 0) return true;
    static const char *const ours[] = { "error", "min_snr", "p2", "truncated_snr" };
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (strcmp(c->name, ours[i]) == 0) return false;
    }
    for (int k = 0; k < PROCESSES; k++) {
        double first[POINTS];
        for (int m = 0; m < 4; m++) {
            dr_instance *p = built("process", with_choice[k], DR_ARGS(DR_S("predict", predictions[m])));
            for (int i = 0; i < POINTS; i++) {
                const dr_coef at = coef_at(p, time_at(p, k, i));
                const double w = weigh(weighting, &at);
                if (m == 0) first[i] = w;
                if (!close_to(w, first[i])) return false;
            }
            dr_instance_free(p);
        }
    }
    return true;
}

static void check_weighting(const dr_component *c)
{
    dr_instance *weighting = instance_of(c);
    const bool as_it_is = weighs_output(c, weighting);
    const bool by_one = as_it_is && (strcmp(c->name, "uniform") == 0 || strcmp(c->name, "process") == 0);
    for (int k = 0; k < PROCESSES; k++) {
        double first[POINTS];
        for (int m = 0; m < 4; m++) {
            dr_instance *p = built("process", with_choice[k], DR_ARGS(DR_S("predict", predictions[m])));
            for (int i = 0; i < POINTS; i++) {
                const dr_coef at = coef_at(p, time_at(p, k, i));
                const double output = weigh(weighting, &at);
                expect(!by_one || output == 1.0, "%s, %s: it weighs %g, not 1", with_choice[k], predictions[m], output);
                if (as_it_is) continue;
                const double w = weight_of_data(weighting, &at);
                if (m == 0) first[i] = w;
                expect(w > 0.0 && close_to(w, first[i]),
                       "%s, %s: it weighs an error of the data %.9g, but %.9g for eps: what counts"
                       " depends on what is predicted",
                       with_choice[k], predictions[m], w, first[i]);
            }
            dr_instance_free(p);
        }
    }
    dr_instance_free(weighting);
}

static void check_in_a_batch(const dr_component *c)
{
    dr_instance *weighting = instance_of(c);
    for (int64_t i = 0; i < dr_component_count(); i++) {
        const dr_component *component = dr_component_at(i);
        if (!is_kind(component, "process")) continue;
        dr_instance *p = instance_of(component);
        const double t[3] = { dr_process_draw_t(p, 0.0), dr_process_draw_t(p, 0.5),
                              dr_process_draw_t(p, nextafter(1.0, 0.0)) };
        dr_tensor *x0 = noise(DR_F32, DR_SHAPE(3, 1, 2, 2), 1), *eps = noise(DR_F32, DR_SHAPE(3, 1, 2, 2), 2);
        dr_noised n;
        float weight[3] = { 1, 1, 1 };
        dr_noising(p, weighting, x0, eps, t, &n);
        if (dr_failed()) check_fail("on process %s: %s", component->name, dr_error_message());
        if (n.weight) dr_tensor_read(n.weight, DR_F32, weight);
        for (int b = 0; b < 3; b++) {
            const dr_coef at = coef_at(p, t[b]);
            const float w = (float)weigh(weighting, &at);
            expect(weight[b] == w, "on process %s: at t = %g the batch has weight %g, and the weighting says %g",
                   component->name, t[b], weight[b], w);
        }
        dr_instance_free(p);
    }
    dr_instance_free(weighting);
}

const check weighting_checks[] = {
    { "the prediction does not change what counts", check_weighting },
    { "a batch carries its weights, at every time of training", check_in_a_batch },
    { NULL, NULL },
};
