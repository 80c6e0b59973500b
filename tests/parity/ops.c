/* ops.c: kind `op`: outputs, and the gradients of sum(up * y) with respect to inputs and parameters, for each of the
 * file's `cases`. A case is checked to the last word: an attribute or a tensor that was not used is a failure. */
#include "parity.h"

#include <math.h>
#include <string.h>

enum { MAX_TENSORS = 16, MAX_OUTPUTS = 4 };

typedef struct named {
    const char *name;
    dr_tensor *tensor;
} named;

typedef struct op_case {
    parity *p;
    const char *name;
    json_t *attr; /* what has not been read yet */
    named in[MAX_TENSORS], out[MAX_OUTPUTS];
    int n_in, n_out;
} op_case;

/* ---- what a case gives ------------------------------------------------------------------------------------------- */

static bool has(const op_case *c, const char *name)
{
    return parity_has(c->p, "%s.in.%s", c->name, name) || parity_has(c->p, "%s.param.%s", c->name, name);
}

/* The input or parameter, which wants a gradient where the file has one to compare with. */
static dr_tensor *tensor(op_case *c, const char *name)
{
    const char *part = parity_has(c->p, "%s.in.%s", c->name, name) ? "in" : "param";
    dr_tensor *t = parity_input(c->p, "%s.%s.%s", c->name, part, name);
    dr_requires_grad(t, parity_has(c->p, "%s.grad.%s", c->name, name));
    if (c->n_in < MAX_TENSORS) c->in[c->n_in++] = (named){ name, t };
    return t;
}

static dr_tensor *optional(op_case *c, const char *name) { return has(c, name) ? tensor(c, name) : NULL; }

static json_t *take(op_case *c, const char *key)
{
    json_t *value = json_incref(json_object_get(c->attr, key));
    if (!value) parity_fail(c->p, "%s: attribute %s is missing", c->name, key);
    json_object_del(c->attr, key);
    return value;
}

static double real(op_case *c, const char *key)
{
    json_t *value = take(c, key);
    const double x = json_is_boolean(value) ? json_is_true(value) : json_number_value(value);
    if (value && !json_is_number(value) && !json_is_boolean(value))
        parity_fail(c->p, "%s: attribute %s is no number", c->name, key);
    json_decref(value);
    return x;
}

static int64_t integer(op_case *c, const char *key) { return (int64_t)real(c, key); }

static bool given(const op_case *c, const char *key) { return json_object_get(c->attr, key) != NULL; }

/* Index of the attribute's text in names, which ends with NULL. */
static int choice(op_case *c, const char *key, const char *const *names)
{
    json_t *value = take(c, key);
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    int found = -1;
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], text) == 0) found = i;
    }
    if (value && found < 0) parity_fail(c->p, "%s: %s = '%s' is not known", c->name, key, text);
    json_decref(value);
    return found < 0 ? 0 : found;
}

static void result(op_case *c, const char *name, dr_tensor *t) { c->out[c->n_out++] = (named){ name, t }; }

static int64_t dim(dr_tensor *t, int i)
{
    const dr_view *v = dr_tensor_view(t);
    return v && i < v->rank ? v->shape[i] : -1;
}

/* ---- from PyTorch's words to Drift's ----------------------------------------------------------------------------- */

static void conv2d(op_case *c)
{
    dr_tensor *x = tensor(c, "x"), *weight = tensor(c, "weight"), *bias = optional(c, "bias");
    const int64_t stride = integer(c, "stride"), padding = integer(c, "padding");
    if (integer(c, "kernel") != dim(weight, 2)) parity_fail(c->p, "%s: kernel is not the weight's", c->name);
    result(c, "y", dr_conv2d(x, weight, bias, stride, padding));
}

static void conv_transpose2d(op_case *c)
{
    dr_tensor *x = tensor(c, "x"), *weight = tensor(c, "weight"), *bias = optional(c, "bias");
    const int64_t stride = integer(c, "stride"), padding = integer(c, "padding");
    if (integer(c, "kernel") != dim(weight, 2)) parity_fail(c->p, "%s: kernel is not the weight's", c->name);
    result(c, "y", dr_conv_transpose2d(x, weight, bias, stride, padding));
}

static void linear(op_case *c)
{
    dr_tensor *x = tensor(c, "x"), *weight = tensor(c, "weight");
    result(c, "y", dr_linear(x, weight, optional(c, "bias")));
}

