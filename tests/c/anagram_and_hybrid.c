/* Anagrams and hybrids of models whose answer is known: data N(mu_c, s^2) per pixel, mu_c an image of condition c. Then
 *   E[x0|x] = k x + (1 - k alpha) mu_c,  k = alpha s^2/(alpha^2 s^2 + sigma^2)
 * and an anagram over orthogonal views, a hybrid over linear filters, are such a model again: with mu the mean of the
 * mu_c seen back, or F mu_1 + (1 - F) mu_2. Whatever is predicted, in whatever order guidance is nested. */
#include "../host.h"

#include <math.h>

enum { B = 2, C = 2, H = 5, W = 6, MOST = 16 };
static const double S = 0.5;

typedef struct gaussian { /* the network's context */
    const dr_instance *process;
    double t; /* at which it is asked */
    int calls;
    _Bool with_variance, with_image;
} gaussian;

/* mu of condition c on images of any size: a different smooth pattern for each. */
static dr_tensor *pattern(int64_t c, int64_t h, int64_t w)
{
    float v[C * H * W * 4];
    for (int64_t i = 0; i < C * h * w; i++)
        v[i] = (float)(0.6 * sin(0.7 * (double)(c + 1) * (double)(i % w) + 0.4 * (double)(i / w) + (double)c));
    return dr_tensor_from(DR_F32, DR_SHAPE(1, C, h, w), v);
}

static dr_tensor *posterior(const dr_coef *c, dr_tensor *x, dr_tensor *mu)
{
    const double k = c->alpha * S * S / (c->alpha * c->alpha * S * S + c->sigma * c->sigma);
    return dr_add(dr_scale(k, x), dr_scale(1.0 - k * c->alpha, mu));
}

/* p x0 + q eps of x0's estimate */
static dr_tensor *target(const dr_coef *c, dr_tensor *x, dr_tensor *x0)
{
    return dr_add(dr_scale(c->p, x0), dr_scale(c->q / c->sigma, dr_axpy(-c->alpha, x0, x)));
}

/* The label is the condition's number, the same for all images; where the mask is 0, mu is 0. */
static dr_tensor *network(void *ctx, dr_tensor *x, const dr_batch_cond *cond)
{
    gaussian *g = ctx;
    const dr_view *v = dr_tensor_view(x);
    const int label = (int)dr_tensor_item(dr_slice(cond->label, 0, 0, 1));
    dr_coef c;
    dr_process_coef(g->process, g->t, &c);
    g->calls++;
    dr_tensor *mask = dr_reshape(cond->mask, DR_SHAPE(v->shape[0], 1, 1, 1));
    dr_tensor *mu = dr_mul(pattern(label, v->shape[2], v->shape[3]), mask); /* [B,C,h,w] */
    dr_tensor *seen = c.c_in == 1.0 ? x : dr_scale(1.0 / c.c_in, x), *y = target(&c, seen, posterior(&c, seen, mu));
    if (g->with_image) y = dr_add(y, cond->image);
    return g->with_variance ? dr_concat((dr_tensor *[]){ y, dr_add(seen, mu) }, 2, 1) : y;
}

static dr_tensor *images(void)
{
    const dr_rng rng = { .seed = 3, .purpose = dr_purpose("test") };
    return dr_rand_normal(DR_F32, DR_SHAPE(B, C, H, W), &rng);
}

static double difference(dr_tensor *a, dr_tensor *b)
{
    dr_tensor *d = dr_amax(dr_abs(dr_sub(a, b)), 0, NULL, 0);
    const double value = d ? dr_tensor_item(d) : NAN;
    return isnan(value) ? 1e300 : value;
}

static void give_conditions(dr_model *f, int n, dr_tensor *const *image)
{
    dr_cond_values c[MOST] = { 0 };
    for (int i = 0; i < n; i++) {
        c[i].label = dr_tensor_from(DR_I32, DR_SHAPE(1), (int32_t[]){ i });
        c[i].image = image ? image[i] : NULL;
    }
    assert_int_equal(dr_model_conditions(f, c, n), DR_OK);
}

typedef struct setup {
    gaussian g;
    dr_instance *process, *guidance[3];
    dr_model *f;
    int guidances;
} setup;

