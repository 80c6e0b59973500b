/* op_cases.c: the cases. Channels are 1, 3, 5, 17, 33, 65; images are 1 x 1 and not square; batches of 1 and more. */
#include "op_cases.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_CASES = 1200 };
static op_case cases[MOST_CASES];
static int case_count;

static const int64_t CHANNELS[] = { 1, 3, 5, 17, 33, 65 };
enum { CHANNEL_COUNT = sizeof CHANNELS / sizeof *CHANNELS };

#define SHAPED(kind, ...) \
    ((case_input){ \
        .values = kind, .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), .shape = { __VA_ARGS__ } })
/* of the statistics' dtype: f64 where the network computes in f64, else f32 */
#define STATISTIC(kind, ...) \
    ((case_input){ .values = kind, \
                   .statistic = true, \
                   .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), \
                   .shape = { __VA_ARGS__ } })
#define SCALAR_STATISTIC(kind) ((case_input){ .values = kind, .statistic = true })
#define SCALAR(kind) ((case_input){ .values = kind })
#define ID(limit_, ...) \
    ((case_input){ .values = IDS, \
                   .limit = limit_, \
                   .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), \
                   .shape = { __VA_ARGS__ } })
#define NONE ((case_input){ .values = ABSENT })
#define INPUTS(...) \
    (const case_input[]){ __VA_ARGS__ }, (int)(sizeof((case_input[]){ __VA_ARGS__ }) / sizeof(case_input))
#define ATTR(type, ...) &(type){ __VA_ARGS__ }, sizeof(type)
#define NO_ATTR ATTR(dr_none_attr, 0)
#define LIST(...) \
    { \
        sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), { __VA_ARGS__ } \
    }
#define EMPTY_LIST \
    { \
        0, { 0 } \
    }

static op_case *add(const char *op, const void *attr, size_t attr_size, const case_input *in, int n_in)
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

static case_input filled(case_input shape, case_values values)
{
    shape.values = values;
    return shape;
}

static void unary(const char *op, case_values values, const void *attr, size_t attr_size)
{
    for (int i = 0; i < SHAPE_COUNT; i++) add(op, attr, attr_size, INPUTS(filled(SHAPES[i], values)));
}

/* NAME_backward(x or y, dy) */
static void gradient(const char *op, case_values values, const void *attr, size_t attr_size)
{
    for (int i = 1; i < SHAPE_COUNT; i += 2) {
        add(op, attr, attr_size, INPUTS(filled(SHAPES[i], values), filled(SHAPES[i], NORMAL)));
    }
}

