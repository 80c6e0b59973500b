/* Every block: each weight gets a gradient, and the right one along its own direction; training and evaluation agree on
 * shapes; in evaluation no sample sees its neighbours; weights and buffers survive a save and a load; the same seed
 * gives the same weights. */
#include "walk.h"

#include <math.h>

enum { MOST_INPUTS = 4 };
typedef struct inputs { /* x, and what the block is given beside it */
    dr_tensor *t[MOST_INPUTS];
    int n;
} inputs;

/* Normal tensors of the example's shapes: "2,4,8,8", or "2,4,8,8;2,6" where there is a second input. */
static inputs input(const dr_component *c)
{
    const char *text = ((const dr_block *)c->iface)->example;
    inputs in = { .n = 0 };
    assert_non_null(text);
    while (*text) {
        int64_t size[DR_MAX_RANK];
        int rank = 0;
        assert_true(in.n < MOST_INPUTS);
        for (char *end = NULL; !end || *end == ','; text = *end ? end + 1 : end) {
            assert_true(rank < DR_MAX_RANK);
            size[rank++] = strtoll(text, &end, 10);
        }
        in.t[in.n] = noise(DR_F32, rank, size, (uint32_t)(1 + 2 * in.n));
        in.n++;
    }
    assert_true(in.n > 0);
    return in;
}

static inputs row(const inputs *in, int64_t b)
{
    inputs one = { .n = in->n };
    for (int i = 0; i < in->n; i++) one.t[i] = dr_slice(in->t[i], 0, b, 1);
    return one;
}

static dr_module *build(const dr_component *c, uint64_t seed)
{
    walk_args a;
    default_args(c, &a);
    dr_module *root = dr_module_group(NULL, "test");
    dr_module_seed(root, seed);
    if (!dr_module_create(root, "b", "block", c->name, a.args)) fail_msg("%s: %s", c->name, dr_error_message());
    return root;
}

static dr_module *block_of(dr_module *root) { return dr_module_child_at(root, 0); }

static dr_tensor *run(dr_module *root, bool training, const inputs *in)
{
    dr_module_mode(root, training);
    dr_module_stream(root, 5, 0, 0);
    dr_tensor *y = dr_module_forward(block_of(root), in->t, in->n);
    if (!y) fail_msg("%s", dr_error_message());
    return y;
}

/* A random direction of the output: its sum alone would be constant behind a normalisation. */
static dr_tensor *loss_of(dr_module *root, const inputs *in)
{
    dr_tensor *y = run(root, true, in);
    const dr_view *v = dr_tensor_view(y);
    return dr_sum(dr_mul(y, noise(DR_F32, v->rank, v->shape, 2)), 0, NULL, false);
}

static double square_norm(dr_tensor *t) { return dr_tensor_item(dr_sum(dr_square(t), 0, NULL, false)); }

/* Moves every weight by `step` along its gradient; returns the sum of the gradients' squares. */
static double move(dr_module *root, double step)
{
    double square = 0.0;
    const bool recording = dr_grad_mode(false);
    for (int64_t i = 0; i < dr_module_named_count(root); i++) {
        dr_tensor *w = dr_module_named_at(root, i)->tensor, *g = dr_grad(w);
        if (!g) continue;
        square += square_norm(g);
        assert_int_equal(dr_assign(w, dr_axpy(step, g, w)), DR_OK);
    }
    dr_grad_mode(recording);
    return square;
}

static void every_weight_has_a_gradient(dr_module *root)
{
    for (int64_t i = 0; i < dr_module_named_count(root); i++) {
        const dr_named *n = dr_module_named_at(root, i);
        if (n->is_buffer) continue;
        dr_tensor *g = dr_grad(n->tensor);
        if (!g) fail_msg("%s has no gradient", n->path);
        if (!isfinite(square_norm(g))) fail_msg("%s: its gradient is not finite", n->path);
    }
}

