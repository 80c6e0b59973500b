/* What a model is conditioned on: tokens that stand for none, images that are joined to x, several conditions at once,
 * rows that hold for all images, and what does not fit. */
#include "../host.h"

enum { B = 3, L = 2, D = 1 };

typedef struct seen { /* the last call's */
    int64_t calls, rows, image_rows;
    float mask[2 * B], label[2 * B], tokens[2 * B * L * D], tokens_mask[2 * B * L], image[2 * B], level[2 * B];
    bool has_mask, has_label, has_tokens, has_tokens_mask, has_image, has_level;
} seen;

static bool look(dr_tensor *t, int64_t rows, float *to)
{
    if (!t) return false;
    assert_int_equal(dr_tensor_view(t)->shape[0], rows);
    assert_int_equal(dr_tensor_read(t, DR_F32, to), DR_OK);
    return true;
}

static void note(seen *s, const dr_batch_cond *c)
{
    s->calls++;
    s->rows = dr_tensor_view(c->time)->shape[0];
    s->image_rows = c->image ? dr_tensor_view(c->image)->shape[0] : 0;
    s->has_mask = look(c->mask, s->rows, s->mask);
    s->has_label = look(c->label, s->rows, s->label);
    s->has_tokens = look(c->tokens, s->rows, s->tokens);
    s->has_tokens_mask = look(c->tokens_mask, s->rows, s->tokens_mask);
    s->has_image = look(c->image, s->image_rows, s->image);
    s->has_level = look(c->image_level, s->rows, s->level);
}

/* y = x + 10 (first token of the row) + 100 (the image's pixel). Without ctx nothing is read back, so that calls can be
 * replayed. */
static dr_tensor *stub(void *ctx, dr_tensor *x, const dr_batch_cond *c)
{
    if (ctx) note(ctx, c);
    dr_tensor *y = x;
    if (c->tokens) y = dr_axpy(10.0, dr_reshape(dr_slice(c->tokens, 1, 0, 1), DR_SHAPE(-1, 1, 1, 1)), y);
    if (c->image) y = dr_axpy(100.0, c->image, y);
    return dr_scale(1.0, y);
}

static double row(dr_tensor *y, int64_t b) { return dr_tensor_item(dr_slice(y, 0, b, 1)); }
static dr_tensor *images(void) { return dr_tensor_full(DR_F32, DR_SHAPE(B, 1, 1, 1), 0.5); }
static dr_tensor *labels(void) { return dr_tensor_from(DR_I32, DR_SHAPE(B), (int32_t[]){ 1, 2, 3 }); }
static dr_tensor *tokens(void) { return dr_tensor_from(DR_F32, DR_SHAPE(B, L, D), (float[]){ 1, 2, 3, 4, 5, 6 }); }
static dr_tensor *none(int64_t rows) { return dr_tensor_full(DR_F32, DR_SHAPE(rows, L, D), -1.0); }
static dr_tensor *small_images(void) { return dr_tensor_from(DR_F32, DR_SHAPE(B, 1, 1, 1), (float[]){ 7, 8, 9 }); }
static dr_tensor *levels(void) { return dr_tensor_from(DR_F32, DR_SHAPE(B), (float[]){ 250, 251, 252 }); }

typedef struct setup { dr_instance *process, *guidance; dr_model *f; seen *s; } setup;

static setup open_setup(double scale, seen *s, const dr_cond_values *c, int n)
{
    setup u = { .process = dr_instance_new("process", "flow_matching", DR_ARGS(DR_S("predict", "x0"))), .s = s };
    if (s) *s = (seen){ 0 };
    u.f = dr_model_new(u.process, stub, s);
    if (scale != 1.0) {
        u.guidance = dr_instance_new("guidance", "cfg", DR_ARGS(DR_R("scale", scale)));
        dr_model_guide(u.f, u.guidance);
    }
    assert_int_equal(dr_model_conditions(u.f, c, n), DR_OK);
    return u;
}

static void close_setup(setup *u)
{
    dr_model_free(u->f);
    dr_instance_free(u->guidance);
    dr_instance_free(u->process);
}

static void assert_floats(const float *got, const float *expected, size_t n)
{
    for (size_t i = 0; i < n; i++) assert_true(got[i] == expected[i]);
}

/* ---- tokens that stand for none --------------------------------------------------------------------------------- */