static void binary(const char *op, case_values values, const void *attr, size_t attr_size)
{
    for (int i = 0; i < SHAPE_COUNT; i++) {
        add(op, attr, attr_size, INPUTS(filled(SHAPES[i], values), filled(SHAPES[i], values)));
    }
    add(op, attr, attr_size, INPUTS(SHAPED(values, 2, 17, 3, 5), SHAPED(values, 1, 17, 1, 1)));
    add(op, attr, attr_size, INPUTS(SHAPED(values, 2, 17, 1, 1), SHAPED(values, 2, 17, 3, 5)));
    add(op, attr, attr_size, INPUTS(SHAPED(values, 2, 5, 3, 3), SCALAR(values)));
    add(op, attr, attr_size, INPUTS(SCALAR(values), SHAPED(values, 65)));
    add(op, attr, attr_size, INPUTS(SHAPED(values, 3, 1, 5), SHAPED(values, 2, 1, 4, 1)));
    add(op, attr, attr_size, INPUTS(SHAPED(values, 3, 1, 4, 5), SHAPED(values, 3, 1, 4, 1)));
    add(op, attr, attr_size, INPUTS(SHAPED(values, 2, 16, 3, 5), SHAPED(values, 2, 16, 1, 1)));
    add(op, attr, attr_size, INPUTS(SHAPED(values, 5, 1), SHAPED(values, 5, 24)));
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
    add("where", NO_ATTR, INPUTS(SHAPED(ZERO_ONE, 2, 5, 3, 7), SHAPED(NORMAL, 2, 5, 3, 7), SHAPED(NORMAL, 2, 5, 3, 7)));
    add("where", NO_ATTR, INPUTS(SHAPED(ZERO_ONE, 2, 1, 3, 7), SHAPED(NORMAL, 1, 5, 1, 1), SHAPED(NORMAL, 2, 5, 3, 7)));
    add("where", NO_ATTR, INPUTS(SHAPED(ZERO_ONE, 33), SCALAR(NORMAL), SHAPED(NORMAL, 33)));
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
    add("copy", ATTR(dr_copy_attr, DR_LAYOUT_ROW), INPUTS(SHAPED(NORMAL, 2, 40, 5, 7)));
    add("copy", ATTR(dr_copy_attr, DR_LAYOUT_CL), INPUTS(SHAPED(NORMAL, 2, 40, 5, 7)));
    add("cast", ATTR(dr_cast_attr, DR_BF16), INPUTS(SHAPED(NORMAL, 2, 16, 3, 6)))->stepwise = true;
    unary("cast", NORMAL, ATTR(dr_cast_attr, DR_F64));
    for (int64_t to = 0; to < DR_DTYPE_COUNT; to++) {
        if (to != DR_F64 && to != DR_U8)
            add("cast", ATTR(dr_cast_attr, to), INPUTS(SHAPED(NORMAL, 2, 5, 3, 7)))->stepwise = true;
    }
    add("cast", ATTR(dr_cast_attr, DR_U8), INPUTS(SHAPED(POSITIVE, 3, 65)))->stepwise = true;
    add("cast", ATTR(dr_cast_attr, DR_F32), INPUTS(ID(9, 3, 5)));
    unary("fill", NORMAL, ATTR(dr_fill_attr, -0.5));
    for (int i = 0; i < SHAPE_COUNT; i++) {
        add("assign", NO_ATTR, INPUTS(filled(SHAPES[i], NORMAL), filled(SHAPES[i], NORMAL)));
    }
    add("assign", NO_ATTR, INPUTS(SHAPED(NORMAL, 2, 17, 3, 5), SHAPED(NORMAL, 1, 17, 1, 1)));
    add("assign", NO_ATTR, INPUTS(SHAPED(NORMAL, 2, 5, 3, 3), SCALAR(NORMAL)));
    add("assign", NO_ATTR, INPUTS(SHAPED(NORMAL, 3, 32), SHAPED(NORMAL, 3, 1)));
    add("assign", NO_ATTR, INPUTS(SHAPED(NORMAL, 2, 5, 3), ID(9, 3)));

    add("reshape", ATTR(dr_reshape_attr, LIST(6, 35)), INPUTS(SHAPED(NORMAL, 2, 3, 5, 7)));
    add("reshape", ATTR(dr_reshape_attr, LIST(2, -1, 1)), INPUTS(SHAPED(NORMAL, 2, 17, 1, 1)));
    add("reshape", ATTR(dr_reshape_attr, LIST(2, 3, 1, 35)), INPUTS(SHAPED(NORMAL, 2, 3, 5, 7)));
    add("reshape", ATTR(dr_reshape_attr, LIST(1, 1)), INPUTS(SCALAR(NORMAL)));
    add("reshape", ATTR(dr_reshape_attr, EMPTY_LIST), INPUTS(SHAPED(NORMAL, 1, 1, 1, 1)));
    add("reshape", ATTR(dr_reshape_attr, LIST(-1)), INPUTS(SHAPED(NORMAL, 3, 65)));
    add("permute", ATTR(dr_permute_attr, LIST(0, 2, 3, 1)), INPUTS(SHAPED(NORMAL, 2, 3, 5, 7)));
    add("permute", ATTR(dr_permute_attr, LIST(-1, 0)), INPUTS(SHAPED(NORMAL, 3, 65)));
    add("permute", ATTR(dr_permute_attr, LIST(4, 0, 3, 1, 2)), INPUTS(SHAPED(NORMAL, 2, 3, 1, 4, 5)));
    add("slice", ATTR(dr_slice_attr, 1, 1, 3, 1), INPUTS(SHAPED(NORMAL, 2, 5, 3, 7)));
    add("slice", ATTR(dr_slice_attr, -1, -6, -1, 2), INPUTS(SHAPED(NORMAL, 2, 5, 3, 7)));
    add("slice", ATTR(dr_slice_attr, 0, 2, 1, 1), INPUTS(SHAPED(NORMAL, 3, 65)));
    add("slice", ATTR(dr_slice_attr, 0, 0, -1, 3), INPUTS(SHAPED(NORMAL, 33)));
    add("slice", ATTR(dr_slice_attr, 0, 1, -1, 7),
        INPUTS(SHAPED(NORMAL, 3, 5))); /* one element: the step is never made */
    add("slice_backward", ATTR(dr_slice_backward_attr, 1, 1, 3, 1, 5), INPUTS(SHAPED(NORMAL, 2, 3, 3, 7)));
    add("slice_backward", ATTR(dr_slice_backward_attr, -1, 1, 3, 2, 7), INPUTS(SHAPED(NORMAL, 2, 5, 3, 3)));
    add("slice_backward", ATTR(dr_slice_backward_attr, 0, 0, 11, 3, 33), INPUTS(SHAPED(NORMAL, 11)));
    add("slice_backward", ATTR(dr_slice_backward_attr, 2, 1, 2, 2, 5), INPUTS(SHAPED(NORMAL, 2, 16, 2, 3)));
    add("expand", ATTR(dr_expand_attr, LIST(2, 17, 3, 5)), INPUTS(SHAPED(NORMAL, 2, 17, 1, 1)));
    add("expand", ATTR(dr_expand_attr, LIST(4, -1, 3)), INPUTS(SHAPED(NORMAL, 5, 1)));
    add("expand", ATTR(dr_expand_attr, LIST(3)), INPUTS(SCALAR(NORMAL)));

    for (int i = 0; i < CHANNEL_COUNT; i++) {
        const int64_t C = CHANNELS[i];
        add("concat", ATTR(dr_concat_attr, 1),
            INPUTS(SHAPED(NORMAL, 2, C, 3, 5), SHAPED(NORMAL, 2, 5, 3, 5), SHAPED(NORMAL, 2, C, 3, 5)));
        add("concat", ATTR(dr_concat_attr, -1), INPUTS(SHAPED(NORMAL, 3, C), SHAPED(NORMAL, 3, 4)));
    }
    add("concat", ATTR(dr_concat_attr, 0), INPUTS(SHAPED(NORMAL, 1, 5, 1, 1), SHAPED(NORMAL, 3, 5, 1, 1)));
    add("concat", ATTR(dr_concat_attr, 2), INPUTS(SHAPED(NORMAL, 2, 3, 4, 5), SHAPED(NORMAL, 2, 3, 1, 5)));
    add("concat", ATTR(dr_concat_attr, 0), INPUTS(SHAPED(NORMAL, 33)));
    add("concat", ATTR(dr_concat_attr, 1),
        INPUTS(SHAPED(NORMAL, 2, 16, 3, 5), SHAPED(NORMAL, 2, 8, 3, 5), SHAPED(NORMAL, 2, 32, 3, 5)));
    for (int64_t mode = DR_PAD_CONSTANT; mode <= DR_PAD_REPLICATE; mode++) {
        add("pad", ATTR(dr_pad_attr, mode, LIST(1, 2, 3, 0), 0.25), INPUTS(SHAPED(NORMAL, 2, 5, 4, 3)));
        add("pad", ATTR(dr_pad_attr, mode, LIST(2, 1), -1.0), INPUTS(SHAPED(NORMAL, 3, 17)));
        add("pad", ATTR(dr_pad_attr, mode, LIST(1, 2, 2, 0), -1.0), INPUTS(SHAPED(NORMAL, 2, 16, 3, 4)));
        add("pad_backward", ATTR(dr_pad_backward_attr, mode, LIST(1, 2, 3, 0), 0.25),
            INPUTS(SHAPED(NORMAL, 2, 5, 7, 6)));
    }
    add("pad", ATTR(dr_pad_attr, DR_PAD_CONSTANT, LIST(0, 0, 0, 0, 1, 1, 0, 2), 0.5),
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
            add(reduce[r].op, ATTR(dr_reduce_attr, EMPTY_LIST, keep), INPUTS(SHAPED(values, 2, 5, 3, 7)));
            add(reduce[r].op, ATTR(dr_reduce_attr, LIST(0, 2, 3), keep), INPUTS(SHAPED(values, 2, 17, 3, 5)));
            add(reduce[r].op, ATTR(dr_reduce_attr, LIST(-1), keep), INPUTS(SHAPED(values, 3, 65)));
            add(reduce[r].op, ATTR(dr_reduce_attr, LIST(1), keep), INPUTS(SHAPED(values, 3, 33, 5)));
            add(reduce[r].op, ATTR(dr_reduce_attr, LIST(2, -1), keep), INPUTS(SHAPED(values, 1, 3, 1, 1)));
            add(reduce[r].op, ATTR(dr_reduce_attr, EMPTY_LIST, keep), INPUTS(SCALAR(values)));
        }
    }
    add("sum_to", ATTR(dr_sum_to_attr, LIST(1, 17, 1, 1)), INPUTS(SHAPED(NORMAL, 2, 17, 3, 5)));
    add("sum_to", ATTR(dr_sum_to_attr, LIST(2, 5, 1, 1)), INPUTS(SHAPED(NORMAL, 2, 5, 3, 7)));
    add("sum_to", ATTR(dr_sum_to_attr, LIST(65)), INPUTS(SHAPED(NORMAL, 3, 2, 65)));
    add("sum_to", ATTR(dr_sum_to_attr, EMPTY_LIST), INPUTS(SHAPED(NORMAL, 33)));
    add("sum_to", ATTR(dr_sum_to_attr, LIST(3, 5)), INPUTS(SHAPED(NORMAL, 3, 5)));
    add("argmax", ATTR(dr_argmax_attr, -1), INPUTS(SHAPED(DISTINCT, 3, 65)));
    add("argmax", ATTR(dr_argmax_attr, 1), INPUTS(SHAPED(DISTINCT, 2, 5, 3, 7)));
    add("argmax", ATTR(dr_argmax_attr, 0), INPUTS(SHAPED(DISTINCT, 33)));
    const double q[] = { 0.0, 0.3, 0.5, 0.995, 1.0 };
    for (int i = 0; i < 5; i++) {
        add("quantile", ATTR(dr_quantile_attr, q[i]), INPUTS(SHAPED(NORMAL, 2, 3, 5, 7)));
        add("quantile", ATTR(dr_quantile_attr, q[i]), INPUTS(SHAPED(NORMAL, 3, 1)));
    }
}

