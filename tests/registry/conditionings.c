/* Every conditioning scheme: it needs its sites' widths, keeps their shapes, gives every weight a gradient, depends on
 * what it is given, and with the mask at 0 does not depend on the label. */
#include "walk.h"

#include <math.h>

enum { B = 3, SITES = 2 };
static const int64_t widths[SITES] = { 4, 3 }; /* default_args gives the same */

static dr_module *build(const dr_component *c)
{
    walk_args a;
    default_args(c, &a);
    dr_module *root = dr_module_group(NULL, "test");
    if (!dr_module_create(root, "", "conditioning", c->name, a.args)) fail_msg("%s: %s", c->name, dr_error_message());
    return root;
}

static dr_tensor *labels(int32_t first) { return dr_tensor_from(DR_I32, DR_SHAPE(B), (int32_t[]){ first, 2, 5 }); }
static dr_tensor *row(double value) { return dr_tensor_full(DR_F32, DR_SHAPE(B), value); }

/* What all sites make of fixed images, as one row of numbers. */
static dr_tensor *outputs(dr_module *root, double time, int32_t label, double mask)
{
    const dr_batch_cond cond = { .time = row(time), .label = labels(label), .mask = row(mask) };
    dr_module *m = dr_module_child_at(root, 0);
    dr_tensor *out[SITES];
    dr_embedding e;
    if (dr_module_embed(m, &cond, &e) != DR_OK) fail_msg("%s", dr_error_message());
    for (int i = 0; i < SITES; i++) {
        dr_tensor *h = noise(DR_F32, DR_SHAPE(B, widths[i], 5, 5), (uint32_t)i), *y = dr_module_modulate(m, i, h, &e);
        if (!y) fail_msg("%s", dr_error_message());
        assert_true(max_difference(dr_scale(0.0, y), dr_scale(0.0, h)) == 0.0); /* one shape */
        out[i] = dr_reshape(y, DR_SHAPE(-1));
    }
    return dr_concat(out, SITES, 0);
}

static void check(const dr_component *c)
{
    dr_module *root = build(c);
    dr_tensor *y = outputs(root, 0.3, 1, 1.0);
    assert_true(max_difference(y, outputs(root, 0.8, 1, 1.0)) > 0.0);
    assert_true(max_difference(outputs(root, 0.3, 1, 0.0), outputs(root, 0.3, 7, 0.0)) == 0.0);
    if (has_param(c, "classes")) assert_true(max_difference(y, outputs(root, 0.3, 7, 1.0)) > 0.0);

    const dr_view *v = dr_tensor_view(y);
    assert_int_equal(dr_backward(dr_sum(dr_mul(y, noise(DR_F32, v->rank, v->shape, 9)), 0, NULL, false), NULL), DR_OK);
    assert_true(dr_module_named_count(root) > 0);
    for (int64_t i = 0; i < dr_module_named_count(root); i++) {
        const dr_named *n = dr_module_named_at(root, i);
        if (n->is_buffer) continue;
        dr_tensor *g = dr_grad(n->tensor);
        if (!g || max_difference(g, dr_scale(0.0, g)) == 0.0) fail_msg("%s has no gradient", n->path);
    }
    dr_module_free(root);
}

static void every_scheme_modulates(void **state)
{
    (void)state;
    for_each("conditioning", 3, check);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scheme_modulates),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(a_site_that_is_not_there_is_named),
        cmocka_unit_test(class_time_is_c_h_plus_t),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
