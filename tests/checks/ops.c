/* ops.c: every op that a plugin brings: its output has the shape that infer says, and in f64 its gradient is that of
 * finite differences for every input,   (f(x + h) - f(x - h)) / 2h,  f = sum of upstream y
 * Kernels, where the plugin brings them, give what the composed form gives.
 * Shapes are those of its .example; where it has none, some are tried until infer accepts them. Attributes are the defaults.
 * Drift's own ops have a table of cases for that, tests/ops/op_cases.c, and are held to much more there. */
#include "kinds.h"
#include "tensor.h"

#include <math.h>

typedef struct op_in {
    int rank;
    int64_t shape[DR_MAX_RANK];
} op_in;
typedef struct op_try { /* an op with attributes and inputs that it takes */
    const dr_component *c;
    const dr_op *op;
    void *attr;
    dr_keeper *keeper;
    int n;
    op_in in[DR_OP_MAX_IN];
} op_try;

static const op_in firsts[] = {
    { 4, { 2, 4, 6, 6 } }, { 2, { 3, 4 } }, { 1, { 5 } }, { 3, { 2, 3, 4 } }, { 0, { 0 } }
};

/* What stands beside x: the same again, its channels or last axis, a matrix that it can be multiplied with, one
 * number. */
static op_in beside(const op_in *x, int which)
{
    op_in y = *x;
    const int64_t channels = x->rank > 1 ? x->shape[1]
                             : x->rank   ? x->shape[0]
                                         : 1,
                  last = x->rank ? x->shape[x->rank - 1] : 1;
    switch (which) {
    case 0: return y;
    case 1: return (op_in){ 1, { channels } };
    case 2: return (op_in){ 1, { last } };
    case 3: return (op_in){ 2, { last, 3 } };
    case 4: return (op_in){ 2, { 3, last } };
    case 5: return (op_in){ 4, { 3, channels, 3, 3 } };
    default: return (op_in){ 0, { 0 } };
    }
}
enum { BESIDES = 7 };

static dr_view view_of(const op_in *in)
{
    dr_view v = { .dtype = DR_F64, .rank = in->rank };
    for (int i = 0; i < in->rank; i++) v.shape[i] = in->shape[i];
    dr_view_lay(&v, DR_LAYOUT_ROW);
    return v;
}

static bool accepted(const op_try *t, dr_view *out)
{
    dr_view in[DR_OP_MAX_IN];
    int64_t offset = 0;
    for (int i = 0; i < t->n; i++) in[i] = view_of(&t->in[i]);
    const dr_status status = t->op->infer(in, t->n, t->attr, out, &offset);
    const bool ok = status == DR_OK && !dr_failed();
    dr_error_clear();
    return ok;
}

static bool shapes_found(op_try *t)
{
    dr_view out[DR_OP_MAX_OUT];
    int choices = 1;
    for (int i = 1; i < t->n && i < 4; i++) choices *= BESIDES;
    for (size_t f = 0; f < sizeof firsts / sizeof *firsts; f++) {
        for (int k = 0; k < choices; k++) {
            t->in[0] = firsts[f];
            for (int i = 1, left = k; i < t->n; i++, left /= BESIDES) t->in[i] = beside(&firsts[f], left % BESIDES);
            memset(out, 0, sizeof out);
            if (accepted(t, out)) return true;
        }
    }
    return false;
}

static void take_example(op_try *t, const char *text)
{
    for (t->n = 0; *text; t->n++) {
        expect(t->n < DR_OP_MAX_IN, "its .example has more than %d inputs", DR_OP_MAX_IN);
        text = example_shape(text, t->in[t->n].shape, &t->in[t->n].rank);
    }
    expect(t->n >= t->op->n_in - t->op->n_optional && (t->n <= t->op->n_in || t->op->flags & DR_OP_VARIADIC),
           "its .example has %d inputs, and it takes %d", t->n, t->op->n_in);
}

static const char *example_of(const dr_op *op) /* NULL: none, or compiled before the field was */
{
    return op->size >= offsetof(dr_op, example) + sizeof op->example ? op->example : NULL;
}

/* false: an error is pending, or there are no shapes for it. */
static bool begin(const dr_component *c, op_try *t)
{
    walk_args a;
    default_args(c, &a);
    *t = (op_try){ .c = c,
                   .op = c->iface,
                   .n = ((const dr_op *)c->iface)->n_in - ((const dr_op *)c->iface)->n_optional };
    if (t->n > DR_OP_MAX_IN) t->n = DR_OP_MAX_IN;
    t->attr = calloc(1, c->self_size + 1);
    if (!t->attr || dr_schema_fill(c, a.args, t->attr, &t->keeper) != DR_OK) return false;
    if (example_of(t->op)) {
        take_example(t, example_of(t->op));
        return true;
    }
    if (t->n == 0 || shapes_found(t)) return true;
    dr_fail(DR_EUNSUPPORTED, "no shapes that it takes were found by trying: name some, .example = \"2,4,6,6;4,1,3,3\"");
    return false;
}