static void begin(setup *s, const char *process, const char *predict, double t)
{
    *s = (setup){ .process = dr_instance_new("process", process, DR_ARGS(DR_S("predict", predict))) };
    assert_non_null(s->process);
    s->g = (gaussian){ .process = s->process, .t = t };
    s->f = dr_model_new(s->process, network, &s->g);
}

static void guide(setup *s, const char *name, dr_args args)
{
    dr_instance *i = dr_instance_new("guidance", name, args);
    if (!i) fail_msg("%s", dr_error_message());
    dr_model_guide(s->f, s->guidance[s->guidances++] = i);
}

static void end(setup *s)
{
    dr_model_free(s->f);
    for (int i = 0; i < s->guidances; i++) dr_instance_free(s->guidance[i]);
    dr_instance_free(s->process);
}

static const struct {
    const char *process, *predict;
    double t;
} predictions[] = {
    { "flow_matching", "velocity", 0.3 },
    { "flow_matching", "x0", 0.6 },
    { "vp", "eps", 0.4 },
    { "vp", "v", 0.7 },
    { "ddpm", "eps", 120 },
};
enum { PREDICTIONS = sizeof predictions / sizeof *predictions };

static dr_args anagram_of(const dr_arg *views, int64_t n, const char *combine, dr_arg room[2], dr_args *items)
{
    *items = (dr_args){ views, n };
    room[0] = (dr_arg){ .name = "views", .type = DR_PARAM_COMPONENTS, .children = items };
    room[1] = (dr_arg)DR_S("combine", combine);
    return (dr_args){ room, 2 };
}

#define TURNED DR_C(NULL, "rotate", DR_ARGS(DR_I("degrees", 90)))
#define PLAIN DR_C(NULL, "identity", DR_NO_ARGS)

static void give_anagram(setup *s, const dr_arg *views, int64_t n, const char *combine)
{
    dr_arg room[2];
    dr_args items;
    guide(s, "anagram", anagram_of(views, n, combine, room, &items));
}

static dr_tensor *back(const dr_arg *view, dr_tensor *y)
{
    dr_instance *v = dr_instance_new("view", view->text, *view->children);
    y = dr_image_view_invert(v, y);
    dr_instance_free(v);
    return y;
}

/* ---- tests ------------------------------------------------------------------------------------------------------ */

/* Views: as it is, turned by 90 degrees (6 x 5), and negative about 0.5: 1 - x. */
static void an_anagram_of_gaussians_is_the_gaussian_of_their_means_seen_back(void **state)
{
    (void)state;
    const dr_arg views[] = { PLAIN, TURNED, DR_C(NULL, "negate", DR_ARGS(DR_R("about", 0.5))) };
    for (int i = 0; i < PREDICTIONS; i++) {
        setup s;
        dr_coef c;
        begin(&s, predictions[i].process, predictions[i].predict, predictions[i].t);
        give_conditions(s.f, 3, NULL);
        give_anagram(&s, views, 3, "mean");
        dr_process_coef(s.process, predictions[i].t, &c);
        dr_tensor *negative = dr_affine(-1.0, pattern(2, H, W), 1.0);
        dr_tensor *mu =
            dr_scale(1.0 / 3.0, dr_add(dr_add(pattern(0, H, W), back(&views[1], pattern(1, W, H))), negative));
        dr_tensor *x = images(), *wanted = posterior(&c, x, mu);
        const double d = difference(dr_eval_x0(s.f, x, predictions[i].t), wanted);
        if (!(d < 5e-6)) fail_msg("%s predicts %s: off by %g", predictions[i].process, predictions[i].predict, d);
        assert_int_equal(s.g.calls, 3);
        end(&s);
    }
}

static void predictions_may_be_added_up(void **state)
{
    (void)state;
    const dr_arg views[] = { PLAIN, TURNED };
    setup mean, sum;
    begin(&mean, "vp", "eps", 0.4), begin(&sum, "vp", "eps", 0.4);
    give_conditions(mean.f, 2, NULL), give_conditions(sum.f, 2, NULL);
    give_anagram(&mean, views, 2, "mean"), give_anagram(&sum, views, 2, "sum");
    dr_tensor *x = images();
    assert_true(difference(dr_predict(sum.f, x, 0.4, NULL), dr_scale(2.0, dr_predict(mean.f, x, 0.4, NULL))) == 0.0);
    end(&mean), end(&sum);
}