/* ---- convolution, products --------------------------------------------------------------------------------------- */

static void convolution(int64_t B, int64_t Ci, int64_t Co, int64_t H, int64_t W, int64_t k, int64_t stride,
                        int64_t padding, bool bias)
{
    add("conv2d", ATTR(dr_conv2d_attr, stride, padding),
        INPUTS(SHAPED(NORMAL, B, Ci, H, W), SHAPED(NORMAL, Co, Ci, k, k), bias ? SHAPED(NORMAL, Co) : NONE));
}

static void transposed(int64_t B, int64_t Ci, int64_t Co, int64_t H, int64_t W, int64_t k, int64_t stride,
                       int64_t padding, bool bias)
{
    add("conv_transpose2d", ATTR(dr_conv_transpose2d_attr, stride, padding),
        INPUTS(SHAPED(NORMAL, B, Ci, H, W), SHAPED(NORMAL, Ci, Co, k, k), bias ? SHAPED(NORMAL, Co) : NONE));
}

/* With what follows: each activation on both kinds, with and without a bias; `add` of all rows and of a part of them. */
static void convolutions_act(void)
{
    for (int64_t act = DR_ACT_NONE; act <= DR_ACT_SILU; act++) {
        for (int i = 0; i <= CHANNEL_COUNT; i++) {
            const int64_t C = i < CHANNEL_COUNT ? CHANNELS[i] : 130, D = CHANNELS[(i + 3 + act) % CHANNEL_COUNT];
            const bool bias = (i + act) % 3 != 0;
            const case_input add_y = SHAPED(NORMAL, i % 2 ? 2 : 4, D, 5, 7), add_t = SHAPED(NORMAL, 1, C, 6, 8);
            op_case *conv = add("conv2d_act", ATTR(dr_conv2d_act_attr, 1, 1, act),
                                INPUTS(SHAPED(NORMAL, 4, C, 5, 7), SHAPED(NORMAL, D, C, 3, 3),
                                       bias ? SHAPED(NORMAL, D) : NONE, (i + act) % 2 ? NONE : add_y));
            op_case *turned = add("conv_transpose2d_act", ATTR(dr_conv_transpose2d_act_attr, 2, 1, act),
                                  INPUTS(SHAPED(NORMAL, 3, D, 3, 4), SHAPED(NORMAL, D, C, 4, 4),
                                         bias ? SHAPED(NORMAL, C) : NONE, (i + act) % 2 ? add_t : NONE));
            conv->stepwise = turned->stepwise = act == DR_ACT_RELU; /* its gradient is */
        }
        add("conv2d_act", ATTR(dr_conv2d_act_attr, 2, 1, act),
            INPUTS(SHAPED(NORMAL, 1, 17, 6, 5), SHAPED(NORMAL, 130, 17, 3, 3), SHAPED(NORMAL, 130)));
        add("conv2d_act", ATTR(dr_conv2d_act_attr, 1, 0, act),
            INPUTS(SHAPED(NORMAL, 3, 33, 1, 1), SHAPED(NORMAL, 5, 33, 1, 1), SHAPED(NORMAL, 5)));
        add("conv2d_act", ATTR(dr_conv2d_act_attr, 1, 0, act), /* the kernel is the whole image */
            INPUTS(SHAPED(NORMAL, 2, 5, 4, 4), SHAPED(NORMAL, 17, 5, 4, 4), SHAPED(NORMAL, 17),
                   SHAPED(NORMAL, 1, 17, 1, 1)));
        add("conv_transpose2d_act", ATTR(dr_conv_transpose2d_act_attr, 7, 0, act),
            INPUTS(SHAPED(NORMAL, 4, 17, 1, 1), SHAPED(NORMAL, 17, 5, 7, 7), SHAPED(NORMAL, 5),
                   SHAPED(NORMAL, 2, 5, 7, 7)));
        add("conv2d_act", ATTR(dr_conv2d_act_attr, 1, 1, act), /* to one channel */
            INPUTS(SHAPED(NORMAL, 2, 33, 5, 4), SHAPED(NORMAL, 1, 33, 3, 3), NONE, SHAPED(NORMAL, 2, 1, 5, 4)));
    }
}

