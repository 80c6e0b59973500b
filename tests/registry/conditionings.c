/* Every conditioning scheme: it needs its sites' widths, keeps their shapes (of maps and of tokens), gives every weight a
 * gradient, depends on what it is given, and with the mask at 0 does not depend on the label. Weights that start at zero
 * would hide all of that, so they are moved first. */
#include "walk.h"

#include <math.h>

enum { B = 3, SITES = 2 };
static const int64_t widths[SITES] = { 4, 3 }; /* default_args gives the same */

static void shake(dr_module *root)
{
    for (int64_t i = 0; i < dr_module_named_count(root); i++) {
        const dr_named *n = dr_module_named_at(root, i);
        if (n->is_buffer) continue;
        const dr_view *v = dr_tensor_view(n->tensor);
        const bool recording = dr_grad_mode(false);
        dr_tensor *moved = dr_axpy(0.3, noise(DR_F32, v->rank, v->shape, 100 + (uint32_t)i), n->tensor);
        assert_int_equal(dr_assign(n->tensor, moved), DR_OK);
        dr_grad_mode(recording);
    }
}

static dr_module *build_with(const dr_component *c, int64_t n, const dr_arg *more)
{
    walk_args a;
    default_args(c, &a);
    for (int64_t i = 0; i < n; i++) add_arg(&a, more[i]);
    dr_module *root = dr_module_group(NULL, "test");
    if (!dr_module_create(root, "", "conditioning", c->name, a.args)) fail_msg("%s: %s", c->name, dr_error_message());
    return root;
}

static dr_module *build(const dr_component *c)
{
    dr_module *root = build_with(c, 0, NULL);
    shake(root);
    return root;
}

static dr_tensor *labels(int32_t first) { return dr_tensor_from(DR_I32, DR_SHAPE(B), (int32_t[]){ first, 2, 5 }); }
static dr_tensor *row(double value) { return dr_tensor_full(DR_F32, DR_SHAPE(B), value); }

/* What a site makes of h: modulated, and h as the branch behind it, gated. */
static dr_tensor *at_site(dr_module *m, int site, dr_tensor *h, const dr_embedding *e)
{
    dr_tensor *y = dr_module_modulate(m, site, h, e), *g = dr_module_gate(m, site, h, e);
    if (!y || !g) fail_msg("%s", dr_error_message());
    assert_true(max_difference(dr_scale(0.0, y), dr_scale(0.0, h)) == 0.0); /* one shape */
    assert_true(max_difference(dr_scale(0.0, g), dr_scale(0.0, h)) == 0.0);
    return dr_concat((dr_tensor *[]){ dr_reshape(y, DR_SHAPE(-1)), dr_reshape(g, DR_SHAPE(-1)) }, 2, 0);
}

static dr_tensor *outputs_of(dr_module *root, const dr_batch_cond *cond, bool tokens)
{
    dr_module *m = dr_module_child_at(root, 0);
    dr_tensor *out[SITES];
    dr_embedding e;
    if (dr_module_embed(m, cond, &e) != DR_OK) fail_msg("%s", dr_error_message());
    for (int i = 0; i < SITES; i++) {
        dr_tensor *h = tokens ? noise(DR_F32, DR_SHAPE(B, 6, widths[i]), (uint32_t)i)
                              : noise(DR_F32, DR_SHAPE(B, widths[i], 5, 5), (uint32_t)i);
        out[i] = at_site(m, i, h, &e);
    }
    return dr_concat(out, SITES, 0);
}

/* What all sites make of fixed images, as one row of numbers. */
static dr_tensor *outputs(dr_module *root, double time, int32_t label, double mask)
{
    const dr_batch_cond cond = { .time = row(time), .label = labels(label), .mask = row(mask) };
    return outputs_of(root, &cond, false);
}

static void every_weight_has_a_gradient(dr_module *root, dr_tensor *y)
{
    const dr_view *v = dr_tensor_view(y);
    assert_int_equal(dr_backward(dr_sum(dr_mul(y, noise(DR_F32, v->rank, v->shape, 9)), 0, NULL, false), NULL), DR_OK);
    assert_true(dr_module_named_count(root) > 0);
    for (int64_t i = 0; i < dr_module_named_count(root); i++) {
        const dr_named *n = dr_module_named_at(root, i);
        if (n->is_buffer) continue;
        dr_tensor *g = dr_grad(n->tensor);
        if (!g || max_difference(g, dr_scale(0.0, g)) == 0.0) fail_msg("%s has no gradient", n->path);
    }
}