/* velocity = (1 + label) * a pattern, whatever x and t: what a step adds tells which view it took. */
static dr_tensor *steady(void *ctx, dr_tensor *x, const dr_batch_cond *cond)
{
    const dr_view *v = dr_tensor_view(x);
    (void)ctx;
    dr_tensor *label = dr_reshape(dr_affine(1.0, dr_cast(cond->label, DR_F32), 1.0), DR_SHAPE(v->shape[0], 1, 1, 1));
    return dr_mul(label, pattern(0, v->shape[2], v->shape[3]));
}

/* One view a step, also where the sampler asks twice a step; a run that begins to count elsewhere goes on in turn. */
static void alternate_takes_the_views_in_turn(void **state)
{
    (void)state;
    const dr_arg views[] = { PLAIN, TURNED, DR_C(NULL, "flip", DR_NO_ARGS) };
    static const double t[] = { 0.0, 0.1, 0.3, 0.6, 0.8, 1.0 };
    static const struct {
        const char *sampler;
        uint32_t first;
        int calls;
    } runs[] = { { "euler", 0, 5 }, { "midpoint", 0, 10 }, { "euler", 4, 5 } };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        setup s;
        begin(&s, "flow_matching", "velocity", 0.3);
        dr_model_free(s.f);
        s.f = dr_model_new(s.process, steady, NULL);
        give_conditions(s.f, 3, NULL);
        give_anagram(&s, views, 3, "alternate");
        dr_instance *sampler = dr_instance_new("sampler", runs[i].sampler, DR_NO_ARGS);
        const dr_rng rng = { .seed = 1, .purpose = dr_purpose("test"), .step = runs[i].first };
        dr_tensor *x = images(), *wanted = x, *end_x = dr_sample(s.f, sampler, x, rng, t, 5, NULL, NULL);
        for (int k = 0; k < 5; k++) {
            const int turn = (int)((runs[i].first + (uint32_t)k) % 3);
            dr_tensor *seen = pattern(0, turn == 1 ? W : H, turn == 1 ? H : W);
            wanted = dr_axpy((t[k + 1] - t[k]) * (1 + turn), back(&views[turn], seen), wanted);
        }
        assert_true(difference(end_x, wanted) < 2e-6);
        assert_int_equal(dr_model_calls(s.f), runs[i].calls);
        assert_int_equal(dr_step(s.f), 0);
        end(&s);
        dr_instance_free(sampler);
    }
}

static void a_hybrid_of_equal_conditions_is_the_plain_estimate_to_the_bit(void **state)
{
    (void)state;
    setup s;
    begin(&s, "vp", "v", 0.7);
    dr_tensor *x = images();
    dr_cond_values same[3] = { { .label = dr_tensor_from(DR_I32, DR_SHAPE(1), (int32_t[]){ 2 }) } };
    same[1] = same[2] = same[0];
    assert_int_equal(dr_model_conditions(s.f, same, 3), DR_OK);
    dr_tensor *plain = dr_predict(s.f, x, 0.7, NULL);
    guide(&s, "hybrid",
          DR_ARGS(DR_CS("filters", DR_C(NULL, "gaussian_blur", DR_ARGS(DR_I("kernel", 5), DR_I("reference_size", 0))),
                        DR_C(NULL, "grayscale", DR_NO_ARGS))));
    assert_true(difference(dr_predict(s.f, x, 0.7, NULL), plain) == 0.0);
    end(&s);
}

static void a_hybrid_of_gaussians_has_filtered_means(void **state)
{
    (void)state;
    for (int i = 0; i < PREDICTIONS; i++) {
        setup s;
        dr_coef c;
        begin(&s, predictions[i].process, predictions[i].predict, predictions[i].t);
        give_conditions(s.f, 2, NULL);
        guide(&s, "hybrid",
              DR_ARGS(DR_CS("filters", DR_C(NULL, "gaussian_blur",
                                            DR_ARGS(DR_I("kernel", 5), DR_R("sigma", 1), DR_I("reference_size", 0))))));
        dr_process_coef(s.process, predictions[i].t, &c);
        dr_tensor *far = pattern(0, H, W), *near = pattern(1, H, W);
        dr_tensor *mu = dr_add(dr_gaussian_blur(far, 5, 1.0), dr_sub(near, dr_gaussian_blur(near, 5, 1.0)));
        dr_tensor *x = images();
        assert_true(difference(dr_eval_x0(s.f, x, predictions[i].t), posterior(&c, x, mu)) < 5e-6);
        end(&s);
    }
}

