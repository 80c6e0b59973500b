/* Networks that return a variance output beside their prediction: the model splits the two, guidance keeps the one that
 * belongs to its estimate, and ancestral sampling draws its noise between beta and the posterior's variance by it. */
#include "../host.h"

#include <math.h>

enum { B = 2, C = 2, PIXELS = 4, N = B * C * PIXELS };

static dr_tensor *by_row(dr_tensor *t, int64_t rows) { return dr_reshape(dr_cast(t, DR_F32), DR_SHAPE(rows, 1, 1, 1)); }

/* [x + 10 mask + label, x - 100 mask]; without labels [x, -x]. */
static dr_tensor *stub(void *ctx, dr_tensor *x, const dr_batch_cond *c)
{
    const int64_t rows = dr_tensor_view(x)->shape[0];
    (void)ctx;
    if (!c->label) return dr_concat((dr_tensor *[]){ x, dr_scale(-1.0, x) }, 2, 1);
    dr_tensor *mask = by_row(c->mask, rows), *label = by_row(c->label, rows);
    dr_tensor *y = dr_add(x, dr_add(dr_scale(10.0, mask), label)), *v = dr_axpy(-100.0, mask, x);
    return dr_concat((dr_tensor *[]){ y, v }, 2, 1);
}

static dr_tensor *plain_stub(void *ctx, dr_tensor *x, const dr_batch_cond *c)
{
    (void)ctx, (void)c;
    return dr_scale(1.0, x);
}

static dr_tensor *images(double value) { return dr_tensor_full(DR_F32, DR_SHAPE(B, C, 2, 2), value); }

static void assert_all(dr_tensor *t, double value)
{
    float got[N];
    const dr_view *v = dr_tensor_view(t);
    assert_non_null(v);
    assert_true(v->rank == 4 && v->shape[0] == B && v->shape[1] == C);
    assert_int_equal(dr_tensor_read(t, DR_F32, got), DR_OK);
    for (int i = 0; i < N; i++) assert_true(got[i] == (float)value);
}

/* Row b of image b has the label 1. */
typedef struct setup { dr_instance *process, *guidance; dr_model *f; } setup;

static setup open_setup(const char *guidance, dr_args args, dr_net_fn net)
{
    setup s = { .process = dr_instance_new("process", "flow_matching", DR_ARGS(DR_S("predict", "x0"))) };
    s.f = dr_model_new(s.process, net, NULL);
    assert_non_null(s.f);
    if (guidance) {
        s.guidance = dr_instance_new("guidance", guidance, args);
        dr_model_guide(s.f, s.guidance);
    }
    return s;
}

static void close_setup(setup *s)
{
    dr_model_free(s->f);
    dr_instance_free(s->guidance);
    dr_instance_free(s->process);
}

static void set_labels(dr_model *f) { dr_model_condition(f, dr_tensor_full(DR_I32, DR_SHAPE(B), 1.0), NULL, NULL); }

/* ---- the split -------------------------------------------------------------------------------------------------- */

/* Often enough that the network's evaluation is replayed. */
static void the_second_half_of_the_channels_is_the_variance(void **state)
{
    (void)state;
    setup s = open_setup(NULL, DR_NO_ARGS, stub);
    assert_null(dr_variance(s.f));
    for (int i = 1; i < 8; i++) {
        assert_all(dr_eval_x0(s.f, images(i), 0.5), i);
        assert_all(dr_variance(s.f), -i);
    }
    close_setup(&s);
    s = open_setup(NULL, DR_NO_ARGS, plain_stub);
    assert_all(dr_eval_x0(s.f, images(3), 0.5), 3);
    assert_null(dr_variance(s.f));
    assert_int_equal(dr_failed(), DR_OK);
    close_setup(&s);
}

/* Guidance that asks twice needs both; the first must not become the second. */
static void a_variance_lasts_as_long_as_the_scope(void **state)
{
    (void)state;
    setup s = open_setup(NULL, DR_NO_ARGS, stub);
    dr_tensor *v[6];
    for (int i = 0; i < 6; i++) {
        dr_predict(s.f, images(i), 0.5, NULL);
        v[i] = dr_variance(s.f);
    }
    for (int i = 0; i < 6; i++) assert_all(v[i], -i);
    dr_set_variance(s.f, dr_scale(0.5, dr_add(v[2], v[4])));
    assert_all(dr_variance(s.f), -3.0);
    dr_set_variance(s.f, NULL);
    assert_null(dr_variance(s.f));
    close_setup(&s);
}