static void dropped_rows_get_the_null_tokens(void **state)
{
    seen s;
    (void)state;
    for (int64_t rows = 1; rows <= B; rows += B - 1) { /* one for all, or one each */
        setup u = open_setup(3.0, &s, &(dr_cond_values){ .tokens = tokens(), .null_tokens = none(rows) }, 1);
        dr_tensor *y = dr_eval_x0(u.f, images(), 0.25);
        for (int b = 0; b < B; b++) assert_true(row(y, b) == 0.5 - 10.0 + 3.0 * 10.0 * (2 * b + 1 + 1));
        assert_int_equal(s.calls, 1);
        assert_floats(s.tokens, (float[]){ 1, 2, 3, 4, 5, 6, -1, -1, -1, -1, -1, -1 }, 12);
        assert_floats(s.mask, (float[]){ 1, 1, 1, 1, 1, 1 }, 6); /* the tokens themselves say it */
        assert_false(s.has_tokens_mask);
        close_setup(&u);
    }
}

static void the_null_half_alone_has_them_too(void **state)
{
    seen s;
    (void)state;
    setup u = open_setup(0.0, &s, &(dr_cond_values){ .tokens = tokens(), .null_tokens = none(1) }, 1);
    assert_true(row(dr_eval_x0(u.f, images(), 0.25), 1) == -9.5);
    assert_int_equal(s.rows, B);
    close_setup(&u);
}

static void without_null_tokens_the_mask_is_0(void **state)
{
    seen s;
    (void)state;
    setup u = open_setup(3.0, &s, &(dr_cond_values){ .tokens = tokens() }, 1);
    dr_eval_x0(u.f, images(), 0.25);
    assert_floats(s.tokens, (float[]){ 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6 }, 12);
    assert_floats(s.mask, (float[]){ 1, 1, 1, 0, 0, 0 }, 6);
    close_setup(&u);
}

/* A label can be dropped by the mask alone. */
static void beside_a_label_both_are_given(void **state)
{
    seen s;
    (void)state;
    const dr_cond_values c = { .label = labels(), .tokens = tokens(), .null_tokens = none(1) };
    setup u = open_setup(3.0, &s, &c, 1);
    dr_eval_x0(u.f, images(), 0.25);
    assert_floats(s.tokens + B * L, (float[]){ -1, -1, -1, -1, -1, -1 }, 6);
    assert_floats(s.mask, (float[]){ 1, 1, 1, 0, 0, 0 }, 6);
    assert_floats(s.label, (float[]){ 1, 2, 3, 1, 2, 3 }, 6);
    close_setup(&u);
}

static void a_mask_of_tokens_in_one_half_is_one_in_both(void **state)
{
    seen s;
    (void)state;
    dr_tensor *short_ones = dr_tensor_from(DR_F32, DR_SHAPE(1, L), (float[]){ 1, 0 });
    const dr_cond_values null_has_one = { .tokens = tokens(), .null_tokens = none(1), .null_tokens_mask = short_ones };
    const dr_cond_values tokens_have_one = { .tokens = tokens(), .tokens_mask = short_ones, .null_tokens = none(1) };
    setup u = open_setup(3.0, &s, &null_has_one, 1);
    dr_eval_x0(u.f, images(), 0.25);
    assert_floats(s.tokens_mask, (float[]){ 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0 }, 12);
    close_setup(&u);
    u = open_setup(3.0, &s, &tokens_have_one, 1);
    dr_eval_x0(u.f, images(), 0.25);
    assert_floats(s.tokens_mask, (float[]){ 1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1 }, 12);
    close_setup(&u);
}

/* ---- images ----------------------------------------------------------------------------------------------------- */

static void images_go_to_both_halves(void **state)
{
    seen s;
    (void)state;
    const dr_cond_values c = { .tokens = tokens(), .null_tokens = none(1), .image = small_images(),
                               .image_level = levels() };
    setup u = open_setup(3.0, &s, &c, 1);
    dr_tensor *y = dr_eval_x0(u.f, images(), 0.25);
    for (int b = 0; b < B; b++) assert_true(row(y, b) == 0.5 + 100.0 * (7 + b) - 10.0 + 3.0 * 10.0 * (2 * b + 2));
    assert_floats(s.image, (float[]){ 7, 8, 9, 7, 8, 9 }, 6);
    assert_floats(s.level, (float[]){ 250, 251, 252, 250, 251, 252 }, 6);
    close_setup(&u);
}

/* x and the images beside it stay B where the network shares them; what the condition says is of 2 B rows. */
static dr_tensor *sharing_stub(void *ctx, dr_tensor *x, const dr_batch_cond *c)
{
    dr_tensor *y = stub(ctx, x, &(dr_batch_cond){ .time = c->time, .image = c->image, .image_level = c->image_level });
    return dr_concat((dr_tensor *[]){ y, y }, 2, 0);
}

