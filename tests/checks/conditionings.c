/* conditionings.c: every conditioning scheme: it needs its sites' widths, keeps their shapes (of maps and of tokens),
 * gives every weight a gradient, the right one, depends on what it is given, and with the mask at 0 does not depend on
 * the label. Weights that start at zero would hide all of that, so they are moved first. */
#include "conditionings.h"
#include "kinds.h"
#include "networks.h"

#include <math.h>

enum { B = 3, SITES = 2 };
static const int64_t widths[SITES] = { 4, 3 }; /* default_args gives the same */

dr_module *conditioning_build(const dr_component *c, int64_t n, const dr_arg *more)
{
    walk_args a;
    default_args(c, &a);
    for (int64_t i = 0; i < n; i++) add_arg(&a, more[i]);
    dr_module *root = expect_made(dr_module_group(NULL, "test"), "a group");
    expect_made(dr_module_create(root, "", "conditioning", c->name, a.args), "it cannot be made");
    return root;
}

dr_module *conditioning_shaken(const dr_component *c)
{
    dr_module *root = conditioning_build(c, 0, NULL);
    shake_weights(root);
    return root;
}

static dr_tensor *labels(int32_t first) { return dr_tensor_from(DR_I32, DR_SHAPE(B), (int32_t[]){ first, 2, 5 }); }
static dr_tensor *row(double value) { return dr_tensor_full(DR_F32, DR_SHAPE(B), value); }

/* What a site makes of h: modulated, and h as the branch behind it, gated. */
static dr_tensor *at_site(dr_module *m, int site, dr_tensor *h, const dr_embedding *e)
{
    dr_tensor *y = dr_module_modulate(m, site, h, e), *g = dr_module_gate(m, site, h, e);
    expect_shape_of(y, h, "what modulate makes of a site's h");
    expect_shape_of(g, h, "what gate makes of a site's h");
    return dr_concat((dr_tensor *[]){ dr_reshape(y, DR_SHAPE(-1)), dr_reshape(g, DR_SHAPE(-1)) }, 2, 0);
}

dr_tensor *conditioning_outputs(dr_module *root, const dr_batch_cond *cond, bool tokens)
{
    dr_module *m = dr_module_child_at(root, 0);
    dr_tensor *out[SITES];
    dr_embedding e;
    dr_module_embed(m, cond, &e);
    expect_ok("embed");
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
    return conditioning_outputs(root, &cond, false);
}

static void backward_of(dr_tensor *y)
{
    const dr_view *v = dr_tensor_view(y);
    dr_backward(dr_sum(dr_mul(y, noise(DR_F32, v->rank, v->shape, 9)), 0, NULL, false), NULL);
    expect_ok("backward");
}

void conditioning_expect_live(dr_module *root, dr_tensor *y)
{
    backward_of(y);
    expect(dr_module_named_count(root) > 0, "it has no weights");
    expect_live_weights(root, true);
}

static void differ(dr_tensor *a, dr_tensor *b, const char *what)
{
    const double d = max_difference(a, b);
    expect(d > 1e-4, "%s changes its output by %.3g only", what, d);
}

static void equal(dr_tensor *a, dr_tensor *b, const char *what)
{
    const double d = max_difference(a, b);
    expect(d == 0.0, "%s changes its output by %.3g", what, d);
}

static void check_condition(const dr_component *c)
{
    dr_module *root = conditioning_shaken(c);
    dr_tensor *y = outputs(root, 0.3, 1, 1.0);
    expect_finite(y, "its output");
    differ(y, outputs(root, 0.8, 1, 1.0), "another time");
    equal(outputs(root, 0.3, 1, 0.0), outputs(root, 0.3, 7, 0.0), "with the condition dropped (mask 0), another label");
    const dr_batch_cond no_label = { .time = row(0.3) };
    equal(outputs(root, 0.3, 1, 0.0), conditioning_outputs(root, &no_label, false),
          "a label whose mask is 0, against none,");
    if (has_param(c, "classes")) {
        differ(y, outputs(root, 0.3, 7, 1.0), "another label");
        differ(y, outputs(root, 0.3, 1, 0.0), "dropping the label");
    }
    conditioning_expect_live(root, y);
    dr_module_free(root);
}

