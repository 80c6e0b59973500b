/* blocks.c: every block: each weight gets a gradient, and the right one along its own direction; training and
 * evaluation agree on shapes; in evaluation no sample sees its neighbours; weights and buffers survive a save and a
 * load; the same seed gives the same weights. Shapes are the block's own example. */
#include "kinds.h"
#include "networks.h"

#include <math.h>

const char *example_shape(const char *text, int64_t size[DR_MAX_RANK], int *rank)
{
    *rank = 0;
    for (char *end = NULL; !end || *end == ','; text = *end ? end + 1 : end) {
        expect(*rank < DR_MAX_RANK, "its .example has more than %d axes", DR_MAX_RANK);
        size[*rank] = strtoll(text, &end, 10);
        expect(end != text && size[*rank] > 0, "its .example is no list of sizes: \"%s\"", text);
        expect(!*end || *end == ',' || *end == ';', "its .example is no list of sizes: \"%s\"", text);
        (*rank)++;
    }
    return text;
}

block_inputs block_input(const dr_component *c, dr_dtype dtype)
{
    const char *text = ((const dr_block *)c->iface)->example;
    block_inputs in = { .n = 0 };
    expect(text && *text, "it has no .example: the shape of an input, such as \"2,4,8,8\"");
    while (*text) {
        int64_t size[DR_MAX_RANK];
        int rank;
        expect(in.n < MOST_INPUTS, "its .example has more than %d inputs", MOST_INPUTS);
        text = example_shape(text, size, &rank);
        in.t[in.n] = noise(dtype, rank, size, (uint32_t)(1 + 2 * in.n));
        in.n++;
    }
    return in;
}

static block_inputs row(const block_inputs *in, int64_t b)
{
    block_inputs one = { .n = in->n };
    for (int i = 0; i < in->n; i++) one.t[i] = dr_slice(in->t[i], 0, b, 1);
    return one;
}

dr_module *block_build(const dr_component *c, uint64_t seed)
{
    walk_args a;
    default_args(c, &a);
    dr_module *root = expect_made(dr_module_group(NULL, "test"), "a group");
    dr_module_seed(root, seed);
    expect_made(dr_module_create(root, "b", "block", c->name, a.args),
                "it cannot be made with its example's parameters");
    return root;
}

dr_tensor *block_run(dr_module *root, bool training, const block_inputs *in)
{
    dr_module_mode(root, training);
    dr_module_stream(root, 5, 0, 0);
    return dr_module_forward(dr_module_child_at(root, 0), in->t, in->n);
}

static dr_tensor *run(dr_module *root, bool training, const block_inputs *in)
{
    return expect_made(block_run(root, training, in), training ? "forward, in training" : "forward, in evaluation");
}

/* A random direction of the output: its sum alone would be constant behind a normalisation. */
dr_tensor *block_loss(dr_module *root, const block_inputs *in)
{
    dr_tensor *y = block_run(root, true, in);
    const dr_view *v = dr_tensor_view(y);
    return v ? dr_sum(dr_mul(y, noise((dr_dtype)v->dtype, v->rank, v->shape, 2)), 0, NULL, false) : NULL;
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

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
        dr_assign(w, dr_axpy(step, g, w));
        expect_ok("a weight cannot be moved");
    }
    dr_grad_mode(recording);
    return square;
}

static void wants_gradients(const block_inputs *in)
{
    for (int i = 0; i < in->n; i++) dr_requires_grad(in->t[i], true);
}