static void shared_images_are_not_repeated(void **state)
{
    seen s = { 0 };
    (void)state;
    setup u = open_setup(3.0, &s, &(dr_cond_values){ 0 }, 1);
    dr_model *f = dr_model_new(u.process, sharing_stub, &s);
    dr_model_shares_images(f);
    dr_model_guide(f, u.guidance);
    dr_model_conditions(f, &(dr_cond_values){ .label = labels(), .image = small_images(), .image_level = levels() }, 1);
    assert_true(row(dr_eval_x0(f, images(), 0.25), 1) == 800.5);
    assert_int_equal(s.image_rows, B);
    assert_int_equal(s.rows, 2 * B);
    assert_true(s.has_level);
    dr_model_free(f);
    close_setup(&u);
}

static void a_row_holds_for_all_images(void **state)
{
    seen s;
    (void)state;
    const dr_cond_values c = { .label = dr_tensor_full(DR_I32, DR_SHAPE(1), 4), .tokens = dr_slice(tokens(), 0, 1, 1),
                               .image = dr_slice(small_images(), 0, 1, 1), .image_level = dr_slice(levels(), 0, 1, 1) };
    setup u = open_setup(1.0, &s, &c, 1);
    dr_tensor *y = dr_eval_x0(u.f, images(), 0.25);
    for (int b = 0; b < B; b++) assert_true(row(y, b) == 0.5 + 30.0 + 800.0);
    assert_floats(s.label, (float[]){ 4, 4, 4 }, B);
    assert_floats(s.level, (float[]){ 251, 251, 251 }, B);
    close_setup(&u);
}

/* ---- several conditions ----------------------------------------------------------------------------------------- */

/* (first + last)/2, the last one on its own image plus 1. */
static dr_tensor *mean_of_two(void *self, dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    (void)self, (void)cond;
    const dr_cond *last = dr_cond_at(f, dr_cond_count(f) - 1);
    if (!last) return NULL;
    if (dr_cond_image(last)) last = dr_cond_with_image(f, last, dr_affine(1.0, dr_cond_image(last), 1.0));
    dr_tensor *a = dr_predict(f, x, t, dr_cond_at(f, 0)), *b = dr_predict(f, x, t, last);
    return dr_scale(0.5, dr_add(a, b));
}

static const dr_component pairing_component = { .size = sizeof pairing_component, .kind = "guidance/1",
                                                .name = "mean_of_two" };
static const dr_guidance pairing_api = { .size = sizeof pairing_api, .eval = mean_of_two };

/* The images change from call to call, as they do under a view. */
static void guidance_sees_each_condition(void **state)
{
    (void)state;
    dr_instance pairing = { .component = &pairing_component, .iface = &pairing_api };
    const dr_cond_values c[2] = { { .tokens = tokens(), .null_tokens = none(1) },
                                  { .tokens = dr_scale(2.0, tokens()), .null_tokens = dr_scale(3.0, none(1)) } };
    for (int with_image = 0; with_image < 2; with_image++) {
        dr_cond_values with[2] = { c[0], c[1] };
        with[1].image = with_image ? small_images() : NULL;
        setup u = open_setup(2.0, NULL, with, 2); /* cfg inside */
        dr_model_guide(u.f, &pairing);
        assert_int_equal(dr_cond_count(u.f), 2);
        for (int i = 0; i < 12; i++) { /* most of them replayed */
            dr_tensor *y = dr_eval_x0(u.f, images(), 0.25);
            for (int b = 0; b < B; b++) {
                const double token = 2 * b + 1;
                const double first = 0.5 - 10 + 20 * (token + 1), second = 0.5 - 30 + 20 * (2 * token + 3);
                assert_true(row(y, b) == (first + second + (with_image ? 100.0 * (8 + b) : 0.0)) / 2);
            }
        }
        assert_int_equal(dr_model_calls(u.f), 24);
        close_setup(&u);
    }
}

static void a_plain_model_has_the_first_condition(void **state)
{
    seen s;
    (void)state;
    const dr_cond_values c[2] = { { .tokens = tokens() }, { .tokens = dr_scale(2.0, tokens()) } };
    setup u = open_setup(1.0, &s, c, 2);
    assert_true(row(dr_eval_x0(u.f, images(), 0.25), 0) == 10.5);
    assert_true(row(dr_predict(u.f, images(), 0.25, NULL), 0) == 10.5);
    assert_true(row(dr_predict(u.f, images(), 0.25, dr_cond_at(u.f, 1)), 0) == 20.5);
    assert_null(dr_cond_at(u.f, 2));
    assert_error_has("condition 3 is asked for, of 2");
    assert_int_equal(dr_model_conditions(u.f, c, 1), DR_OK);
    assert_int_equal(dr_cond_count(u.f), 1);
    close_setup(&u);
}