static void check_tokens(const dr_component *c)
{
    dr_module *root = conditioning_shaken(c);
    const dr_batch_cond cond = { .time = row(0.3), .label = labels(1) },
                        later = { .time = row(0.8), .label = labels(1) };
    dr_tensor *y = conditioning_outputs(root, &cond, true);
    differ(y, conditioning_outputs(root, &later, true), "at tokens [B,L,C], another time");
    conditioning_expect_live(root, y);
    dr_module_free(root);
}

static dr_tensor *loss(void *root)
{
    dr_tensor *y = outputs(root, 0.3, 1, 1.0);
    const dr_view *v = dr_tensor_view(y);
    return dr_sum(dr_mul(y, noise(DR_F32, v->rank, v->shape, 9)), 0, NULL, false);
}

static void check_gradients(const dr_component *c)
{
    dr_module *root = conditioning_shaken(c);
    dr_backward(loss(root), NULL);
    expect_ok("backward");
    expect_slopes(root, NULL, 0, loss, root, false);
    dr_module_free(root);
}

static void check_time_alone(const dr_component *c)
{
    const dr_param *classes = has_param(c, "classes"), *time = has_param(c, "time");
    if (!classes || classes->min > 0 || !time) check_skip("it has no parameters classes, which may be 0, and time");
    static const dr_arg linear[] = { DR_I("in_features", 1), DR_I("out_features", 5) };
    static const dr_args linear_args = { linear, 2 };
    const dr_arg embedding[] = {
        { .name = "time", .type = DR_PARAM_COMPONENT, .text = "fourier_embedding" },
        { .name = "time", .type = DR_PARAM_COMPONENT, .text = "fc_block", .children = &linear_args }
    };
    for (int i = 0; i < 2; i++) {
        dr_module *root = conditioning_build(c, 2, (dr_arg[]){ DR_I("classes", 0), embedding[i] });
        shake_weights(root);
        equal(outputs(root, 0.3, 1, 1.0), outputs(root, 0.3, 7, 1.0), "with classes = 0, another label");
        differ(outputs(root, 0.3, 1, 1.0), outputs(root, 0.8, 1, 1.0), "with classes = 0, another time");
        dr_module_free(root);
    }
}

static void check_refusals(const dr_component *c)
{
    dr_module *root = dr_module_group(NULL, "test");
    expect(!dr_module_create(root, "", "conditioning", c->name, DR_NO_ARGS),
           "it is made without channels, its sites' widths");
    expect_error("channels");
    dr_module_free(root);

    root = conditioning_shaken(c);
    const dr_batch_cond nothing = { 0 };
    dr_embedding e;
    expect(dr_module_embed(dr_module_child_at(root, 0), &nothing, &e) != DR_OK,
           "embed takes a condition in which nothing is given");
    expect_error(c->name);
    dr_module_free(root);
}

static void check_saved(const dr_component *c)
{
    dr_module *from = conditioning_shaken(c), *to = conditioning_build(c, 0, NULL);
    expect_saved_and_loaded(from, to, check_file("conditioning.safetensors"));
    equal(outputs(from, 0.3, 1, 1.0), outputs(to, 0.3, 1, 1.0), "a save and a load");
    dr_module_free(from);
    dr_module_free(to);
}

const check conditioning_checks[] = {
    { "depends on what it is given", check_condition },
    { "sites may be tokens", check_tokens },
    { "each gradient is that of finite differences", check_gradients },
    { "time may stand alone, in any embedding", check_time_alone },
    { "what is missing is named", check_refusals },
    { "weights survive a file", check_saved },
    { NULL, NULL },
};