static void batch_norm(op_case *c)
{
    dr_tensor *x = tensor(c, "x"), *gamma = tensor(c, "weight"), *beta = tensor(c, "bias");
    dr_tensor *running_mean = tensor(c, "running_mean"), *running_var = tensor(c, "running_var");
    const double momentum = real(c, "momentum"), eps = real(c, "eps");
    const dr_batch_norm_act_attr attr = { .eps = eps, .act = DR_ACT_NONE };
    if (!real(c, "training")) {
        result(c, "y",
               dr_apply1("batch_norm_eval", (dr_tensor *[]){ x, gamma, beta, running_mean, running_var }, 5, &attr));
        return;
    }
    dr_tensor *out[3] = { NULL }; /* y, mean [C], var [C] */
    if (dr_apply("batch_norm_act", (dr_tensor *[]){ x, gamma, beta }, 3, &attr, out) == DR_OK) {
        const dr_view *v = dr_tensor_view(x);
        dr_batch_norm_update_attr update = { .momentum = momentum, .count = 1 };
        for (int i = 0; i < v->rank; i++) update.count *= i == 1 ? 1 : v->shape[i];
        dr_apply("batch_norm_update", (dr_tensor *[]){ running_mean, running_var, out[1], out[2], NULL }, 5, &update,
                 NULL);
    }
    result(c, "y", out[0]);
    result(c, "running_mean", running_mean);
    result(c, "running_var", running_var);
}

static void group_norm(op_case *c)
{
    dr_tensor *x = tensor(c, "x"), *gamma = tensor(c, "weight"), *beta = tensor(c, "bias");
    const int64_t groups = integer(c, "groups");
    result(c, "y", dr_group_norm(x, gamma, beta, groups, real(c, "eps"), DR_ACT_NONE));
}

static void layer_norm(op_case *c)
{
    dr_tensor *x = tensor(c, "x"), *gamma = optional(c, "weight"), *beta = optional(c, "bias");
    result(c, "y", dr_layer_norm(x, gamma, beta, real(c, "eps")));
}

static void rms_norm(op_case *c)
{
    dr_tensor *x = tensor(c, "x"), *weight = tensor(c, "weight");
    result(c, "y", dr_rms_norm(x, weight, real(c, "eps")));
}

static void avg_pool2d(op_case *c)
{
    const int64_t kernel = integer(c, "kernel"), stride = given(c, "stride") ? integer(c, "stride") : kernel;
    result(c, "y", dr_avg_pool2d(tensor(c, "x"), kernel, stride));
}

static void gelu(op_case *c)
{
    const int form = choice(c, "approximate", (const char *const[]){ "none", "tanh", NULL });
    result(c, "y", dr_gelu(tensor(c, "x"), form == 1));
}

static void silu(op_case *c) { result(c, "y", dr_silu(tensor(c, "x"))); }

static void softmax(op_case *c)
{
    const int axis = (int)integer(c, "dim");
    result(c, "y", dr_softmax(tensor(c, "x"), axis));
}

/* bool_mask: false becomes -inf, which is added to the scores. Booleans arrive as 0 and 1. */
static dr_tensor *additive_mask(op_case *c)
{
    dr_tensor *mask = optional(c, "mask"), *keep = optional(c, "bool_mask");
    if (!keep) return mask;
    dr_tensor *zero = dr_tensor_full(DR_F32, 0, NULL, 0.0), *lowest = dr_tensor_full(DR_F32, 0, NULL, -INFINITY);
    dr_tensor *added = dr_where(keep, zero, lowest);
    return mask ? dr_add(mask, added) : added;
}

static void sdpa(op_case *c)
{
    dr_tensor *q = tensor(c, "q"), *k = tensor(c, "k"), *v = tensor(c, "v"), *mask = additive_mask(c);
    result(c, "y", dr_attention(q, k, v, mask, real(c, "scale")));
}

static void interpolate(op_case *c)
{
    const int mode = choice(c, "mode", (const char *const[]){ "nearest", "bilinear", "bicubic", NULL });
    json_t *size = take(c, "size");
    const int64_t height = json_integer_value(json_array_get(size, 0)),
                  width = json_integer_value(json_array_get(size, 1));
    json_decref(size);
    const bool align = given(c, "align_corners") && real(c, "align_corners") != 0;
    if (given(c, "antialias") && real(c, "antialias") != 0) parity_fail(c->p, "%s: antialias is not known", c->name);
    result(c, "y", dr_resize(tensor(c, "x"), mode, height, width, align));
}

static void concat(op_case *c)
{
    static const char *const names[] = { "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7" };
    dr_tensor *x[8];
    int n = 0;
    while (n < 8 && has(c, names[n])) {
        x[n] = tensor(c, names[n]);
        n++;
    }
    result(c, "y", dr_concat(x, n, (int)integer(c, "dim")));
}

static void add(op_case *c)
{
    dr_tensor *a = tensor(c, "a"), *b = tensor(c, "b");
    result(c, "y", dr_add(a, b));
}

static void mul(op_case *c)
{
    dr_tensor *a = tensor(c, "a"), *b = tensor(c, "b");
    result(c, "y", dr_mul(a, b));
}

static void matmul(op_case *c)
{
    dr_tensor *a = tensor(c, "a"), *b = tensor(c, "b");
    result(c, "y", dr_matmul(a, b, false, false));
}