static void a_condition_with_another_image_keeps_the_rest(void **state)
{
    seen s;
    (void)state;
    const dr_cond_values c = { .tokens = tokens(), .null_tokens = none(1), .image = small_images(),
                               .image_level = levels() };
    setup u = open_setup(1.0, &s, &c, 1);
    dr_tensor *other = dr_scale(-1.0, small_images());
    const dr_cond *turned = dr_cond_with_image(u.f, NULL, other), *null = dr_cond_null_of(u.f, turned);
    assert_ptr_equal(dr_cond_image(turned), other);
    assert_ptr_equal(dr_cond_image(null), other);
    dr_predict(u.f, images(), 0.25, turned);
    assert_floats(s.image, (float[]){ -7, -8, -9 }, B);
    assert_floats(s.tokens, (float[]){ 1, 2, 3, 4, 5, 6 }, 6);
    assert_floats(s.level, (float[]){ 250, 251, 252 }, B);
    dr_predict(u.f, images(), 0.25, null);
    assert_floats(s.image, (float[]){ -7, -8, -9 }, B);
    assert_floats(s.tokens, (float[]){ -1, -1, -1, -1, -1, -1 }, 6);
    dr_predict(u.f, images(), 0.25, dr_cond_with_image(u.f, null, small_images()));
    assert_floats(s.tokens, (float[]){ -1, -1, -1, -1, -1, -1 }, 6); /* still the null one */
    assert_null(dr_cond_with_image(u.f, NULL, NULL));
    assert_error_has("the image is missing"); /* else NULL would be the model's own condition */
    close_setup(&u);
}

/* ---- each image alone ------------------------------------------------------------------------------------------- */

static dr_tensor *to_estimate(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    (void)self, (void)t_next, (void)rng;
    assert_int_equal(dr_tensor_view(x)->shape[0], 1);
    return dr_eval_x0(f, x, t);
}

static void row_by_row_each_image_has_its_own_rows(void **state)
{
    static const dr_component component = { .size = sizeof component, .kind = "sampler/1", .name = "to_estimate" };
    static const dr_sampler api = { .size = sizeof api, .step = to_estimate, .flags = DR_SAMPLER_ROW_BY_ROW };
    dr_instance sampler = { .component = &component, .iface = &api };
    const double grid[2] = { 0.25, 1.0 };
    seen s;
    (void)state;
    const dr_cond_values c = { .tokens = tokens(), .null_tokens = none(1), .image = small_images(),
                               .image_level = levels() };
    setup u = open_setup(2.0, &s, &c, 1);
    dr_tensor *y = dr_sample(u.f, &sampler, images(), (dr_rng){ 0 }, grid, 1, NULL, NULL);
    for (int b = 0; b < B; b++) assert_true(row(y, b) == 0.5 + 100.0 * (7 + b) - 10.0 + 2.0 * 10.0 * (2 * b + 2));
    assert_int_equal(s.calls, B);
    assert_floats(s.level, (float[]){ 252, 252 }, 2);
    dr_eval_x0(u.f, images(), 0.25); /* all rows again */
    assert_int_equal(s.rows, 2 * B);
    close_setup(&u);
}

/* ---- in the middle of an estimate ------------------------------------------------------------------------------- */

typedef struct meddler { dr_model *f; int at, calls; bool samples; } meddler;

static dr_tensor *meddling_stub(void *ctx, dr_tensor *x, const dr_batch_cond *c)
{
    meddler *m = ctx;
    if (m->calls++ != m->at) return stub(NULL, x, c);
    if (!m->samples) return dr_model_condition(m->f, NULL, NULL, NULL) == DR_OK ? x : NULL;
    dr_instance *sampler = dr_instance_new("sampler", "euler", DR_ARGS(DR_I("steps", 2)));
    dr_tensor *y = dr_sample(m->f, sampler, x, (dr_rng){ 0 }, NULL, 0, NULL, NULL);
    dr_instance_free(sampler);
    return y;
}