static void check(const dr_component *c)
{
    dr_module *root = build(c);
    dr_tensor *y = outputs(root, 0.3, 1, 1.0);
    assert_true(max_difference(y, outputs(root, 0.8, 1, 1.0)) > 1e-4);
    assert_true(max_difference(outputs(root, 0.3, 1, 0.0), outputs(root, 0.3, 7, 0.0)) == 0.0);
    const dr_batch_cond no_label = { .time = row(0.3) };
    assert_true(max_difference(outputs(root, 0.3, 1, 0.0), outputs_of(root, &no_label, false)) == 0.0);
    if (has_param(c, "classes")) {
        assert_true(max_difference(y, outputs(root, 0.3, 7, 1.0)) > 1e-4);
        assert_true(max_difference(y, outputs(root, 0.3, 1, 0.0)) > 1e-4);
    }
    every_weight_has_a_gradient(root, y);
    dr_module_free(root);
}

static void check_tokens(const dr_component *c)
{
    dr_module *root = build(c);
    const dr_batch_cond cond = { .time = row(0.3), .label = labels(1) }, later = { .time = row(0.8), .label = labels(1) };
    dr_tensor *y = outputs_of(root, &cond, true);
    assert_true(max_difference(y, outputs_of(root, &later, true)) > 1e-4);
    every_weight_has_a_gradient(root, y);
    dr_module_free(root);
}

static void every_scheme_modulates(void **state)
{
    (void)state;
    for_each("conditioning", 3, check);
}

static void sites_may_be_tokens(void **state)
{
    (void)state;
    for_each("conditioning", 3, check_tokens);
}

/* A condition of one row, where h has B of them. */
static void one_row_stands_for_all(void **state)
{
    (void)state;
    static const char *const names[] = { "time_add", "time_scale", "class_time", "embedding_add", "film", "adaln_zero" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        dr_module *root = build(dr_component_find("conditioning", names[i]));
        const dr_batch_cond rows = { .time = row(0.3), .label = dr_tensor_from(DR_I32, DR_SHAPE(B), (int32_t[]){ 2, 2, 2 }) };
        const dr_batch_cond one = { .time = dr_slice(rows.time, 0, 0, 1), .label = dr_slice(rows.label, 0, 0, 1) };
        for (int tokens = 0; tokens < 2; tokens++) {
            dr_tensor *y = outputs_of(root, &one, tokens);
            assert_true(max_difference(y, outputs_of(root, &rows, tokens)) < 1e-6);
            every_weight_has_a_gradient(root, y);
        }
        dr_module_free(root);
    }
}

static void check_time_alone(const dr_component *c)
{
    const dr_param *classes = has_param(c, "classes"), *time = has_param(c, "time");
    if (!classes || classes->min > 0 || !time) return;
    static const dr_arg linear[] = { DR_I("in_features", 1), DR_I("out_features", 5) };
    static const dr_args linear_args = { linear, 2 };
    const dr_arg given[] = { { .name = "time", .type = DR_PARAM_COMPONENT, .text = "fourier_embedding" },
                             { .name = "time", .type = DR_PARAM_COMPONENT, .text = "fc_block", .children = &linear_args } };
    for (int i = 0; i < 2; i++) {
        dr_module *root = build_with(c, 2, (dr_arg[]){ DR_I("classes", 0), given[i] });
        shake(root);
        assert_true(max_difference(outputs(root, 0.3, 1, 1.0), outputs(root, 0.3, 7, 1.0)) == 0.0);
        assert_true(max_difference(outputs(root, 0.3, 1, 1.0), outputs(root, 0.8, 1, 1.0)) > 1e-4);
        dr_module_free(root);
    }
}

static void time_may_stand_alone_in_any_embedding(void **state)
{
    (void)state;
    for_each("conditioning", 3, check_time_alone);
}

static void check_refusals(const dr_component *c)
{
    dr_module *root = dr_module_group(NULL, "test");
    assert_null(dr_module_create(root, "", "conditioning", c->name, DR_NO_ARGS));
    assert_error_has("channels");
    dr_module_free(root);

    root = build(c);
    const dr_batch_cond nothing = { 0 };
    dr_embedding e;
    assert_int_not_equal(dr_module_embed(dr_module_child_at(root, 0), &nothing, &e), DR_OK);
    assert_error_has(c->name);
    dr_module_free(root);
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    for_each("conditioning", 3, check_refusals);
}

static void a_site_that_is_not_there_is_named(void **state)
{
    (void)state;
    const dr_component *c = dr_component_find("conditioning", "class_time");
    dr_module *root = build(c), *m = dr_module_child_at(root, 0);
    const dr_batch_cond cond = { .time = row(0.5), .label = labels(0) };
    dr_embedding e;
    assert_int_equal(dr_module_embed(m, &cond, &e), DR_OK);
    assert_null(dr_module_modulate(m, SITES, noise(DR_F32, DR_SHAPE(B, 4, 5, 5), 0), &e));
    assert_error_has("site 3");
    dr_module_free(root);
}

