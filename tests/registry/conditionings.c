/* Every conditioning scheme: it needs its sites' widths, keeps their shapes (of maps and of tokens), gives every weight a
 * gradient, depends on what it is given, and with the mask at 0 does not depend on the label. Weights that start at zero
 * would hide all of that, so they are moved first. */
#include "conditionings.h"
#include "networks.h"
#include "walk.h"

#include <math.h>

enum { B = 3, SITES = 2 };
static const int64_t widths[SITES] = { 4, 3 }; /* default_args gives the same */

static dr_tensor *labels(int32_t first) { return dr_tensor_from(DR_I32, DR_SHAPE(B), (int32_t[]){ first, 2, 5 }); }
static dr_tensor *row(double value) { return dr_tensor_full(DR_F32, DR_SHAPE(B), value); }

static void every_scheme_modulates(void **state)
{
    (void)state;
    every("conditioning", 3, "depends on what it is given");
}

static void sites_may_be_tokens(void **state)
{
    (void)state;
    every("conditioning", 3, "sites may be tokens");
}

static void gradients_are_those_of_finite_differences(void **state)
{
    (void)state;
    every("conditioning", 8, "each gradient is that of finite differences");
}

static void weights_survive_a_file(void **state)
{
    (void)state;
    every("conditioning", 8, "weights survive a file");
}

/* A condition of one row, where h has B of them. */
static void one_row_stands_for_all(void **state)
{
    (void)state;
    static const char *const names[] = { "time_add", "time_scale", "class_time", "embedding_add", "film", "adaln_zero" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        dr_module *root = conditioning_shaken(dr_component_find("conditioning", names[i]));
        const dr_batch_cond rows = { .time = row(0.3), .label = dr_tensor_from(DR_I32, DR_SHAPE(B), (int32_t[]){ 2, 2, 2 }) };
        const dr_batch_cond one = { .time = dr_slice(rows.time, 0, 0, 1), .label = dr_slice(rows.label, 0, 0, 1) };
        for (int tokens = 0; tokens < 2; tokens++) {
            dr_tensor *y = conditioning_outputs(root, &one, tokens);
            assert_true(max_difference(y, conditioning_outputs(root, &rows, tokens)) < 1e-6);
            conditioning_expect_live(root, y);
        }
        dr_module_free(root);
    }
}

static void time_may_stand_alone_in_any_embedding(void **state)
{
    (void)state;
    every("conditioning", 3, "time may stand alone, in any embedding");
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    every("conditioning", 3, "what is missing is named");
}

static void a_site_that_is_not_there_is_named(void **state)
{
    (void)state;
    const dr_component *c = dr_component_find("conditioning", "class_time");
    dr_module *root = conditioning_shaken(c), *m = dr_module_child_at(root, 0);
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
    dr_module *root = conditioning_shaken(c), *m = dr_module_child_at(root, 0);
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
    dr_module *root = conditioning_build(dr_component_find("conditioning", "adagn"), 0, NULL);
    shake_weights(root);
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
    dr_module *root = conditioning_shaken(dr_component_find("conditioning", "film"));
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
    dr_module *root = conditioning_build(dr_component_find("conditioning", "adaln_zero"), 0, NULL);
    const dr_batch_cond cond = { .time = row(0.5), .label = labels(3) };
    for (int moved = 0; moved < 2; moved++) {
        if (moved) shake_weights(root);
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
    dr_module *root = conditioning_shaken(dr_component_find("conditioning", "film"));
    dr_tensor *h = noise(DR_F32, DR_SHAPE(B, 4, 5, 5), 4);
    const dr_embedding e = { 0 };
    assert_ptr_equal(dr_module_gate(dr_module_child_at(root, 0), 0, h, &e), h);
    dr_module_free(root);
}

static void cross_attention_reads_tokens(void **state)
{
    (void)state;
    dr_module *root = conditioning_build(dr_component_find("conditioning", "cross_attention"), 1, (dr_arg[]){ DR_I("token_dim", 7) });
    shake_weights(root);
    dr_tensor *tokens = noise(DR_F32, DR_SHAPE(B, 3, 7), 20), *others = noise(DR_F32, DR_SHAPE(B, 3, 7), 21);
    dr_tensor *last_differs = dr_concat((dr_tensor *[]){ dr_slice(tokens, 1, 0, 2), dr_slice(others, 1, 2, 1) }, 2, 1);
    dr_tensor *two = dr_tensor_from(DR_F32, DR_SHAPE(B, 3), (float[]){ 1, 1, 0, 1, 1, 0, 1, 1, 0 });
    dr_batch_cond c = { .time = row(0.5), .label = labels(3), .tokens = tokens };
    dr_tensor *y = conditioning_outputs(root, &c, false);

    c.tokens = last_differs;
    assert_true(max_difference(y, conditioning_outputs(root, &c, false)) > 1e-4);
    c.tokens_mask = two; /* the third is padding */
    dr_tensor *padded = conditioning_outputs(root, &c, false);
    c.tokens = tokens;
    assert_true(max_difference(padded, conditioning_outputs(root, &c, false)) == 0.0);
    c.tokens = dr_slice(tokens, 1, 0, 2);
    c.tokens_mask = NULL; /* as if it were not there */
    assert_true(max_difference(padded, conditioning_outputs(root, &c, false)) < 1e-5);

    c.mask = dr_tensor_from(DR_F32, DR_SHAPE(B), (float[]){ 0, 0, 0 });
    c.tokens = tokens;
    dr_tensor *dropped = conditioning_outputs(root, &c, false);
    c.tokens = others;
    assert_true(max_difference(dropped, conditioning_outputs(root, &c, false)) == 0.0);

    c.mask = dr_tensor_from(DR_F32, DR_SHAPE(B), (float[]){ 1, 0, 1 }); /* some null, some not: all weights take part */
    conditioning_expect_live(root, conditioning_outputs(root, &c, false));
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
        cmocka_unit_test(gradients_are_those_of_finite_differences),
        cmocka_unit_test(weights_survive_a_file),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(a_site_that_is_not_there_is_named),
        cmocka_unit_test(class_time_is_c_h_plus_t),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