static void folds(void)
{
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        const int64_t C = CHANNELS[i], D = CHANNELS[(i + 2) % CHANNEL_COUNT], k = 1 + i % 4;
        for (int transposed_ = 0; transposed_ < 2; transposed_++) {
            add("fold_batch_norm", ATTR(dr_fold_batch_norm_attr, 1e-3, transposed_ != 0),
                INPUTS(transposed_ ? SHAPED(NORMAL, D, C, k, k) : SHAPED(NORMAL, C, D, k, k), SHAPED(NORMAL, C),
                       SHAPED(NORMAL, C), SHAPED(NORMAL, C), SHAPED(POSITIVE, C), i % 2 ? NONE : SHAPED(NORMAL, C)));
        }
    }
}

static void convolutions(void)
{
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        const int64_t C = CHANNELS[i], D = CHANNELS[(i + 2) % CHANNEL_COUNT];
        convolution(2, C, D, 5, 7, 3, 1, 1, true);
        convolution(1, C, D, 6, 5, 3, 2, 1, true);
        convolution(3, C, D, 1, 1, 3, 1, 1, false);
        convolution(2, C, D, 3, 5, 1, 1, 0, true);
        transposed(2, C, D, 3, 5, 4, 2, 1, true);
        transposed(3, C, D, 1, 1, 7, 7, 0, true);
        transposed(1, C, D, 3, 2, 2, 2, 0, false);
        add("conv2d_backward_data", ATTR(dr_conv2d_backward_data_attr, 2, 1, 6, 5),
            INPUTS(SHAPED(NORMAL, 2, C, 3, 3), SHAPED(NORMAL, C, D, 3, 3)));
        add("conv2d_backward_weight", ATTR(dr_conv2d_backward_weight_attr, 2, 1, 3, i % 2),
            INPUTS(SHAPED(NORMAL, 2, C, 6, 5), SHAPED(NORMAL, 2, D, 3, 3)));
    }
    convolution(1, 3, 5, 9, 5, 7, 1, 3, true);
    convolution(2, 3, 5, 9, 8, 7, 1, 0, true);
    convolution(2, 3, 4, 11, 7, 2, 3, 0, false); /* rows that no window sees */
    convolution(1, 1, 1, 1, 1, 1, 1, 0, true);
    convolution(1, 2, 3, 4, 4, 4, 4, 2, true);
    add("conv2d", ATTR(dr_conv2d_attr, 1, 1),
        INPUTS(SHAPED(NORMAL, 2, 3, 4, 5), SHAPED(NORMAL, 5, 3, 3, 3))); /* bias left off */
    transposed(2, 5, 3, 2, 3, 7, 1, 0, true);
    transposed(2, 5, 3, 3, 4, 3, 1, 1, true);
    transposed(1, 3, 2, 3, 2, 3, 4, 0, true); /* gaps between windows */
    add("conv2d_backward_data", ATTR(dr_conv2d_backward_data_attr, 3, 0, 11, 7),
        INPUTS(SHAPED(NORMAL, 2, 4, 4, 2), SHAPED(NORMAL, 4, 3, 2, 2)));
}