/* The equations, by hand, from the FCBlocks' own outputs. */
static void class_time_is_c_h_plus_t(void **state)
{
    (void)state;
    const dr_component *c = dr_component_find("conditioning", "class_time");
    dr_module *root = build(c), *m = dr_module_child_at(root, 0);
    const dr_batch_cond cond = { .time = row(0.5), .label = labels(3) };
    dr_embedding e;
    assert_int_equal(dr_module_embed(m, &cond, &e), DR_OK);
    dr_tensor *time = dr_tensor_full(DR_F32, DR_SHAPE(B, 1), 0.5), *one_hot = dr_one_hot(labels(3), 10);
    for (int i = 0; i < SITES; i++) {
        dr_module *fc_t = dr_module_child_at(m, i), *fc_c = dr_module_child_at(m, SITES + i);
        dr_tensor *h = noise(DR_F32, DR_SHAPE(B, widths[i], 5, 5), 4);
        dr_tensor *t = dr_reshape(dr_module_forward(fc_t, &time, 1), DR_SHAPE(B, widths[i], 1, 1));
        dr_tensor *s = dr_reshape(dr_module_forward(fc_c, &one_hot, 1), DR_SHAPE(B, widths[i], 1, 1));
        assert_true(max_difference(dr_module_modulate(m, i, h, &e), dr_add(dr_mul(s, h), t)) < 1e-6);
    }
    assert_string_equal(dr_module_named_at(root, 0)->path, "t1.net.0.weight"); /* inline: no name of its own */
    dr_module_free(root);
}

/* A weight, or a child's place, by its path. */
static dr_tensor *weight(dr_module *root, const char *path)
{
    for (int64_t i = 0; i < dr_module_named_count(root); i++) {
        if (strcmp(dr_module_named_at(root, i)->path, path) == 0) return dr_module_named_at(root, i)->tensor;
    }
    fail_msg("no weight %s", path);
    return NULL;
}

static dr_tensor *linear(dr_module *root, const char *name, dr_tensor *x)
{
    char w[64], b[64];
    snprintf(w, sizeof w, "%s.weight", name);
    snprintf(b, sizeof b, "%s.bias", name);
    return dr_linear(x, weight(root, w), weight(root, b));
}

/* What site_1 says of time 0.5 and class 3: [B,n 4]. */
static dr_tensor *site_of_vector(dr_module *root)
{
    dr_tensor *t = dr_tensor_full(DR_F32, DR_SHAPE(B), 500.0); /* 1000 t */
    t = dr_apply1("timestep_embedding", &t, 1, &(dr_timestep_embedding_attr){ .dim = 128, .max_period = 1e4 });
    dr_tensor *v = linear(root, "mlp.2", dr_silu(linear(root, "mlp.0", t)));
    v = dr_add(v, dr_embed(weight(root, "classes"), labels(3)));
    return linear(root, "site_1", dr_silu(v));
}

static dr_tensor *map_of(dr_tensor *all, int k) { return dr_reshape(dr_slice(all, 1, 4 * k, 4), DR_SHAPE(B, 4, 1, 1)); }

static void adagn_is_its_equation(void **state)
{
    (void)state;
    dr_module *root = build_with(dr_component_find("conditioning", "adagn"), 0, NULL);
    shake(root);
    const dr_batch_cond cond = { .time = row(0.5), .label = labels(3) };
    dr_embedding e;
    assert_int_equal(dr_module_embed(dr_module_child_at(root, 0), &cond, &e), DR_OK);
    dr_tensor *h = noise(DR_F32, DR_SHAPE(B, 4, 5, 5), 4), *all = site_of_vector(root);
    dr_tensor *norm = dr_group_norm(h, weight(root, "norm_1.weight"), weight(root, "norm_1.bias"), 1, 1e-5, DR_ACT_NONE);
    dr_tensor *expected = dr_add(dr_mul(dr_affine(1.0, map_of(all, 0), 1.0), norm), map_of(all, 1));
    assert_true(max_difference(dr_module_modulate(dr_module_child_at(root, 0), 0, h, &e), expected) < 1e-5);
    dr_module_free(root);
}

static void film_is_its_equation(void **state)
{
    (void)state;
    dr_module *root = build(dr_component_find("conditioning", "film"));
    const dr_batch_cond cond = { .time = row(0.5), .label = labels(3) };
    dr_embedding e;
    assert_int_equal(dr_module_embed(dr_module_child_at(root, 0), &cond, &e), DR_OK);
    dr_tensor *h = noise(DR_F32, DR_SHAPE(B, 4, 5, 5), 4), *all = site_of_vector(root);
    dr_tensor *expected = dr_add(dr_mul(dr_affine(1.0, map_of(all, 0), 1.0), h), map_of(all, 1));
    assert_true(max_difference(dr_module_modulate(dr_module_child_at(root, 0), 0, h, &e), expected) < 1e-5);
    dr_module_free(root);
}