static void end(op_try *t)
{
    dr_keeper_free(t->keeper);
    free(t->attr);
}

/* In [0.5, 2): logarithms and roots exist there. */
static dr_tensor *input(const op_try *t, int i) /* f64 */
{
    int64_t n = 1;
    for (int k = 0; k < t->in[i].rank; k++) n *= t->in[i].shape[k];
    double *v = malloc((size_t)n * sizeof *v);
    const dr_rng rng = { .seed = 11, .purpose = dr_purpose("op"), .step = (uint32_t)i };
    for (int64_t k = 0; v && k < n; k++) v[k] = 0.5 + 1.5 * dr_rng_uniform(&rng, (uint32_t)k);
    dr_tensor *x = v ? dr_tensor_from(DR_F64, t->in[i].rank, t->in[i].shape, v) : NULL;
    free(v);
    return x;
}

static dr_tensor *apply(const op_try *t, dr_tensor **in)
{
    dr_tensor *out[DR_OP_MAX_OUT] = { NULL };
    return dr_apply(t->c->name, in, t->n, t->attr, out) == DR_OK ? (t->op->flags & DR_OP_MUTATES ? in[0] : out[0])
                                                                 : NULL;
}

void use_op(const dr_component *c, use_results *out)
{
    op_try t;
    dr_tensor *in[DR_OP_MAX_IN] = { NULL };
    const dr_op *op = c->iface;
    const bool differentiable = !(op->flags & (DR_OP_NONDIFF | DR_OP_MUTATES)) && (op->backward || op->compose);
    if (begin(c, &t)) {
        for (int i = 0; i < t.n; i++) {
            in[i] = dr_cast(input(&t, i), DR_F32); /* not every device has f64 */
            if (in[i] && differentiable) dr_requires_grad(in[i], true);
        }
        dr_tensor *y = apply(&t, in);
        use_results_take(out, y);
        if (y && dr_has_requires_grad(y)) dr_backward(dr_sum(dr_square(y), 0, NULL, false), NULL);
        for (int i = 0; i < t.n && !dr_failed(); i++) use_results_take(out, dr_grad(in[i]));
    }
    end(&t);
}

static op_try begun(const dr_component *c)
{
    op_try t;
    expect(((const dr_op *)c->iface)->infer != NULL, "it has no infer: its shape rule");
    if (begin(c, &t)) return t;
    end(&t);
    check_skip("%s", dr_error_message());
}