/* Four conditions: the hybrid's halves are anagrams of two. And cfg: inside both, between them, outside both. */
static void guidance_nests_in_any_order(void **state)
{
    (void)state;
    const dr_arg views[] = { PLAIN, TURNED };
    for (int cfg = 0; cfg < 4; cfg++) { /* 3: none */
        setup s;
        dr_coef c;
        const double t = 0.4, scale = cfg < 3 ? 2.5 : 1.0;
        begin(&s, "vp", "eps", t);
        give_conditions(s.f, 4, NULL);
        for (int level = 0; level < 3; level++) {
            if (cfg == level) guide(&s, "cfg", DR_ARGS(DR_R("scale", scale)));
            if (level == 0) give_anagram(&s, views, 2, "mean");
            if (level == 1)
                guide(&s, "hybrid",
                      DR_ARGS(
                          DR_CS("filters", DR_C(NULL, "box", DR_ARGS(DR_I("kernel", 3), DR_I("reference_size", 0))))));
        }
        dr_process_coef(s.process, t, &c);
        dr_tensor *half[2], *x = images();
        for (int i = 0; i < 2; i++) {
            half[i] = dr_scale(0.5, dr_add(pattern(2 * i, H, W), back(&views[1], pattern(2 * i + 1, W, H))));
        }
        dr_instance *box = dr_instance_new("filter", "box", DR_ARGS(DR_I("kernel", 3), DR_I("reference_size", 0)));
        dr_tensor *mu = dr_add(half[1], dr_filter_apply(box, dr_sub(half[0], half[1])));
        const double d =
            difference(dr_eval_x0(s.f, x, t), posterior(&c, x, dr_scale(scale, mu))); /* without a condition mu is 0 */
        if (!(d < 1e-5)) fail_msg("cfg at level %d: off by %g", cfg, d);
        dr_instance_free(box);
        end(&s);
    }
}

/* y = plain prediction + the condition's image: seen and brought back it is that image again, each condition's own. */
static void a_view_applies_to_the_image_of_a_condition(void **state)
{
    (void)state;
    const dr_arg views[] = { TURNED, DR_C(NULL, "flip", DR_NO_ARGS) };
    setup s, without;
    dr_tensor *image[4], *x = images();
    for (int i = 0; i < 4; i++) image[i] = pattern(5 + i, H, W);
    begin(&s, "vp", "eps", 0.4), begin(&without, "vp", "eps", 0.4);
    s.g.with_image = 1;
    for (int k = 0; k < 2; k++) { /* an anagram of flips within an anagram of turns */
        give_anagram(&s, views, 2, "mean");
        give_anagram(&without, views, 2, "mean");
    }
    give_conditions(s.f, 4, image), give_conditions(without.f, 4, NULL);
    dr_tensor *mean = dr_scale(0.25, dr_add(dr_add(image[0], image[1]), dr_add(image[2], image[3])));
    dr_tensor *wanted = dr_add(dr_predict(without.f, x, 0.4, NULL), mean);
    assert_true(difference(dr_predict(s.f, x, 0.4, NULL), wanted) < 2e-6);
    end(&s), end(&without);
}

/* The variance output is x + mu: the mean of those that the views bring back; a negative's stays as it is. */
static void variance_outputs_are_averaged_where_they_belong(void **state)
{
    (void)state;
    const dr_arg views[] = { TURNED, DR_C(NULL, "negate", DR_NO_ARGS) };
    setup s;
    dr_tensor *x = images();
    begin(&s, "vp", "eps", 0.4);
    s.g.with_variance = 1;
    give_conditions(s.f, 2, NULL);
    give_anagram(&s, views, 2, "sum");
    assert_non_null(dr_predict(s.f, x, 0.4, NULL));
    dr_tensor *turned = dr_add(x, back(&views[0], pattern(0, W, H))), *negative = dr_axpy(-1.0, x, pattern(1, H, W));
    assert_true(difference(dr_variance(s.f), dr_scale(0.5, dr_add(turned, negative))) < 1e-6);
    end(&s);

    begin(&s, "vp", "eps", 0.4);
    s.g.with_variance = 1;
    give_conditions(s.f, 2, NULL);
    guide(&s, "hybrid", DR_ARGS(DR_CS("filters", DR_C(NULL, "grayscale", DR_NO_ARGS))));
    assert_non_null(dr_predict(s.f, x, 0.4, NULL));
    assert_true(difference(dr_variance(s.f), dr_add(x, dr_scale(0.5, dr_add(pattern(0, H, W), pattern(1, H, W))))) <
                1e-6);
    end(&s);
}