static void products(void)
{
    for (int t = 0; t < 4; t++) {
        const _Bool ta = t & 1, tb = t >> 1;
        const struct {
            int64_t M, K, N;
        } size[] = { { 5, 3, 17 }, { 1, 1, 1 }, { 33, 65, 5 }, { 1, 17, 3 } };
        for (int i = 0; i < 4; i++) {
            const int64_t M = size[i].M, K = size[i].K, N = size[i].N;
            add("matmul", ATTR(dr_matmul_attr, ta, tb, 0),
                INPUTS(ta ? SHAPED(NORMAL, K, M) : SHAPED(NORMAL, M, K),
                       tb ? SHAPED(NORMAL, N, K) : SHAPED(NORMAL, K, N)));
        }
        add("matmul", ATTR(dr_matmul_attr, ta, tb, 0),
            INPUTS(ta ? SHAPED(NORMAL, 2, 1, 3, 5) : SHAPED(NORMAL, 2, 1, 5, 3),
                   tb ? SHAPED(NORMAL, 1, 4, 7, 3) : SHAPED(NORMAL, 1, 4, 3, 7)));
        add("matmul", ATTR(dr_matmul_attr, ta, tb, 0),
            INPUTS(ta ? SHAPED(NORMAL, 3, 5) : SHAPED(NORMAL, 5, 3),
                   tb ? SHAPED(NORMAL, 3, 7, 3) : SHAPED(NORMAL, 3, 3, 7)));
        add("matmul", ATTR(dr_matmul_attr, ta, tb, 0),
            INPUTS(ta ? SHAPED(NORMAL, 3, 4, 5) : SHAPED(NORMAL, 3, 5, 4),
                   tb ? SHAPED(NORMAL, 3, 6, 4) : SHAPED(NORMAL, 3, 4, 6)));
    }
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        const int64_t C = CHANNELS[i], D = CHANNELS[(i + 2) % CHANNEL_COUNT];
        add("linear", NO_ATTR, INPUTS(SHAPED(NORMAL, 3, C), SHAPED(NORMAL, D, C), SHAPED(NORMAL, D)));
        add("linear", NO_ATTR, INPUTS(SHAPED(NORMAL, 2, 3, C), SHAPED(NORMAL, D, C), NONE));
    }
    add("linear", NO_ATTR, INPUTS(SHAPED(NORMAL, 5), SHAPED(NORMAL, 3, 5), SHAPED(NORMAL, 3)));
    add("linear", NO_ATTR, INPUTS(SHAPED(NORMAL, 2, 3, 4, 5), SHAPED(NORMAL, 7, 5), SHAPED(NORMAL, 7)));
}

/* ---- normalisation ----------------------------------------------------------------------------------------------- */

static void batch_norm(int64_t C, case_input x, int64_t act)
{
    add("batch_norm_act", ATTR(dr_batch_norm_act_attr, 1e-5, act),
        INPUTS(x, STATISTIC(NORMAL, C), STATISTIC(NORMAL, C)));
    add("batch_norm_eval", ATTR(dr_batch_norm_eval_attr, 1e-5, act),
        INPUTS(x, STATISTIC(NORMAL, C), STATISTIC(NORMAL, C), STATISTIC(NORMAL, C), STATISTIC(POSITIVE, C)));
    add("batch_norm_act_backward", ATTR(dr_batch_norm_act_backward_attr, 1e-5, act),
        INPUTS(x, STATISTIC(NORMAL, C), STATISTIC(NORMAL, C), STATISTIC(NORMAL, C), STATISTIC(POSITIVE, C), x));
}

static void group_norm(int64_t C, int64_t groups, case_input x, int64_t act)
{
    add("group_norm_act", ATTR(dr_group_norm_act_attr, groups, 1e-5, act),
        INPUTS(x, STATISTIC(NORMAL, C), STATISTIC(NORMAL, C)));
    add("group_norm_act_backward", ATTR(dr_group_norm_act_backward_attr, groups, 1e-5, act),
        INPUTS(x, STATISTIC(NORMAL, C), STATISTIC(NORMAL, C), STATISTIC(NORMAL, x.shape[0], groups),
               STATISTIC(POSITIVE, x.shape[0], groups), x));
}

static void group_norm_per_sample(int64_t C, int64_t groups, case_input x, int64_t act)
{
    const int64_t B = x.shape[0];
    add("group_norm_act", ATTR(dr_group_norm_act_attr, groups, 1e-5, act),
        INPUTS(x, STATISTIC(NORMAL, B, C), STATISTIC(NORMAL, B, C)));
}