/* ---- under guidance --------------------------------------------------------------------------------------------- */

static void guidance_takes_the_conditional_variance(void **state)
{
    static const char *const names[] = { "cfg", "cfg_interval", "cfg_rescale" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (int scale = -1; scale < 8; scale += 3) { /* -1, 2, 5 */
            setup s = open_setup(names[i], DR_ARGS(DR_R("scale", scale)), stub);
            set_labels(s.f);
            assert_non_null(dr_eval_x0(s.f, images(0.5), 0.5));
            assert_all(dr_variance(s.f), -99.5);
            close_setup(&s);
        }
    }
}

static void guidance_on_guidance_takes_the_conditional_variance(void **state)
{
    (void)state;
    setup s = open_setup("cfg", DR_ARGS(DR_R("scale", 3.0)), stub);
    dr_instance *outer = dr_instance_new("guidance", "cfg", DR_ARGS(DR_R("scale", 2.0)));
    dr_model_guide(s.f, outer);
    set_labels(s.f);
    assert_all(dr_eval_x0(s.f, images(0.5), 0.5), 1.5 + 2.0 * 3.0 * 10.0);
    assert_all(dr_variance(s.f), -99.5);
    close_setup(&s);
    dr_instance_free(outer);
}

static void one_half_alone_has_its_own_variance(void **state)
{
    (void)state;
    for (int scale = 0; scale < 2; scale++) {
        setup s = open_setup("cfg", DR_ARGS(DR_R("scale", scale)), stub);
        set_labels(s.f);
        dr_eval_x0(s.f, images(0.5), 0.5);
        assert_all(dr_variance(s.f), scale ? -99.5 : 0.5);
        close_setup(&s);
    }
}

/* [x - 1, 7]: another variance, and the weak network without one. */
static dr_tensor *weak_stub(void *ctx, dr_tensor *x, const dr_batch_cond *c)
{
    (void)c;
    dr_tensor *y = dr_affine(1.0, x, -1.0);
    return ctx ? dr_concat((dr_tensor *[]){ y, images(7) }, 2, 1) : y;
}

static void a_further_network_leaves_the_variance_alone(void **state)
{
    (void)state;
    for (int learned = 0; learned < 2; learned++) {
        setup s = open_setup("autoguidance", DR_ARGS(DR_R("scale", 3.0)), stub);
        dr_model_network(s.f, "weak", weak_stub, learned ? &s : NULL);
        assert_all(dr_eval_x0(s.f, images(0.5), 0.5), -0.5 + 3.0); /* w + 3 (c - w), c - w = 1 */
        assert_all(dr_variance(s.f), -0.5);
        close_setup(&s);
    }
}

static dr_tensor *x_itself(void *self, dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    (void)self, (void)f, (void)t, (void)cond;
    return x;
}

/* What an estimate before it had is not its own. */
static void guidance_that_asks_no_network_has_none(void **state)
{
    static const dr_component component = { .size = sizeof component, .kind = "guidance/1", .name = "x_itself" };
    static const dr_guidance api = { .size = sizeof api, .eval = x_itself };
    dr_instance guidance = { .component = &component, .iface = &api };
    (void)state;
    setup s = open_setup(NULL, DR_NO_ARGS, stub);
    dr_predict(s.f, images(1), 0.5, NULL);
    assert_all(dr_variance(s.f), -1);
    dr_model_guide(s.f, &guidance);
    assert_all(dr_eval_x0(s.f, images(2), 0.5), 2);
    assert_null(dr_variance(s.f));
    close_setup(&s);
}

/* ---- ancestral sampling by it ----------------------------------------------------------------------------------- */

/* Predicts x/2 as noise, and this as its variance output. */
static dr_tensor *half_with(void *ctx, dr_tensor *x, const dr_batch_cond *c)
{
    const double *v = ctx;
    (void)c;
    return dr_concat((dr_tensor *[]){ dr_scale(0.5, x), images(*v) }, 2, 1);
}

