/* op_cases.c: the table of cases, with those of elementwise ops, views, reductions, indices and optimizers; others are
 * in op_cases_*.c. Channels are 1, 3, 5, 17, 33, 65; images are 1 x 1 and not square; batches of 1 and more. */
#include "case_table.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_CASES = 1200 };
static op_case cases[MOST_CASES];
static int case_count;

op_case *add_case(const char *op, const void *attr, size_t attr_size, const case_input *in, int n_in)
{
    if (case_count == MOST_CASES || n_in > CASE_INPUTS) abort();
    op_case *c = &cases[case_count++];
    void *copy = malloc(attr_size);
    if (!copy) abort();
    *c = (op_case){ .op = op, .attr = memcpy(copy, attr, attr_size), .n_in = n_in };
    size_t used = (size_t)snprintf(c->label, sizeof c->label, "%s", op);
    for (int i = 0; i < n_in; i++) {
        c->in[i] = in[i];
        if (used < sizeof c->label)
            used += (size_t)snprintf(c->label + used, sizeof c->label - used, in[i].values ? " [" : " -");
        for (int a = 0; in[i].values && a < in[i].rank && used < sizeof c->label; a++) {
            used += (size_t)snprintf(c->label + used, sizeof c->label - used, a ? ",%lld" : "%lld",
                                     (long long)in[i].shape[a]);
        }
        if (in[i].values && used < sizeof c->label)
            used += (size_t)snprintf(c->label + used, sizeof c->label - used, "]");
    }
    if (used < sizeof c->label) snprintf(c->label + used, sizeof c->label - used, " #%d", case_count);
    return c;
}

/* ---- elementwise ------------------------------------------------------------------------------------------------- */

static const case_input SHAPES[] = { { .rank = 0 },
                                     { .rank = 1, .shape = { 33 } },
                                     { .rank = 2, .shape = { 3, 65 } },
                                     { .rank = 4, .shape = { 2, 5, 3, 7 } },
                                     { .rank = 4, .shape = { 1, 17, 1, 1 } },
                                     { .rank = 5, .shape = { 2, 1, 3, 1, 5 } },
                                     { .rank = 2, .shape = { 3, 64 } }, /* the last two are whole vectors of 16 bytes */
                                     { .rank = 4, .shape = { 2, 16, 3, 6 } } };
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

static void unary(const char *op, case_values values, const void *attr, size_t attr_size)
{
    for (int i = 0; i < SHAPE_COUNT; i++) add_case(op, attr, attr_size, INPUTS(filled(SHAPES[i], values)));
}

/* NAME_backward(x or y, dy) */
static void gradient(const char *op, case_values values, const void *attr, size_t attr_size)
{
    for (int i = 1; i < SHAPE_COUNT; i += 2) {
        add_case(op, attr, attr_size, INPUTS(filled(SHAPES[i], values), filled(SHAPES[i], NORMAL)));
    }
}

static void binary(const char *op, case_values values, const void *attr, size_t attr_size)
{
    for (int i = 0; i < SHAPE_COUNT; i++) {
        add_case(op, attr, attr_size, INPUTS(filled(SHAPES[i], values), filled(SHAPES[i], values)));
    }
    add_case(op, attr, attr_size, INPUTS(SHAPED(values, 2, 17, 3, 5), SHAPED(values, 1, 17, 1, 1)));
    add_case(op, attr, attr_size, INPUTS(SHAPED(values, 2, 17, 1, 1), SHAPED(values, 2, 17, 3, 5)));
    add_case(op, attr, attr_size, INPUTS(SHAPED(values, 2, 5, 3, 3), SCALAR(values)));
    add_case(op, attr, attr_size, INPUTS(SCALAR(values), SHAPED(values, 65)));
    add_case(op, attr, attr_size, INPUTS(SHAPED(values, 3, 1, 5), SHAPED(values, 2, 1, 4, 1)));
    add_case(op, attr, attr_size, INPUTS(SHAPED(values, 3, 1, 4, 5), SHAPED(values, 3, 1, 4, 1)));
    add_case(op, attr, attr_size, INPUTS(SHAPED(values, 2, 16, 3, 5), SHAPED(values, 2, 16, 1, 1)));
    add_case(op, attr, attr_size, INPUTS(SHAPED(values, 5, 1), SHAPED(values, 5, 24)));
}