static dr_tensor *first_rows(dr_tensor *x) { return dr_slice(x, 2, 0, 3); }
static dr_tensor *same(dr_tensor *x) { return x; }

static void refused(int conditions, const char *name, dr_args args, dr_tensor *const *image, const char *message)
{
    setup s;
    begin(&s, "vp", "eps", 0.4);
    give_conditions(s.f, conditions, image);
    guide(&s, name, args);
    assert_null(dr_predict(s.f, images(), 0.4, NULL));
    assert_error_has(message);
    end(&s);
}

static void what_does_not_fit_is_said(void **state)
{
    (void)state;
    const dr_args two = DR_ARGS(DR_CS("views", PLAIN, TURNED)),
                  one_filter = DR_ARGS(DR_CS("filters", DR_C(NULL, "grayscale", DR_NO_ARGS)));
    const dr_arg wrong[] = { { .name = "apply", .type = DR_PARAM_FUNCTION, .fn = (dr_function)same },
                             { .name = "invert", .type = DR_PARAM_FUNCTION, .fn = (dr_function)first_rows } };
    const dr_args wrong_args = { wrong, 2 };
    const dr_arg cut = { .name = "apply", .type = DR_PARAM_FUNCTION, .fn = (dr_function)first_rows };
    const dr_args cut_args = { &cut, 1 };
    dr_tensor *image[1] = { pattern(0, H, W) };
    refused(1, "anagram", two, NULL,
            "guidance anagram: 2 views take a condition each (conditions = { c1, c2, ... }), but there is 1");
    refused(3, "anagram", two, NULL, "but there are 3");
    refused(4, "anagram", two, NULL,
            "2 conditions reached the network, which takes one: more were given than the guidance uses");
    refused(1, "anagram", DR_NO_ARGS, NULL, "guidance anagram: views is required");
    refused(1, "anagram", DR_ARGS(DR_CS("views", DR_C(NULL, "custom", wrong_args))), NULL,
            "view custom: invert gave f32");
    refused(1, "anagram", DR_ARGS(DR_CS("views", DR_C(NULL, "negate", DR_ARGS(DR_R("about", 0.5))))), image,
            "the view negate adds to every pixel");
    refused(1, "anagram", DR_ARGS(DR_CS("views", DR_C(NULL, "jigsaw", DR_ARGS(DR_I("pieces", 4))))), NULL,
            "view jigsaw: 5 x 6 pixels cannot be cut into 4 x 4 equal pieces");
    refused(1, "hybrid", one_filter, NULL,
            "guidance hybrid: 1 filter takes 2 conditions, the last for what is left out");
    refused(2, "hybrid", DR_NO_ARGS, NULL, "guidance hybrid: filters is required");
    refused(2, "hybrid", DR_ARGS(DR_CS("filters", DR_C(NULL, "custom", cut_args))), NULL,
            "filter custom: apply gave f32[2,2,3,6], where it was given f32[2,2,5,6]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_anagram_of_gaussians_is_the_gaussian_of_their_means_seen_back),
        cmocka_unit_test(predictions_may_be_added_up),
        cmocka_unit_test(alternate_takes_the_views_in_turn),
        cmocka_unit_test(a_hybrid_of_equal_conditions_is_the_plain_estimate_to_the_bit),
        cmocka_unit_test(a_hybrid_of_gaussians_has_filtered_means),
        cmocka_unit_test(guidance_nests_in_any_order),
        cmocka_unit_test(a_view_applies_to_the_image_of_a_condition),
        cmocka_unit_test(variance_outputs_are_averaged_where_they_belong),
        cmocka_unit_test(what_does_not_fit_is_said),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