static void check_gradients(const dr_component *c)
{
    dr_module *root = build(c, 1);
    const inputs in = input(c);
    for (int i = 0; i < in.n; i++) dr_requires_grad(in.t[i], true);
    assert_int_equal(dr_backward(loss_of(root, &in), NULL), DR_OK);
    for (int i = 0; i < in.n; i++) assert_non_null(dr_grad(in.t[i]));
    every_weight_has_a_gradient(root);

    const double square = move(root, 0.0);
    if (square > 0.0) { /* f(w + h g) - f(w - h g) = 2 h |g|^2 */
        const double h = 2e-3 / sqrt(square);
        move(root, h);
        const double above = dr_tensor_item(loss_of(root, &in));
        move(root, -2 * h);
        const double below = dr_tensor_item(loss_of(root, &in)), slope = (above - below) / (2 * h * square);
        if (!(fabs(slope - 1.0) < 0.05)) fail_msg("%s: the loss rises %g times as its gradient says", c->name, slope);
    }
    dr_module_free(root);
}

/* In evaluation, row i of a batch is what row i gives alone. */
static void check_shapes(const dr_component *c)
{
    dr_module *root = build(c, 1);
    const inputs all = input(c);
    dr_tensor *trained = run(root, true, &all), *whole = run(root, false, &all);
    const dr_view *in = dr_tensor_view(all.t[0]), *out = dr_tensor_view(whole), *t = dr_tensor_view(trained);
    assert_int_equal(out->rank, t->rank);
    for (int i = 0; i < out->rank; i++) assert_int_equal(out->shape[i], t->shape[i]);
    assert_int_equal(out->shape[0], in->shape[0]);
    for (int64_t b = 0; b < in->shape[0]; b++) {
        const inputs one = row(&all, b);
        dr_tensor *alone = run(root, false, &one);
        assert_true(max_difference(alone, dr_slice(whole, 0, b, 1)) < 1e-5);
    }
    dr_module_free(root);
}

static void save(dr_module *root, const char *path)
{
    dr_save *s = dr_save_begin();
    for (int64_t i = 0; i < dr_module_named_count(root); i++) {
        const dr_named *n = dr_module_named_at(root, i);
        assert_int_equal(dr_save_tensor(s, n->path, n->tensor), DR_OK);
    }
    assert_int_equal(dr_save_commit(s, path), DR_OK);
}

static void load(dr_module *root, const char *path)
{
    dr_file *f = dr_file_open(path);
    assert_non_null(f);
    assert_int_equal(dr_file_count(f), dr_module_named_count(root));
    for (int64_t i = 0; i < dr_module_named_count(root); i++) {
        const dr_named *n = dr_module_named_at(root, i);
        assert_int_equal(dr_assign(n->tensor, dr_file_tensor(f, n->path, -1)), DR_OK);
    }
    dr_file_close(f);
}

static void check_save_and_load(const dr_component *c)
{
    dr_module *first = build(c, 1), *second = build(c, 2), *third = build(c, 1);
    const inputs in = input(c);
    assert_true(max_difference(run(first, false, &in), run(third, false, &in)) == 0.0); /* one seed, one network */
    run(first, true, &in); /* running statistics move */
    dr_tensor *before = run(first, false, &in);
    if (dr_module_named_count(first) > 0) {
        save(first, "block.safetensors");
        load(second, "block.safetensors");
    }
    assert_true(max_difference(before, run(second, false, &in)) == 0.0);
    dr_module_free(first);
    dr_module_free(second);
    dr_module_free(third);
}

static void gradients_reach_every_weight(void **state)
{
    (void)state;
    for_each("block", 10, check_gradients);
}

static void shapes_are_as_promised(void **state)
{
    (void)state;
    for_each("block", 10, check_shapes);
}

static void weights_survive_a_file(void **state)
{
    (void)state;
    for_each("block", 10, check_save_and_load);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_reach_every_weight),
        cmocka_unit_test(shapes_are_as_promised),
        cmocka_unit_test(weights_survive_a_file),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