/* Scale and shift of h's dtype, and of the statistics'. */
static void film(case_input h, case_input vector)
{
    const case_input other = { .values = NORMAL,
                               .statistic = true,
                               .rank = vector.rank,
                               .shape = { vector.shape[0], vector.shape[1], vector.shape[2], vector.shape[3] } };
    add("film", NO_ATTR, INPUTS(h, vector, vector));
    add("film", NO_ATTR, INPUTS(h, other, other));
    add("film", NO_ATTR, INPUTS(h, other, NONE));
    add("film", NO_ATTR, INPUTS(h, NONE, vector));
    add("film", NO_ATTR, INPUTS(h, NONE, other));
    add("film_backward", NO_ATTR, INPUTS(h, vector, h));
    add("film_backward", NO_ATTR, INPUTS(h, other, h));
}

static void normalisation(void)
{
    const int64_t some_groups[] = { 1, 3, 1, 17, 11, 5 };
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        const int64_t C = CHANNELS[i], act = i % 5;
        batch_norm(C, SHAPED(NORMAL, 2, C, 5, 3), act);
        batch_norm(C, SHAPED(NORMAL, 1, C, 2, 7), (act + 1) % 5);
        batch_norm(C, SHAPED(NORMAL, 5, C, 1, 1), (act + 2) % 5);
        batch_norm(C, SHAPED(NORMAL, 4, C, 3), (act + 3) % 5);
        batch_norm(C, SHAPED(NORMAL, 7, C), (act + 4) % 5);
        group_norm(C, some_groups[i], SHAPED(NORMAL, 2, C, 5, 3), act);
        group_norm(C, C, SHAPED(NORMAL, 1, C, 2, 3), (act + 1) % 5);
        group_norm(C, 1, SHAPED(NORMAL, 2, C, 7), (act + 2) % 5);
        add("batch_norm_update", ATTR(dr_batch_norm_update_attr, 0.1, 2 + i),
            INPUTS(STATISTIC(NORMAL, C), STATISTIC(POSITIVE, C), STATISTIC(NORMAL, C), STATISTIC(POSITIVE, C),
                   i % 2 ? SCALAR(BATCHES) : NONE));
        if (C == 1) continue; /* one value has no spread */
        group_norm(C, 1, SHAPED(NORMAL, 3, C), (act + 3) % 5);
        group_norm(C, 1, SHAPED(NORMAL, 1, C, 1, 1), (act + 4) % 5);
        add("layer_norm", ATTR(dr_layer_norm_attr, 1e-5),
            INPUTS(SHAPED(NORMAL, 3, C), STATISTIC(NORMAL, C), STATISTIC(NORMAL, C)));
        add("layer_norm", ATTR(dr_layer_norm_attr, 1e-6), INPUTS(SHAPED(NORMAL, 2, 3, C), NONE, NONE));
        add("layer_norm", ATTR(dr_layer_norm_attr, 1e-5), INPUTS(SHAPED(NORMAL, C), STATISTIC(NORMAL, C), NONE));
        add("layer_norm", ATTR(dr_layer_norm_attr, 1e-5),
            INPUTS(SHAPED(NORMAL, 2, 1, 3, C), STATISTIC(NORMAL, C), STATISTIC(NORMAL, C)));
        add("rms_norm", ATTR(dr_rms_norm_attr, 1e-6), INPUTS(SHAPED(NORMAL, 2, 3, C), STATISTIC(NORMAL, C)));
    }
    film(SHAPED(NORMAL, 3, 17, 4, 5), SHAPED(NORMAL, 3, 17, 1, 1));
    film(SHAPED(NORMAL, 2, 65, 1, 1), SHAPED(NORMAL, 2, 65, 1, 1));
    film(SHAPED(NORMAL, 2, 33, 5), SHAPED(NORMAL, 2, 1, 5));
    film(SHAPED(NORMAL, 3, 17), SHAPED(NORMAL, 3, 17));
    add("layer_norm", ATTR(dr_layer_norm_attr, 1e-5), INPUTS(SHAPED(NORMAL, 3, 17))); /* gamma and beta left off */
    for (int64_t act = DR_ACT_NONE; act <= DR_ACT_SILU; act++) {
        batch_norm(5, SHAPED(NORMAL, 3, 5, 3, 4), act);
        group_norm(6, 3, SHAPED(NORMAL, 2, 6, 3, 4), act);
        group_norm_per_sample(6, 3, SHAPED(NORMAL, 3, 6, 3, 4), act);
    }
    group_norm(6, 2, SHAPED(NORMAL, 2, 6, 2, 3, 2), DR_ACT_SILU);
    group_norm_per_sample(17, 1, SHAPED(NORMAL, 2, 17, 5), DR_ACT_NONE);
    group_norm_per_sample(6, 2, SHAPED(NORMAL, 3, 6), DR_ACT_GELU);
}

/* ---- softmax, attention, images ---------------------------------------------------------------------------------- */

static void attention(int64_t B, int64_t H, int64_t L, int64_t S, int64_t D, case_input mask, double scale)
{
    add("attention", ATTR(dr_attention_attr, scale),
        INPUTS(SHAPED(NORMAL, B, H, L, D), SHAPED(NORMAL, B, H, S, D), SHAPED(NORMAL, B, H, S, D), mask));
}