static void check_shape(const dr_component *c)
{
    op_try t = begun(c);
    dr_tensor *in[DR_OP_MAX_IN] = { NULL };
    dr_view out[DR_OP_MAX_OUT];
    memset(out, 0, sizeof out);
    for (int i = 0; i < t.n; i++) in[i] = input(&t, i);
    accepted(&t, out);
    dr_tensor *y = expect_made(apply(&t, in), "it cannot be applied to shapes that its infer takes");
    if (!(t.op->flags & DR_OP_MUTATES)) {
        const dr_view *v = dr_tensor_view(y);
        char said[96];
        bool same = v->rank == out[0].rank && v->dtype == out[0].dtype;
        for (int i = 0; same && i < v->rank; i++) same = v->shape[i] == out[0].shape[i];
        expect(same, "infer says %s, and it gives %s", dr_view_text(&out[0], said, sizeof said), shape_text(y));
    }
    expect_finite(y, "its output for numbers between 0.5 and 2");
    end(&t);
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

static double value_at(const op_try *t, int input_moved, int64_t at, double by, dr_tensor *upstream)
{
    dr_scope_open();
    dr_tensor *in[DR_OP_MAX_IN] = { NULL };
    for (int i = 0; i < t->n; i++) in[i] = input(t, i);
    if (input_moved >= 0) {
        int64_t n = 1;
        const dr_view *v = dr_tensor_view(in[input_moved]);
        for (int k = 0; k < v->rank; k++) n *= v->shape[k];
        double *x = malloc((size_t)n * sizeof *x);
        if (x && dr_tensor_read(in[input_moved], DR_F64, x) == DR_OK) {
            x[at] += by;
            dr_tensor_write(in[input_moved], DR_F64, x);
        }
        free(x);
    }
    const double value = dr_tensor_item(dr_sum(dr_mul(apply(t, in), upstream), 0, NULL, false));
    dr_scope_close();
    expect_ok("forward");
    return value;
}

static void check_input(const op_try *t, int i, dr_tensor *grad, dr_tensor *upstream)
{
    enum { SAMPLED = 12, MOST = 1024 };
    static double g[MOST];
    int64_t n = 1;
    for (int k = 0; k < t->in[i].rank; k++) n *= t->in[i].shape[k];
    expect(n <= MOST, "an input of this check is too large");
    memset(g, 0, sizeof g);
    if (grad) dr_tensor_read(grad, DR_F64, g);
    double largest = 1.0;
    for (int64_t k = 0; k < n; k++) largest = fmax(largest, fabs(g[k]));
    const int64_t step = n <= SAMPLED ? 1 : n / SAMPLED;
    for (int64_t at = 0; at < n; at += step) {
        bool close = false;
        double numeric = 0.0;
        for (int k = 0; k < 2 && !close; k++) { /* a kink may lie within the longer step */
            const double h = k ? 1e-7 : 1e-5;
            numeric = (value_at(t, i, at, h, upstream) - value_at(t, i, at, -h, upstream)) / (2 * h);
            close = fabs(numeric - g[at]) <= 1e-6 * largest;
        }
        expect(close, "gradient of input %d at element %lld is %.9g, and finite differences say %.9g", i + 1,
               (long long)at, g[at], numeric);
    }
}

static void check_gradients(const dr_component *c)
{
    const dr_op *op = c->iface;
    if (op->flags & (DR_OP_NONDIFF | DR_OP_MUTATES)) check_skip("it says that it has none");
    expect(op->backward || op->compose, "it has neither backward nor a composed form, and is not marked DR_OP_NONDIFF");
    op_try t = begun(c);
    dr_tensor *in[DR_OP_MAX_IN] = { NULL };
    for (int i = 0; i < t.n; i++) in[i] = dr_requires_grad(input(&t, i), true);
    dr_tensor *y = expect_made(apply(&t, in), "it cannot be applied");
    const dr_view *v = dr_tensor_view(y);
    if (v->dtype != DR_F64) end(&t);
    if (v->dtype != DR_F64) check_skip("its output for f64 is %s, which moves in steps", shape_text(y));
    dr_tensor *upstream = noise((dr_dtype)v->dtype, v->rank, v->shape, 4);
    dr_backward(dr_sum(dr_mul(y, upstream), 0, NULL, false), NULL);
    expect_ok("backward");
    for (int i = 0; i < t.n; i++) check_input(&t, i, dr_grad(in[i]), upstream);
    end(&t);
}

/* ---- kernels ----------------------------------------------------------------------------------------------------- */

/* The largest difference, as a share of the largest number; -1: the device has no kernel of it. */
static double kernel_error(const op_try *t, dr_device *d, dr_dtype dtype)
{
    if (!dr_device_kernel(d, t->c->name, dtype)) return -1.0;
    dr_device *before = dr_device_current();
    dr_device_use(d);
    dr_scope_open();
    dr_tensor *in[DR_OP_MAX_IN] = { NULL };
    for (int i = 0; i < t->n; i++) in[i] = dr_cast(input(t, i), dtype);
    dr_tensor *by_kernel = apply(t, in);
    dr_force_compose(true);
    dr_tensor *composed = apply(t, in);
    dr_force_compose(false);
    expect_shape_of(by_kernel, composed, "what its kernel gives");
    const double size = dr_tensor_item(dr_amax(dr_abs(composed), 0, NULL, false));
    const double error = max_difference(by_kernel, composed) / fmax(1e-6, size);
    dr_scope_close();
    dr_device_use(before);
    expect_ok(dr_device_name(d));
    return error;
}

static void check_kernels(const dr_component *c)
{
    static const dr_dtype types[] = { DR_F32, DR_F64 };
    static const double allowed[] = { 1e-5, 1e-12 };
    const dr_op *op = c->iface;
    if (!op->compose || op->flags & (DR_OP_MUTATES | DR_OP_VIEW)) check_skip("it has no composed form");
    op_try t = begun(c);
    int kernels = 0;
    dr_device *devices[] = { dr_device_current(), check_in_own_process ? dr_device_open("cpu", DR_NO_ARGS) : NULL };
    dr_error_clear(); /* no such device: it is not needed */
    for (int d = 0; d < 2; d++) {
        for (int k = 0; k < 2 && devices[d]; k++) {
            const double error = kernel_error(&t, devices[d], types[k]);
            expect(error < allowed[k],
                   "its kernel for %s on %s differs from its composed form by %.3g of the largest number",
                   dr_dtype_name(types[k]), dr_device_name(devices[d]), error);
            kernels += error >= 0.0;
        }
    }
    end(&t);
    if (kernels == 0) check_skip("it has no kernel on ref or cpu");
}

const check op_checks[] = {
    { "its output has the shape that infer says", check_shape },
    { "each gradient is that of finite differences", check_gradients },
    { "its kernels agree with its composed form", check_kernels },
    { NULL, NULL },
};

/* ---- backends ---------------------------------------------------------------------------------------------------- */

static void check_backend(const dr_component *c)
{
    const dr_backend *b = c->iface;
    expect(b->alloc && b->free && b->copy && b->kernel, "its table lacks alloc, free, copy or kernel");
    check_skip("kernels are held to ref by Drift's tests of ops: DRIFT_PLUGIN_DIR=... ./drift test ops");
}

const check backend_checks[] = { { "its kernels agree with ref", check_backend }, { NULL, NULL } };