static const dr_rng rng = { .seed = 5, .step = 4 };

static void step_by(const char *variance, double v, double t, double t_next, float got[N])
{
    const double grid[2] = { t, t_next };
    dr_instance *process = dr_instance_new("process", "ddpm", DR_NO_ARGS);
    dr_instance *sampler = dr_instance_new("sampler", "ddpm", DR_ARGS(DR_S("variance", variance)));
    dr_model *f = dr_model_new(process, half_with, &v);
    assert_int_equal(dr_tensor_read(dr_sample(f, sampler, images(0.3), rng, grid, 1, NULL, NULL), DR_F32, got), DR_OK);
    dr_model_free(f);
    dr_instance_free(sampler);
    dr_instance_free(process);
}

static double log_ratio(double t, double t_next) /* of the two variances, log(beta/btilde) */
{
    dr_instance *process = dr_instance_new("process", "ddpm", DR_NO_ARGS);
    dr_coef now, next;
    dr_process_coef(process, t, &now);
    dr_process_coef(process, t_next, &next);
    dr_instance_free(process);
    return 2.0 * log(now.sigma / next.sigma);
}

static void the_network_chooses_between_the_two_variances(void **state)
{
    static const double steps[][2] = { { 300, 299 }, { 2, 1 }, { 270, 240 } };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const double t = steps[i][0], t_next = steps[i][1];
        float beta[N], posterior[N], most[N], least[N], middle[N], beyond[N], z[N];
        step_by("beta", 0, t, t_next, beta);
        step_by("posterior", 0, t, t_next, posterior);
        step_by("learned_range", 1, t, t_next, most);
        step_by("learned_range", -1, t, t_next, least);
        step_by("learned_range", 0.5, t, t_next, middle);
        step_by("learned_range", 3, t, t_next, beyond);
        dr_tensor_read(dr_noise_like(images(0), &rng), DR_F32, z);
        for (int k = 0; k < N; k++) {
            const double root = exp(log_ratio(t, t_next) / 2.0);
            const double s_least = (beta[k] - posterior[k]) / (root - 1.0) / z[k];
            const double mean = posterior[k] - s_least * z[k], expected = mean + s_least * pow(root, 0.75) * z[k];
            assert_true(fabs(most[k] - beta[k]) < 1e-6 && fabs(least[k] - posterior[k]) < 1e-6);
            assert_true(fabs(middle[k] - expected) < 2e-5);
            assert_true(fabs(beyond[k] - (mean + s_least * root * root * z[k])) < 2e-5);
        }
    }
}

static void the_last_step_adds_no_noise(void **state)
{
    (void)state;
    float a[N], b[N];
    step_by("learned_range", 1, 1, 0, a);
    step_by("learned_range", -1, 1, 0, b);
    assert_memory_equal(a, b, sizeof a);
}

static void a_range_that_was_not_learned_is_refused(void **state)
{
    const double grid[2] = { 20, 10 };
    (void)state;
    dr_instance *process = dr_instance_new("process", "ddpm", DR_NO_ARGS);
    dr_instance *sampler = dr_instance_new("sampler", "ddpm", DR_ARGS(DR_S("variance", "learned_range")));
    dr_model *f = dr_model_new(process, plain_stub, NULL);
    assert_null(dr_sample(f, sampler, images(0.3), rng, grid, 1, NULL, NULL));
    assert_error_has("variance = learned_range needs a network that returns twice the channels");
    dr_model_free(f);
    dr_instance_free(sampler);
    dr_instance_free(process);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_half_of_the_channels_is_the_variance),
        cmocka_unit_test(a_variance_lasts_as_long_as_the_scope),
        cmocka_unit_test(guidance_takes_the_conditional_variance),
        cmocka_unit_test(guidance_on_guidance_takes_the_conditional_variance),
        cmocka_unit_test(one_half_alone_has_its_own_variance),
        cmocka_unit_test(a_further_network_leaves_the_variance_alone),
        cmocka_unit_test(guidance_that_asks_no_network_has_none),
        cmocka_unit_test(the_network_chooses_between_the_two_variances),
        cmocka_unit_test(the_last_step_adds_no_noise),
        cmocka_unit_test(a_range_that_was_not_learned_is_refused),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