static void elementwise(void)
{
    binary("add", NORMAL, NO_ATTR);
    binary("sub", NORMAL, NO_ATTR);
    binary("mul", NORMAL, NO_ATTR);
    binary("div", POSITIVE, NO_ATTR);
    binary("maximum", DISTINCT, NO_ATTR);
    binary("minimum", DISTINCT, NO_ATTR);
    binary("greater", DISTINCT, NO_ATTR);
    binary("axpy", NORMAL, ATTR(dr_axpy_attr, -1.75));
    add_case("where", NO_ATTR,
             INPUTS(SHAPED(ZERO_ONE, 2, 5, 3, 7), SHAPED(NORMAL, 2, 5, 3, 7), SHAPED(NORMAL, 2, 5, 3, 7)));
    add_case("where", NO_ATTR,
             INPUTS(SHAPED(ZERO_ONE, 2, 1, 3, 7), SHAPED(NORMAL, 1, 5, 1, 1), SHAPED(NORMAL, 2, 5, 3, 7)));
    add_case("where", NO_ATTR, INPUTS(SHAPED(ZERO_ONE, 33), SCALAR(NORMAL), SHAPED(NORMAL, 33)));
    unary("exp", NORMAL, NO_ATTR);
    unary("log", POSITIVE, NO_ATTR);
    unary("sqrt", POSITIVE, NO_ATTR);
    unary("rsqrt", POSITIVE, NO_ATTR);
    unary("sin", NORMAL, NO_ATTR);
    unary("cos", NORMAL, NO_ATTR);
    unary("tanh", NORMAL, NO_ATTR);
    unary("sigmoid", NORMAL, NO_ATTR);
    unary("relu", DISTINCT, NO_ATTR);
    unary("silu", NORMAL, NO_ATTR);
    unary("abs", DISTINCT, NO_ATTR);
    unary("square", NORMAL, NO_ATTR);
    unary("gelu", NORMAL, ATTR(dr_gelu_attr, 0));
    unary("gelu", NORMAL, ATTR(dr_gelu_attr, 1));
    unary("affine", NORMAL, ATTR(dr_affine_attr, -2.5, 0.75));
    unary("pow", POSITIVE, ATTR(dr_pow_attr, 2.5));
    unary("pow", NORMAL, ATTR(dr_pow_attr, 3.0));
    unary("clamp", DISTINCT, ATTR(dr_clamp_attr, -1.0, 1.0));
    gradient("exp_backward", NORMAL, NO_ATTR);
    gradient("log_backward", POSITIVE, NO_ATTR);
    gradient("sqrt_backward", POSITIVE, NO_ATTR);
    gradient("rsqrt_backward", POSITIVE, NO_ATTR);
    gradient("sin_backward", NORMAL, NO_ATTR);
    gradient("cos_backward", NORMAL, NO_ATTR);
    gradient("tanh_backward", NORMAL, NO_ATTR);
    gradient("sigmoid_backward", NORMAL, NO_ATTR);
    gradient("relu_backward", DISTINCT, NO_ATTR);
    gradient("silu_backward", NORMAL, NO_ATTR);
    gradient("abs_backward", DISTINCT, NO_ATTR);
    gradient("square_backward", NORMAL, NO_ATTR);
    gradient("gelu_backward", NORMAL, ATTR(dr_gelu_backward_attr, 0));
    gradient("gelu_backward", NORMAL, ATTR(dr_gelu_backward_attr, 1));
}

/* ---- memory, views, joining -------------------------------------------------------------------------------------- */