/* Fresh from create: the site is a plain LayerNorm, and what follows it is shut off. Then the equation itself. */
static void adaln_zero_begins_as_nothing(void **state)
{
    (void)state;
    dr_module *root = build_with(dr_component_find("conditioning", "adaln_zero"), 0, NULL);
    const dr_batch_cond cond = { .time = row(0.5), .label = labels(3) };
    for (int moved = 0; moved < 2; moved++) {
        if (moved) shake(root);
        dr_module *m = dr_module_child_at(root, 0);
        dr_embedding e;
        assert_int_equal(dr_module_embed(m, &cond, &e), DR_OK);
        dr_tensor *h = noise(DR_F32, DR_SHAPE(B, 4, 5, 5), 4), *all = site_of_vector(root);
        dr_tensor *norm = dr_layer_norm(dr_permute(h, DR_SHAPE(0, 2, 3, 1)), NULL, NULL, 1e-6);
        dr_tensor *y = dr_mul(dr_permute(norm, DR_SHAPE(0, 3, 1, 2)), dr_affine(1.0, map_of(all, 0), 1.0));
        assert_true(max_difference(dr_module_modulate(m, 0, h, &e), dr_add(y, map_of(all, 1))) < 1e-5);
        dr_tensor *gated = dr_module_gate(m, 0, h, &e);
        assert_true(max_difference(gated, dr_mul(h, map_of(all, 2))) < 1e-5);
        assert_int_equal(max_difference(gated, dr_scale(0.0, h)) == 0.0, !moved);
    }
    dr_module_free(root);
}

static void schemes_without_gates_leave_branches_alone(void **state)
{
    (void)state;
    dr_module *root = build(dr_component_find("conditioning", "film"));
    dr_tensor *h = noise(DR_F32, DR_SHAPE(B, 4, 5, 5), 4);
    const dr_embedding e = { 0 };
    assert_ptr_equal(dr_module_gate(dr_module_child_at(root, 0), 0, h, &e), h);
    dr_module_free(root);
}

static void cross_attention_reads_tokens(void **state)
{
    (void)state;
    dr_module *root = build_with(dr_component_find("conditioning", "cross_attention"), 1, (dr_arg[]){ DR_I("token_dim", 7) });
    shake(root);
    dr_tensor *tokens = noise(DR_F32, DR_SHAPE(B, 3, 7), 20), *others = noise(DR_F32, DR_SHAPE(B, 3, 7), 21);
    dr_tensor *last_differs = dr_concat((dr_tensor *[]){ dr_slice(tokens, 1, 0, 2), dr_slice(others, 1, 2, 1) }, 2, 1);
    dr_tensor *two = dr_tensor_from(DR_F32, DR_SHAPE(B, 3), (float[]){ 1, 1, 0, 1, 1, 0, 1, 1, 0 });
    dr_batch_cond c = { .time = row(0.5), .label = labels(3), .tokens = tokens };
    dr_tensor *y = outputs_of(root, &c, false);

    c.tokens = last_differs;
    assert_true(max_difference(y, outputs_of(root, &c, false)) > 1e-4);
    c.tokens_mask = two; /* the third is padding */
    dr_tensor *padded = outputs_of(root, &c, false);
    c.tokens = tokens;
    assert_true(max_difference(padded, outputs_of(root, &c, false)) == 0.0);
    c.tokens = dr_slice(tokens, 1, 0, 2);
    c.tokens_mask = NULL; /* as if it were not there */
    assert_true(max_difference(padded, outputs_of(root, &c, false)) < 1e-5);

    c.mask = dr_tensor_from(DR_F32, DR_SHAPE(B), (float[]){ 0, 0, 0 });
    c.tokens = tokens;
    dr_tensor *dropped = outputs_of(root, &c, false);
    c.tokens = others;
    assert_true(max_difference(dropped, outputs_of(root, &c, false)) == 0.0);

    c.mask = dr_tensor_from(DR_F32, DR_SHAPE(B), (float[]){ 1, 0, 1 }); /* some null, some not: all weights take part */
    every_weight_has_a_gradient(root, outputs_of(root, &c, false));
    dr_module_free(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sites_may_be_tokens),
        cmocka_unit_test(one_row_stands_for_all),
        cmocka_unit_test(time_may_stand_alone_in_any_embedding),
        cmocka_unit_test(adagn_is_its_equation),
        cmocka_unit_test(film_is_its_equation),
        cmocka_unit_test(adaln_zero_begins_as_nothing),
        cmocka_unit_test(schemes_without_gates_leave_branches_alone),
        cmocka_unit_test(cross_attention_reads_tokens),
        cmocka_unit_test(every_scheme_modulates),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(a_site_that_is_not_there_is_named),
        cmocka_unit_test(class_time_is_c_h_plus_t),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