/* The conditions that guidance holds must stay; after the error the model is as it was. */
static void the_network_cannot_change_what_it_is_asked_about(void **state)
{
    const dr_cond_values c[2] = { { .tokens = tokens() }, { .tokens = tokens(), .image = small_images() } };
    (void)state;
    for (int i = 0; i < 8; i++) {
        setup u = open_setup(1.0, NULL, c, 2);
        meddler m = { .at = i / 2, .samples = i % 2 };
        dr_instance *inner = dr_instance_new("guidance", "cfg", DR_ARGS(DR_R("scale", 2.0)));
        dr_instance *outer = dr_instance_new("guidance", "cfg_rescale", DR_ARGS(DR_R("scale", 3.0)));
        dr_instance *anagram = dr_instance_new("guidance", "anagram", DR_ARGS(DR_CS("views",
            DR_C(NULL, "identity", DR_NO_ARGS), DR_C(NULL, "flip", DR_NO_ARGS))));
        dr_model *f = m.f = dr_model_new(u.process, meddling_stub, &m);
        dr_model_guide(f, inner);
        dr_model_guide(f, outer);
        dr_model_guide(f, anagram);
        assert_int_equal(dr_model_conditions(f, c, 2), DR_OK);
        assert_null(dr_eval_x0(f, images(), 0.25));
        assert_error_has("within an estimate of the same model");
        assert_non_null(dr_eval_x0(f, images(), 0.25));
        assert_int_equal(dr_cond_count(f), 2);
        dr_model_free(f);
        dr_instance_free(anagram);
        dr_instance_free(outer);
        dr_instance_free(inner);
        close_setup(&u);
    }
}

/* ---- what does not fit ------------------------------------------------------------------------------------------ */

static void refuses(const dr_cond_values *c, const char *message)
{
    seen s;
    setup u = open_setup(1.0, &s, &(dr_cond_values){ .label = labels() }, 1);
    assert_int_not_equal(dr_model_conditions(u.f, c, 1), DR_OK);
    assert_error_has(message);
    assert_non_null(dr_eval_x0(u.f, images(), 0.25)); /* the condition before is still there */
    assert_true(s.has_label);
    close_setup(&u);
}

static void conditions_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    refuses(&(dr_cond_values){ .label = levels() }, "labels should be i32[B]");
    refuses(&(dr_cond_values){ .image = levels() }, "should be [B,C,H,W]");
    refuses(&(dr_cond_values){ .image_level = labels() }, "image levels should be f32[B]");
    refuses(&(dr_cond_values){ .null_tokens = none(1) }, "null tokens without tokens");
    refuses(&(dr_cond_values){ .tokens = tokens(), .null_tokens_mask = levels() }, "a mask of null tokens without");
    refuses(&(dr_cond_values){ .tokens = tokens(), .null_tokens = dr_tensor_full(DR_F32, DR_SHAPE(1, L + 1, D), 0) },
            "with one L and D");
}

static void rows_that_do_not_fit_are_refused(void **state)
{
    const dr_cond_values c[] = { { .tokens = dr_slice(tokens(), 0, 0, 2) },
                                 { .image = dr_slice(small_images(), 0, 0, 2) },
                                 { .image_level = dr_slice(levels(), 0, 0, 2) } };
    static const char *const messages[] = { "tokens: 2 rows for 3 images", "images: 2 rows for 3 images",
                                            "image levels: 2 rows for 3 images" };
    seen s;
    (void)state;
    for (int i = 0; i < 3; i++) {
        setup u = open_setup(1.0, &s, &c[i], 1);
        assert_null(dr_eval_x0(u.f, images(), 0.25));
        assert_error_has(messages[i]);
        assert_int_equal(s.calls, 0);
        close_setup(&u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dropped_rows_get_the_null_tokens),
        cmocka_unit_test(the_null_half_alone_has_them_too),
        cmocka_unit_test(without_null_tokens_the_mask_is_0),
        cmocka_unit_test(beside_a_label_both_are_given),
        cmocka_unit_test(a_mask_of_tokens_in_one_half_is_one_in_both),
        cmocka_unit_test(images_go_to_both_halves),
        cmocka_unit_test(shared_images_are_not_repeated),
        cmocka_unit_test(a_row_holds_for_all_images),
        cmocka_unit_test(guidance_sees_each_condition),
        cmocka_unit_test(a_plain_model_has_the_first_condition),
        cmocka_unit_test(a_condition_with_another_image_keeps_the_rest),
        cmocka_unit_test(row_by_row_each_image_has_its_own_rows),
        cmocka_unit_test(the_network_cannot_change_what_it_is_asked_about),
        cmocka_unit_test(conditions_that_do_not_fit_are_refused),
        cmocka_unit_test(rows_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