static void memory_and_views(void)
{
    unary("copy", NORMAL, ATTR(dr_copy_attr, DR_LAYOUT_ROW));
    unary("copy", NORMAL, ATTR(dr_copy_attr, DR_LAYOUT_CL));
    add_case("copy", ATTR(dr_copy_attr, DR_LAYOUT_ROW), INPUTS(SHAPED(NORMAL, 2, 40, 5, 7)));
    add_case("copy", ATTR(dr_copy_attr, DR_LAYOUT_CL), INPUTS(SHAPED(NORMAL, 2, 40, 5, 7)));
    add_case("cast", ATTR(dr_cast_attr, DR_BF16), INPUTS(SHAPED(NORMAL, 2, 16, 3, 6)))->stepwise = true;
    unary("cast", NORMAL, ATTR(dr_cast_attr, DR_F64));
    for (int64_t to = 0; to < DR_DTYPE_COUNT; to++) {
        if (to != DR_F64 && to != DR_U8)
            add_case("cast", ATTR(dr_cast_attr, to), INPUTS(SHAPED(NORMAL, 2, 5, 3, 7)))->stepwise = true;
    }
    add_case("cast", ATTR(dr_cast_attr, DR_U8), INPUTS(SHAPED(POSITIVE, 3, 65)))->stepwise = true;
    add_case("cast", ATTR(dr_cast_attr, DR_F32), INPUTS(ID(9, 3, 5)));
    unary("fill", NORMAL, ATTR(dr_fill_attr, -0.5));
    for (int i = 0; i < SHAPE_COUNT; i++) {
        add_case("assign", NO_ATTR, INPUTS(filled(SHAPES[i], NORMAL), filled(SHAPES[i], NORMAL)));
    }
    add_case("assign", NO_ATTR, INPUTS(SHAPED(NORMAL, 2, 17, 3, 5), SHAPED(NORMAL, 1, 17, 1, 1)));
    add_case("assign", NO_ATTR, INPUTS(SHAPED(NORMAL, 2, 5, 3, 3), SCALAR(NORMAL)));
    add_case("assign", NO_ATTR, INPUTS(SHAPED(NORMAL, 3, 32), SHAPED(NORMAL, 3, 1)));
    add_case("assign", NO_ATTR, INPUTS(SHAPED(NORMAL, 2, 5, 3), ID(9, 3)));

    add_case("reshape", ATTR(dr_reshape_attr, LIST(6, 35)), INPUTS(SHAPED(NORMAL, 2, 3, 5, 7)));
    add_case("reshape", ATTR(dr_reshape_attr, LIST(2, -1, 1)), INPUTS(SHAPED(NORMAL, 2, 17, 1, 1)));
    add_case("reshape", ATTR(dr_reshape_attr, LIST(2, 3, 1, 35)), INPUTS(SHAPED(NORMAL, 2, 3, 5, 7)));
    add_case("reshape", ATTR(dr_reshape_attr, LIST(1, 1)), INPUTS(SCALAR(NORMAL)));
    add_case("reshape", ATTR(dr_reshape_attr, EMPTY_LIST), INPUTS(SHAPED(NORMAL, 1, 1, 1, 1)));
    add_case("reshape", ATTR(dr_reshape_attr, LIST(-1)), INPUTS(SHAPED(NORMAL, 3, 65)));
    add_case("permute", ATTR(dr_permute_attr, LIST(0, 2, 3, 1)), INPUTS(SHAPED(NORMAL, 2, 3, 5, 7)));
    add_case("permute", ATTR(dr_permute_attr, LIST(-1, 0)), INPUTS(SHAPED(NORMAL, 3, 65)));
    add_case("permute", ATTR(dr_permute_attr, LIST(4, 0, 3, 1, 2)), INPUTS(SHAPED(NORMAL, 2, 3, 1, 4, 5)));
    add_case("slice", ATTR(dr_slice_attr, 1, 1, 3, 1), INPUTS(SHAPED(NORMAL, 2, 5, 3, 7)));
    add_case("slice", ATTR(dr_slice_attr, -1, -6, -1, 2), INPUTS(SHAPED(NORMAL, 2, 5, 3, 7)));
    add_case("slice", ATTR(dr_slice_attr, 0, 2, 1, 1), INPUTS(SHAPED(NORMAL, 3, 65)));
    add_case("slice", ATTR(dr_slice_attr, 0, 0, -1, 3), INPUTS(SHAPED(NORMAL, 33)));
    add_case("slice", ATTR(dr_slice_attr, 0, 1, -1, 7),
             INPUTS(SHAPED(NORMAL, 3, 5))); /* one element: the step is never made */
    add_case("slice_backward", ATTR(dr_slice_backward_attr, 1, 1, 3, 1, 5), INPUTS(SHAPED(NORMAL, 2, 3, 3, 7)));
    add_case("slice_backward", ATTR(dr_slice_backward_attr, -1, 1, 3, 2, 7), INPUTS(SHAPED(NORMAL, 2, 5, 3, 3)));
    add_case("slice_backward", ATTR(dr_slice_backward_attr, 0, 0, 11, 3, 33), INPUTS(SHAPED(NORMAL, 11)));
    add_case("slice_backward", ATTR(dr_slice_backward_attr, 2, 1, 2, 2, 5), INPUTS(SHAPED(NORMAL, 2, 16, 2, 3)));
    add_case("expand", ATTR(dr_expand_attr, LIST(2, 17, 3, 5)), INPUTS(SHAPED(NORMAL, 2, 17, 1, 1)));
    add_case("expand", ATTR(dr_expand_attr, LIST(4, -1, 3)), INPUTS(SHAPED(NORMAL, 5, 1)));
    add_case("expand", ATTR(dr_expand_attr, LIST(3)), INPUTS(SCALAR(NORMAL)));

    for (int i = 0; i < CHANNEL_COUNT; i++) {
        const int64_t C = CHANNELS[i];
        add_case("concat", ATTR(dr_concat_attr, 1),
                 INPUTS(SHAPED(NORMAL, 2, C, 3, 5), SHAPED(NORMAL, 2, 5, 3, 5), SHAPED(NORMAL, 2, C, 3, 5)));
        add_case("concat", ATTR(dr_concat_attr, -1), INPUTS(SHAPED(NORMAL, 3, C), SHAPED(NORMAL, 3, 4)));
    }
    add_case("concat", ATTR(dr_concat_attr, 0), INPUTS(SHAPED(NORMAL, 1, 5, 1, 1), SHAPED(NORMAL, 3, 5, 1, 1)));
    add_case("concat", ATTR(dr_concat_attr, 2), INPUTS(SHAPED(NORMAL, 2, 3, 4, 5), SHAPED(NORMAL, 2, 3, 1, 5)));
    add_case("concat", ATTR(dr_concat_attr, 0), INPUTS(SHAPED(NORMAL, 33)));
    add_case("concat", ATTR(dr_concat_attr, 1),
             INPUTS(SHAPED(NORMAL, 2, 16, 3, 5), SHAPED(NORMAL, 2, 8, 3, 5), SHAPED(NORMAL, 2, 32, 3, 5)));
    for (int64_t mode = DR_PAD_CONSTANT; mode <= DR_PAD_REPLICATE; mode++) {
        add_case("pad", ATTR(dr_pad_attr, mode, LIST(1, 2, 3, 0), 0.25), INPUTS(SHAPED(NORMAL, 2, 5, 4, 3)));
        add_case("pad", ATTR(dr_pad_attr, mode, LIST(2, 1), -1.0), INPUTS(SHAPED(NORMAL, 3, 17)));
        add_case("pad", ATTR(dr_pad_attr, mode, LIST(1, 2, 2, 0), -1.0), INPUTS(SHAPED(NORMAL, 2, 16, 3, 4)));
        add_case("pad_backward", ATTR(dr_pad_backward_attr, mode, LIST(1, 2, 3, 0), 0.25),
                 INPUTS(SHAPED(NORMAL, 2, 5, 7, 6)));
    }
    add_case("pad", ATTR(dr_pad_attr, DR_PAD_CONSTANT, LIST(0, 0, 0, 0, 1, 1, 0, 2), 0.5),
             INPUTS(SHAPED(NORMAL, 1, 3, 2, 2)));
}