static void check_gradients(const dr_component *c)
{
    dr_module *root = block_build(c, 1);
    const block_inputs in = block_input(c, DR_F32);
    wants_gradients(&in);
    dr_backward(block_loss(root, &in), NULL);
    expect_ok("backward");
    for (int i = 0; i < in.n; i++) expect(dr_grad(in.t[i]) != NULL, "input %d of its example gets no gradient", i + 1);
    expect_live_weights(root, false);

    const double square = move(root, 0.0);
    if (square > 0.0) { /* f(w + h g) - f(w - h g) = 2 h |g|^2 */
        const double h = 2e-3 / sqrt(square);
        move(root, h);
        const double above = dr_tensor_item(block_loss(root, &in));
        move(root, -2 * h);
        const double below = dr_tensor_item(block_loss(root, &in)), slope = (above - below) / (2 * h * square);
        expect(fabs(slope - 1.0) < 0.05, "along its gradient the loss rises %g times as it says", slope);
    }
    dr_module_free(root);
}

typedef struct made {
    dr_module *root;
    block_inputs in;
} made;
static dr_tensor *loss(void *ctx)
{
    const made *m = ctx;
    return block_loss(m->root, &m->in);
}

/* Weights that start at zero hide others behind them, so all are moved first. In f64 where the block computes in it. */
static void check_each_weight(const dr_component *c)
{
    made m = { block_build(c, 1), block_input(c, DR_F64) };
    shake_weights(m.root);
    bool wide = widen_weights(m.root);
    wants_gradients(&m.in);
    if (!wide || dr_backward(loss(&m), NULL) != DR_OK) { /* it makes f32 of its own: so all of it in f32 */
        check_note("        in f32: %s", dr_error_message());
        dr_error_clear();
        wide = false;
        m = (made){ block_build(c, 1), block_input(c, DR_F32) };
        shake_weights(m.root);
        wants_gradients(&m.in);
        dr_backward(loss(&m), NULL);
        expect_ok("backward");
    }
    expect_live_weights(m.root, true);
    expect_slopes(m.root, m.in.t, m.in.n, loss, &m, wide);
    dr_module_free(m.root);
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

static void check_shapes(const dr_component *c)
{
    dr_module *root = block_build(c, 1);
    const block_inputs all = block_input(c, DR_F32);
    dr_tensor *trained = run(root, true, &all), *whole = run(root, false, &all);
    expect_shape_of(whole, trained, "in evaluation its output");
    expect_finite(trained, "its output in training");
    expect_finite(whole, "its output in evaluation");
    const dr_view *in = dr_tensor_view(all.t[0]), *out = dr_tensor_view(whole);
    expect(out->rank > 0 && out->shape[0] == in->shape[0], "its output is %s for x %s: not as many rows",
           shape_text(whole), shape_text(all.t[0]));
    dr_module_free(root);
}

/* In evaluation, row i of a batch is what row i gives alone. */
static void check_rows(const dr_component *c)
{
    dr_module *root = block_build(c, 1);
    const block_inputs all = block_input(c, DR_F32);
    dr_tensor *whole = run(root, false, &all);
    for (int64_t b = 0; b < dr_tensor_view(all.t[0])->shape[0]; b++) {
        const block_inputs one = row(&all, b);
        dr_tensor *alone = run(root, false, &one);
        expect(dr_tensor_view(alone)->shape[0] == 1, "one row gives %s", shape_text(alone));
        const double d = max_difference(alone, dr_slice(whole, 0, b, 1));
        expect(d < 1e-5, "in evaluation row %lld differs by %.3g when it is alone", (long long)b, d);
    }
    dr_module_free(root);
}

/* Maps [B,C,H,W] of other sizes: either they work, with finite numbers, or there is an error that says why. */
static void check_odd_sizes(const dr_component *c)
{
    dr_module *root = block_build(c, 1);
    const block_inputs in = block_input(c, DR_F32);
    const dr_view *x = dr_tensor_view(in.t[0]);
    if (x->rank != 4 || in.n != 1) dr_module_free(root);
    if (x->rank != 4 || in.n != 1) check_skip("its example is no map of one input");
    static const int64_t sizes[][2] = { { 7, 9 }, { 1, 1 }, { 5, 16 } };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const int64_t shape[] = { 1, x->shape[1], sizes[k][0], sizes[k][1] };
        const block_inputs odd = { .t = { noise(DR_F32, 4, shape, 5) }, .n = 1 };
        dr_tensor *y = block_run(root, false, &odd);
        if (y) expect_finite(y, "its output for an image of odd size");
        else expect(dr_failed(), "for %s it gives nothing, and no error", shape_text(odd.t[0]));
        dr_error_clear();
    }
    dr_module_free(root);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void check_save_and_load(const dr_component *c)
{
    dr_module *first = block_build(c, 1), *second = block_build(c, 2), *third = block_build(c, 1);
    const block_inputs in = block_input(c, DR_F32);
    const double d = max_difference(run(first, false, &in), run(third, false, &in));
    expect(d == 0.0, "two networks of one seed differ by %.3g", d);
    run(first, true, &in); /* running statistics move */
    dr_tensor *before = run(first, false, &in);
    if (dr_module_named_count(first) > 0) expect_saved_and_loaded(first, second, check_file("block.safetensors"));
    const double lost = max_difference(before, run(second, false, &in));
    expect(lost == 0.0,
           "a network with the weights and buffers of another differs from it by %.3g: something that it keeps is"
           " neither a weight nor a buffer",
           lost);
    dr_module_free(first);
    dr_module_free(second);
    dr_module_free(third);
}

/* ---- plans ------------------------------------------------------------------------------------------------------- */

typedef struct planned {
    dr_module *root;
    block_inputs in;
} planned;

static dr_status planned_forward(void *ctx, dr_tensor *const *in, dr_tensor **out, int *n_out)
{
    planned *p = ctx;
    for (int i = 0; i < p->in.n; i++) p->in.t[i] = in[i];
    out[0] = dr_keep(block_run(p->root, false, &p->in));
    *n_out = 1;
    return dr_failed();
}

/* Inputs change from call to call: what was recorded must not be what is given. */
static void check_replay(const dr_component *c)
{
    enum { CALLS = 8 };
    planned p = { block_build(c, 1), { .n = 0 } };
    const block_inputs given = block_input(c, DR_F32);
    dr_plan *plan = expect_made(dr_plan_new("block", 1000), "a plan");
    p.in.n = given.n;
    const bool recording = dr_grad_mode(false);
    for (int k = 0; k < CALLS; k++) {
        block_inputs now = given;
        for (int i = 0; i < given.n; i++) now.t[i] = dr_scale(1.0 + 0.25 * k, given.t[i]);
        dr_tensor *eager = block_run(p.root, false, &now), *out[DR_PLAN_OUTPUTS] = { NULL };
        expect_made(eager, "forward");
        dr_plan_call call = { .fn = planned_forward, .ctx = &p, .in = now.t, .n_in = now.n };
        int n = 0;
        dr_plan_run(plan, &call, out, &n);
        expect_ok("forward within a plan");
        const double d = max_difference(eager, out[0]);
        dr_release(out[0]);
        expect(d == 0.0, "in call %d of a plan, %s, its output differs by %.3g from what it gives without", k + 1,
               call.ran ? "which runs" : "which is replayed", d);
    }
    const dr_plan_state state = dr_plan_look(plan);
    const bool replays = state.replays;
    char reason[256];
    snprintf(reason, sizeof reason, "%s", state.reason ? state.reason : "no reason given");
    dr_grad_mode(recording);
    dr_plan_free(plan);
    dr_module_free(p.root);
    if (!replays) check_skip("it is never replayed: %s", reason);
}

const check block_checks[] = {
    { "every weight and input has a gradient", check_gradients },
    { "each gradient is that of finite differences", check_each_weight },
    { "training and evaluation agree on shapes", check_shapes },
    { "in evaluation no row sees its neighbours", check_rows },
    { "other image sizes work or are refused", check_odd_sizes },
    { "weights and buffers survive a file", check_save_and_load },
    { "a replayed plan gives the same bits", check_replay },
    { NULL, NULL },
};