static void scores(void)
{
    const int64_t dims[] = { -1, 0, 1, 2 };
    for (int i = 0; i < 4; i++) {
        add("softmax", ATTR(dr_softmax_attr, dims[i]), INPUTS(SHAPED(NORMAL, 2, 5, 3, 7)));
        add("softmax_backward", ATTR(dr_softmax_backward_attr, dims[i]),
            INPUTS(SHAPED(POSITIVE, 2, 5, 3, 7), SHAPED(NORMAL, 2, 5, 3, 7)));
    }
    add("softmax", ATTR(dr_softmax_attr, -1), INPUTS(SHAPED(NORMAL, 3, 65)));
    add("softmax", ATTR(dr_softmax_attr, 0), INPUTS(SHAPED(NORMAL, 1)));
    attention(2, 3, 5, 4, 7, NONE, 0.0);
    attention(2, 3, 5, 4, 7, SHAPED(NORMAL, 2, 1, 5, 4), 0.3);
    attention(1, 2, 1, 33, 17, SHAPED(NORMAL, 33), 0.0);
    attention(1, 1, 17, 1, 1, SHAPED(NORMAL, 1, 1, 17, 1), 0.0);
    add("cross_entropy", NO_ATTR, INPUTS(SHAPED(NORMAL, 5, 10), ID(10, 5)));
    add("cross_entropy", NO_ATTR, INPUTS(SHAPED(NORMAL, 1, 65), ID(65, 1)));
    add("cross_entropy", NO_ATTR, INPUTS(SHAPED(NORMAL, 3, 1), ID(1, 3)));
    add("cross_entropy_backward", NO_ATTR, INPUTS(STATISTIC(NORMAL, 5, 10), ID(10, 5), SCALAR_STATISTIC(NORMAL)));
    for (int64_t r = DR_REDUCE_MEAN; r <= DR_REDUCE_SUM; r++) {
        add("mse", ATTR(dr_mse_attr, r), INPUTS(SHAPED(NORMAL, 2, 3, 5, 7), SHAPED(NORMAL, 2, 3, 5, 7), NONE));
        add("mse", ATTR(dr_mse_attr, r), INPUTS(SHAPED(NORMAL, 3, 65), SHAPED(NORMAL, 3, 65), STATISTIC(POSITIVE, 3)));
        add("mse", ATTR(dr_mse_attr, r),
            INPUTS(SHAPED(NORMAL, 4, 1, 3, 5), SHAPED(NORMAL, 4, 1, 3, 5), STATISTIC(POSITIVE, 4)));
        add("mse_backward", ATTR(dr_mse_backward_attr, r),
            INPUTS(SHAPED(NORMAL, 2, 3, 5, 7), SHAPED(NORMAL, 2, 3, 5, 7), SCALAR_STATISTIC(NORMAL),
                   STATISTIC(POSITIVE, 2)));
        add("mse_backward", ATTR(dr_mse_backward_attr, r),
            INPUTS(SHAPED(NORMAL, 33), SHAPED(NORMAL, 33), SCALAR_STATISTIC(NORMAL), NONE));
    }
}

static void images(void)
{
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        const int64_t C = CHANNELS[i];
        add("avg_pool2d", ATTR(dr_avg_pool2d_attr, 7, 0), INPUTS(SHAPED(NORMAL, 2, C, 7, 7)));
        add("avg_pool2d", ATTR(dr_avg_pool2d_attr, 2, 0), INPUTS(SHAPED(NORMAL, 1, C, 5, 6)));
        add("max_pool2d", ATTR(dr_max_pool2d_attr, 2, 0), INPUTS(SHAPED(DISTINCT, 2, C, 5, 4)));
        add("resize", ATTR(dr_resize_attr, i % 3, 7, 4, 0), INPUTS(SHAPED(NORMAL, 2, C, 3, 5)));
    }
    add("avg_pool2d", ATTR(dr_avg_pool2d_attr, 3, 1), INPUTS(SHAPED(NORMAL, 2, 3, 5, 4)));
    add("avg_pool2d", ATTR(dr_avg_pool2d_attr, 1, 0), INPUTS(SHAPED(NORMAL, 1, 3, 1, 1)));
    add("avg_pool2d", ATTR(dr_avg_pool2d_attr, 2, 3), INPUTS(SHAPED(NORMAL, 1, 3, 8, 7)));
    add("avg_pool2d_backward", ATTR(dr_avg_pool2d_backward_attr, 2, 3, 8, 7), INPUTS(SHAPED(NORMAL, 2, 3, 3, 2)));
    add("max_pool2d", ATTR(dr_max_pool2d_attr, 3, 1), INPUTS(SHAPED(DISTINCT, 2, 3, 5, 4)));
    add("max_pool2d_backward", ATTR(dr_max_pool2d_backward_attr, 3, 1, 5, 4),
        INPUTS(SHAPED(DISTINCT, 2, 3, 5, 4), SHAPED(NORMAL, 2, 3, 3, 2)));
    const struct {
        int64_t h, w, to_h, to_w;
    } size[] = { { 3, 5, 6, 10 }, { 7, 5, 3, 8 }, { 1, 1, 4, 3 }, { 4, 6, 1, 1 }, { 5, 4, 5, 4 }, { 8, 9, 3, 4 } };
    for (int64_t mode = DR_RESIZE_NEAREST; mode <= DR_RESIZE_BICUBIC; mode++) {
        for (int align = 0; align <= (mode != DR_RESIZE_NEAREST); align++) {
            for (int i = 0; i < 6; i++) {
                add("resize", ATTR(dr_resize_attr, mode, size[i].to_h, size[i].to_w, align),
                    INPUTS(SHAPED(NORMAL, 2, 3, size[i].h, size[i].w)));
            }
            add("resize_backward", ATTR(dr_resize_backward_attr, mode, 7, 5, align),
                INPUTS(SHAPED(NORMAL, 1, 5, 3, 8)));
        }
    }
    add("gaussian_blur", ATTR(dr_gaussian_blur_attr, 5, 1.2), INPUTS(SHAPED(NORMAL, 2, 3, 7, 5)));
    add("gaussian_blur", ATTR(dr_gaussian_blur_attr, 1, 2.0), INPUTS(SHAPED(NORMAL, 1, 1, 1, 1)));
    add("gaussian_blur", ATTR(dr_gaussian_blur_attr, 33, 2.0), INPUTS(SHAPED(NORMAL, 1, 5, 17, 20)));
}