/* ---- reductions -------------------------------------------------------------------------------------------------- */

static void reductions(void)
{
    const struct {
        const char *op;
        case_values values;
    } reduce[] = { { "sum", NORMAL }, { "mean", NORMAL }, { "amax", DISTINCT } };
    for (int r = 0; r < 3; r++) {
        for (int keep = 0; keep < 2; keep++) {
            const case_values values = reduce[r].values;
            add_case(reduce[r].op, ATTR(dr_reduce_attr, EMPTY_LIST, keep), INPUTS(SHAPED(values, 2, 5, 3, 7)));
            add_case(reduce[r].op, ATTR(dr_reduce_attr, LIST(0, 2, 3), keep), INPUTS(SHAPED(values, 2, 17, 3, 5)));
            add_case(reduce[r].op, ATTR(dr_reduce_attr, LIST(-1), keep), INPUTS(SHAPED(values, 3, 65)));
            add_case(reduce[r].op, ATTR(dr_reduce_attr, LIST(1), keep), INPUTS(SHAPED(values, 3, 33, 5)));
            add_case(reduce[r].op, ATTR(dr_reduce_attr, LIST(2, -1), keep), INPUTS(SHAPED(values, 1, 3, 1, 1)));
            add_case(reduce[r].op, ATTR(dr_reduce_attr, EMPTY_LIST, keep), INPUTS(SCALAR(values)));
        }
    }
    add_case("sum_to", ATTR(dr_sum_to_attr, LIST(1, 17, 1, 1)), INPUTS(SHAPED(NORMAL, 2, 17, 3, 5)));
    add_case("sum_to", ATTR(dr_sum_to_attr, LIST(2, 5, 1, 1)), INPUTS(SHAPED(NORMAL, 2, 5, 3, 7)));
    add_case("sum_to", ATTR(dr_sum_to_attr, LIST(65)), INPUTS(SHAPED(NORMAL, 3, 2, 65)));
    add_case("sum_to", ATTR(dr_sum_to_attr, EMPTY_LIST), INPUTS(SHAPED(NORMAL, 33)));
    add_case("sum_to", ATTR(dr_sum_to_attr, LIST(3, 5)), INPUTS(SHAPED(NORMAL, 3, 5)));
    add_case("argmax", ATTR(dr_argmax_attr, -1), INPUTS(SHAPED(DISTINCT, 3, 65)));
    add_case("argmax", ATTR(dr_argmax_attr, 1), INPUTS(SHAPED(DISTINCT, 2, 5, 3, 7)));
    add_case("argmax", ATTR(dr_argmax_attr, 0), INPUTS(SHAPED(DISTINCT, 33)));
    const double q[] = { 0.0, 0.3, 0.5, 0.995, 1.0 };
    for (int i = 0; i < 5; i++) {
        add_case("quantile", ATTR(dr_quantile_attr, q[i]), INPUTS(SHAPED(NORMAL, 2, 3, 5, 7)));
        add_case("quantile", ATTR(dr_quantile_attr, q[i]), INPUTS(SHAPED(NORMAL, 3, 1)));
    }
}