static void mse(op_case *c)
{
    dr_tensor *pred = tensor(c, "pred"), *target = tensor(c, "target");
    result(c, "loss", dr_mse(pred, target, NULL, choice(c, "reduction", (const char *const[]){ "mean", "sum", NULL })));
}

static void embedding(op_case *c)
{
    dr_tensor *weight = tensor(c, "weight"), *ids = tensor(c, "ids");
    result(c, "y", dr_embed(weight, ids));
}

static void gaussian_blur(op_case *c)
{
    const int64_t kernel = integer(c, "kernel");
    const double sigma = real(c, "sigma");
    if (given(c, "padding")) choice(c, "padding", (const char *const[]){ "reflect", NULL });
    result(c, "y", dr_gaussian_blur(tensor(c, "x"), kernel, sigma));
}

static void timestep_embedding(op_case *c)
{
    dr_tensor *t = dr_cast(tensor(c, "t"), DR_F32);
    const dr_timestep_embedding_attr attr = { .dim = integer(c, "dim"),
                                              .max_period = real(c, "max_period"),
                                              .shift = real(c, "freq_shift"),
                                              .flip = real(c, "flip_sin_to_cos") != 0 };
    result(c, "y", dr_apply1("timestep_embedding", &t, 1, &attr));
}

static const struct {
    const char *op;
    void (*run)(op_case *c);
} ops[] = {
    { "conv2d", conv2d },
    { "conv_transpose2d", conv_transpose2d },
    { "linear", linear },
    { "batch_norm", batch_norm },
    { "group_norm", group_norm },
    { "layer_norm", layer_norm },
    { "rms_norm", rms_norm },
    { "avg_pool2d", avg_pool2d },
    { "gelu", gelu },
    { "silu", silu },
    { "softmax", softmax },
    { "sdpa", sdpa },
    { "interpolate", interpolate },
    { "concat", concat },
    { "add", add },
    { "mul", mul },
    { "matmul", matmul },
    { "mse", mse },
    { "embedding", embedding },
    { "gaussian_blur", gaussian_blur },
    { "timestep_embedding", timestep_embedding },
};

/* ---- a case ------------------------------------------------------------------------------------------------------ */

/* sum over the outputs with an upstream gradient of sum(up * y), and back. */
static void backward(op_case *c)
{
    dr_tensor *y[MAX_OUTPUTS], *up[MAX_OUTPUTS];
    int n = 0;
    for (int i = 0; i < c->n_out; i++) {
        if (!parity_has(c->p, "%s.up.%s", c->name, c->out[i].name)) continue;
        y[n] = c->out[i].tensor;
        up[n++] = parity_input(c->p, "%s.up.%s", c->name, c->out[i].name);
    }
    if (n == 0) return;
    dr_tensor *total = NULL;
    for (int i = 0; i < n && n > 1; i++) {
        dr_tensor *term = dr_sum(dr_mul(up[i], y[i]), 0, NULL, false);
        total = total ? dr_add(total, term) : term;
    }
    if ((n == 1 ? dr_backward(y[0], up[0]) : dr_backward(total, NULL)) != DR_OK)
        parity_fail(c->p, "%s: backward", c->name);
    for (int i = 0; i < c->n_in; i++) {
        if (!parity_has(c->p, "%s.grad.%s", c->name, c->in[i].name)) continue;
        parity_compare(c->p, dr_grad(c->in[i].tensor), "%s.grad.%s", c->name, c->in[i].name);
        dr_zero_grad(c->in[i].tensor);
    }
}

static void run_case(parity *p, const json_t *description)
{
    const char *name = json_string_value(json_object_get(description, "name"));
    const char *op = json_string_value(json_object_get(description, "op"));
    if (!name || !op) {
        parity_fail(p, "a case has no name or op");
        return;
    }
    op_case c = { .p = p, .name = name, .attr = json_deep_copy(description) };
    json_object_del(c.attr, "name");
    json_object_del(c.attr, "op");
    void (*run)(op_case *) = NULL;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (strcmp(ops[i].op, op) == 0) run = ops[i].run;
    }
    if (run) {
        dr_scope_open();
        run(&c);
        if (dr_failed()) parity_fail(p, "%s: forward", name);
        for (int i = 0; i < c.n_out; i++) parity_compare(p, c.out[i].tensor, "%s.out.%s", name, c.out[i].name);
        backward(&c);
        dr_scope_close();
        const char *key;
        json_t *value;
        json_object_foreach(c.attr, key, value) parity_fail(p, "%s: attribute %s was not used", name, key);
    } else {
        parity_fail(p, "%s: op %s is not known here", name, op);
    }
    json_decref(c.attr);
}

void parity_ops(parity *p)
{
    json_t *cases = parity_json(p, "cases"), *description;
    size_t i;
    if (cases && json_array_size(cases) == 0) parity_fail(p, "metadata `cases` is empty");
    json_array_foreach(cases, i, description) run_case(p, description);
    json_decref(cases);
}