/* ---- indices, random, optimizers --------------------------------------------------------------------------------- */

static void indices_and_random(void)
{
    add("embedding", NO_ATTR, INPUTS(SHAPED(NORMAL, 7, 5), ID(7, 33)));
    add("embedding", NO_ATTR, INPUTS(SHAPED(NORMAL, 1, 65), ID(1, 2, 3)));
    add("embedding_backward", ATTR(dr_embedding_backward_attr, 9), INPUTS(SHAPED(NORMAL, 2, 17, 5), ID(9, 2, 17)));
    add("one_hot", ATTR(dr_one_hot_attr, 10), INPUTS(ID(10, 33)));
    add("one_hot", ATTR(dr_one_hot_attr, 3), INPUTS(ID(3, 2, 17)));
    for (int64_t dim = 2; dim <= 65; dim += 21) {
        add("timestep_embedding", ATTR(dr_timestep_embedding_attr, dim, 10000.0, dim % 2 ? 0.0 : 0.5, dim % 4 == 2),
            INPUTS(SHAPED(POSITIVE, 5)));
    }
    const double p[] = { 0.0, 0.3, 1.0 };
    for (int i = 0; i < 3; i++) {
        add("dropout", ATTR(dr_dropout_attr, p[i], 5, 6, 7, 8), INPUTS(SHAPED(NORMAL, 3, 5, 3, 7)));
        add("dropout", ATTR(dr_dropout_attr, p[i], 5, 6, 7, 8), INPUTS(SHAPED(NORMAL, 3, 65)));
    }
    const struct {
        int64_t shape[4];
    } size[] = { { { 2, 3, 5, 7 } }, { { 1, 65, 1, 1 } }, { { 3, 1, 28, 28 } } };
    for (int i = 0; i < 3; i++) {
        const dr_ints shape = dr_ints_of(4, size[i].shape);
        add("rand_uniform", ATTR(dr_rand_uniform_attr, DR_F32, shape, 11, 22, 33, 44), NULL, 0);
        add("rand_normal", ATTR(dr_rand_normal_attr, DR_F32, shape, 11, 22, 33, 44), NULL, 0);
    }
}

static void optimizers(void)
{
    const case_input two[] = { SHAPED(NORMAL, 33, 5), SHAPED(NORMAL, 17) };
    for (int t = 0; t < 2; t++) {
        add("adam_step", ATTR(dr_adam_step_attr, 0.9, 0.999, 1e-8, t ? 0.1 : 0.0, t, 0),
            INPUTS(SHAPED(LR_AND_STEP, 2), two[0], two[0], two[0], filled(two[0], POSITIVE), two[1], two[1], two[1],
                   filled(two[1], POSITIVE)));
        add("adam_step", ATTR(dr_adam_step_attr, 0.9, 0.999, 1e-8, t ? 0.1 : 0.0, t, 2),
            INPUTS(SHAPED(LR_AND_STEP, 4), two[0], two[0], two[0], filled(two[0], POSITIVE), two[0], two[0], two[1],
                   two[1], two[1], filled(two[1], POSITIVE), two[1], two[1]));
        add("sgd_step", ATTR(dr_sgd_step_attr, 0.9, t ? 0.1 : 0.0, t),
            INPUTS(SHAPED(LR_AND_STEP, 2), two[0], two[0], two[0], two[1], two[1], two[1]));
    }
    add("adam_step", ATTR(dr_adam_step_attr, 0.8, 0.99, 1e-4, 0.05, 0, 0),
        INPUTS(SHAPED(LR_AND_STEP, 2), SHAPED(NORMAL, 5, 3, 3, 3), SHAPED(NORMAL, 5, 3, 3, 3),
               SHAPED(NORMAL, 5, 3, 3, 3), SHAPED(POSITIVE, 5, 3, 3, 3)));
    add("sgd_step", ATTR(dr_sgd_step_attr, 0.0, 0.0, 0), INPUTS(SHAPED(LR_AND_STEP, 2), two[0], two[0], two[0]));
    add("ema_step", NO_ATTR, INPUTS(SCALAR(DECAY), two[0], two[0], two[1], two[1]));
    add("square_norm", NO_ATTR, INPUTS(two[0], two[1], SCALAR(NORMAL)));
    add("clip_step", ATTR(dr_clip_step_attr, 1.5), INPUTS(SCALAR(SQUARE_NORM), two[0], two[1]));
    add("clip_step", ATTR(dr_clip_step_attr, 5.0), INPUTS(SCALAR(SQUARE_NORM), two[0], two[1]));
}

int op_case_count(void)
{
    if (case_count > 0) return case_count;
    elementwise();
    memory_and_views();
    reductions();
    convolutions();
    convolutions_act();
    folds();
    products();
    normalisation();
    scores();
    images();
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