/* ---- indices, random, optimizers --------------------------------------------------------------------------------- */

static void indices_and_random(void)
{
    add_case("embedding", NO_ATTR, INPUTS(SHAPED(NORMAL, 7, 5), ID(7, 33)));
    add_case("embedding", NO_ATTR, INPUTS(SHAPED(NORMAL, 1, 65), ID(1, 2, 3)));
    add_case("embedding_backward", ATTR(dr_embedding_backward_attr, 9), INPUTS(SHAPED(NORMAL, 2, 17, 5), ID(9, 2, 17)));
    add_case("one_hot", ATTR(dr_one_hot_attr, 10), INPUTS(ID(10, 33)));
    add_case("one_hot", ATTR(dr_one_hot_attr, 3), INPUTS(ID(3, 2, 17)));
    for (int64_t dim = 2; dim <= 65; dim += 21) {
        add_case("timestep_embedding",
                 ATTR(dr_timestep_embedding_attr, dim, 10000.0, dim % 2 ? 0.0 : 0.5, dim % 4 == 2),
                 INPUTS(SHAPED(POSITIVE, 5)));
    }
    const double p[] = { 0.0, 0.3, 1.0 };
    for (int i = 0; i < 3; i++) {
        add_case("dropout", ATTR(dr_dropout_attr, p[i], 5, 6, 7, 8), INPUTS(SHAPED(NORMAL, 3, 5, 3, 7)));
        add_case("dropout", ATTR(dr_dropout_attr, p[i], 5, 6, 7, 8), INPUTS(SHAPED(NORMAL, 3, 65)));
    }
    const struct {
        int64_t shape[4];
    } size[] = { { { 2, 3, 5, 7 } }, { { 1, 65, 1, 1 } }, { { 3, 1, 28, 28 } } };
    for (int i = 0; i < 3; i++) {
        const dr_ints shape = dr_ints_of(4, size[i].shape);
        add_case("rand_uniform", ATTR(dr_rand_uniform_attr, DR_F32, shape, 11, 22, 33, 44), NULL, 0);
        add_case("rand_normal", ATTR(dr_rand_normal_attr, DR_F32, shape, 11, 22, 33, 44), NULL, 0);
    }
}

static void optimizers(void)
{
    const case_input two[] = { SHAPED(NORMAL, 33, 5), SHAPED(NORMAL, 17) };
    for (int t = 0; t < 2; t++) {
        add_case("adam_step", ATTR(dr_adam_step_attr, 0.9, 0.999, 1e-8, t ? 0.1 : 0.0, t, 0),
                 INPUTS(SHAPED(LR_AND_STEP, 2), two[0], two[0], two[0], filled(two[0], POSITIVE), two[1], two[1],
                        two[1], filled(two[1], POSITIVE)));
        add_case("adam_step", ATTR(dr_adam_step_attr, 0.9, 0.999, 1e-8, t ? 0.1 : 0.0, t, 2),
                 INPUTS(SHAPED(LR_AND_STEP, 4), two[0], two[0], two[0], filled(two[0], POSITIVE), two[0], two[0],
                        two[1], two[1], two[1], filled(two[1], POSITIVE), two[1], two[1]));
        add_case("sgd_step", ATTR(dr_sgd_step_attr, 0.9, t ? 0.1 : 0.0, t),
                 INPUTS(SHAPED(LR_AND_STEP, 2), two[0], two[0], two[0], two[1], two[1], two[1]));
    }
    add_case("adam_step", ATTR(dr_adam_step_attr, 0.8, 0.99, 1e-4, 0.05, 0, 0),
             INPUTS(SHAPED(LR_AND_STEP, 2), SHAPED(NORMAL, 5, 3, 3, 3), SHAPED(NORMAL, 5, 3, 3, 3),
                    SHAPED(NORMAL, 5, 3, 3, 3), SHAPED(POSITIVE, 5, 3, 3, 3)));
    add_case("sgd_step", ATTR(dr_sgd_step_attr, 0.0, 0.0, 0), INPUTS(SHAPED(LR_AND_STEP, 2), two[0], two[0], two[0]));
    add_case("ema_step", NO_ATTR, INPUTS(SCALAR(DECAY), two[0], two[0], two[1], two[1]));
    add_case("square_norm", NO_ATTR, INPUTS(two[0], two[1], SCALAR(NORMAL)));
    add_case("clip_step", ATTR(dr_clip_step_attr, 1.5), INPUTS(SCALAR(SQUARE_NORM), two[0], two[1]));
    add_case("clip_step", ATTR(dr_clip_step_attr, 5.0), INPUTS(SCALAR(SQUARE_NORM), two[0], two[1]));
}

int op_case_count(void)
{
    if (case_count > 0) return case_count;
    elementwise();
    memory_and_views();
    reductions();
    add_convolutions();
    add_normalisations();
    indices_and_random();
    optimizers();
    return case_count;
}

const op_case *op_case_at(int i) { return i >= 0 && i < op_case_count() ? &cases[i] : NULL; }

bool op_has_case(const char *op)
{
    for (int i = 0; i < op_case_count(); i++) {
        if (strcmp(cases[i].op, op) == 0) return true;
    }
    return false;
}
