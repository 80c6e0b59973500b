/* bf16_matches_ref.c: every op that a device has a kernel for in bf16, on all its cases, against ref in f64 on the same
 * numbers. A kernel computes in f32 from its bf16 inputs and rounds once: an output in bf16 may be off by half a unit
 * in its last place (2^-8 of itself) beside what f32 is allowed (both_devices.h) and 1e-4 of the largest for the
 * shorter polynomials of activations; an output in f32 by those alone. Gradients pass several kernels where an op's
 * backward is put together from others: six roundings of the largest. */
#include "matches_ref.h"
#include "../host.h"

#include <math.h>
#include <stdio.h>

static int compare(const op_case *c, const char *how, const char *what, int i, const double *got, const double *want,
                   int64_t n, double relative, double absolute)
{
    if (!got && !want) return 0;
    if (!got || !want) {
        print_error("%s, %s: %s %d is there on one device only\n", c->label, how, what, i + 1);
        return 1;
    }
    for (int64_t k = 0; k < n; k++) {
        const double allowed = relative * fabs(want[k]) + absolute;
        if (fabs(got[k] - want[k]) <= allowed) continue;
        print_error("%s, %s: %s %d: element %lld is %.9g, should be %.9g (allowed %.3g)\n", c->label, how, what, i + 1,
                    (long long)k, got[k], want[k], allowed);
        return 1;
    }
    return 0;
}

int bf16_case_differs(dr_device *device, const op_case *c, dr_layout layout, uint32_t holes, bool joined, uint32_t need)
{
    const double rounding = 1.0 / 256.0;
    const bool through_parts = need != 0 && !op_of(c)->backward; /* recorded as its composed form, which rounds between */
    char how[64];
    snprintf(how, sizeof how, "bf16 %s%s", layout == DR_LAYOUT_CL ? "channels-last" : "row-major",
             joined ? ", parts of joined images" : holes ? ", views with holes" : "");
    case_run exact = {
        .device = ref, .dtype = DR_F64, .round = true, .rounded_to = DR_BF16, .need = need, .nudged = -1
    };
    case_run narrow = { .device = device, .dtype = DR_BF16, .layout = layout, .need = need, .holes = holes,
                        .joined = joined, .nudged = -1 };
    case_result got = { 0 }, want;
    int failed = 0;
    if (!run_case(c, &exact, &want) || !run_case(c, &narrow, &got)) {
        print_error("%s, %s: %s\n", c->label, how, dr_error_message());
        dr_error_clear();
        failed++;
    }
    for (int j = 0; j < want.n_out && failed == 0; j++) {
        const int64_t n = view_count(&want.view[j]);
        const double once = got.view[j].dtype == DR_BF16 ? 1.02 * rounding : 0.0;
        const double between = through_parts ? 2.0 * rounding * fmax(1.0, largest(want.out[j], n)) : 0.0;
        failed += compare(c, how, "output", j, got.out[j], want.out[j], n, once,
                          f32_allowance(c, want.out[j], n) + 1e-4 * largest(want.out[j], n) + between);
    }
    for (int i = 0; i < c->n_in && failed == 0; i++) {
        const int64_t n = input_count(&c->in[i]);
        failed += compare(c, how, "gradient", i, got.grad[i], want.grad[i], n, 0.0,
                          want.grad[i] ? 6.0 * rounding * fmax(1.0, largest(want.grad[i], n)) : 0.0);
    }
    free_result(&got);
    free_result(&want);
    return failed;
}

/* Its first floating input is of the case's dtype, and not always f32 or f64. */
static bool in_bf16(dr_device *device, const op_case *c)
{
    const dr_op *op = op_of(c);
    if (!op || (op->flags & DR_OP_MUTATES) || c->stepwise || !dr_device_kernel(device, c->op, DR_BF16)) return false;
    for (int i = 0; i < c->n_in; i++) {
        if (wants_gradient(&c->in[i])) return !c->in[i].statistic;
    }
    return false;
}

static void cases_match_in_bf16(dr_device *device, dr_layout layout, uint32_t holes, bool joined, uint32_t need)
{
    int failed = 0, checked = 0;
    for (int k = 0; k < op_case_count(); k++) {
        const op_case *c = op_case_at(k);
        if (!case_is_picked(c) || !in_bf16(device, c)) continue;
        failed += bf16_case_differs(device, c, layout, holes, joined, need);
        checked++;
    }
    assert_true(checked > 300 || getenv("DRIFT_CASES"));
    assert_int_equal(failed, 0);
}

#define IN(kind, ...) \
    { \
        .values = kind, .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), .shape = { __VA_ARGS__ } \
    }
#define STATISTIC(kind, ...) \
    { \
        .values = kind, .statistic = true, .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), .shape = { \
            __VA_ARGS__ \
        } \
    }
#define ATTR(type, ...) \
    .attr = &(type) { __VA_ARGS__ }

/* What several threads share, in blocks and tiles: 5 x 33 x 35 pixels of 9 channels and of 65. */
static void large_tensors_match_in_bf16(dr_device *device)
{
    int failed = 0;
    for (int64_t C = 9; C <= 65; C += 56) {
        const op_case cases[] = {
            { .op = "batch_norm_act",
              ATTR(dr_batch_norm_act_attr, 1e-3, DR_ACT_GELU),
              .n_in = 3,
              .in = { IN(NORMAL, 5, C, 33, 35), STATISTIC(NORMAL, C), STATISTIC(NORMAL, C) } },
            { .op = "batch_norm_act_backward",
              ATTR(dr_batch_norm_act_attr, 1e-3, DR_ACT_GELU),
              .n_in = 6,
              .in = { IN(NORMAL, 5, C, 33, 35), STATISTIC(NORMAL, C), STATISTIC(NORMAL, C), STATISTIC(NORMAL, C),
                      STATISTIC(POSITIVE, C), IN(NORMAL, 5, C, 33, 35) } },
            { .op = "group_norm_act",
              ATTR(dr_group_norm_act_attr, 1, 1e-5, DR_ACT_SILU),
              .n_in = 3,
              .in = { IN(NORMAL, 5, C, 33, 35), STATISTIC(NORMAL, 5, C), STATISTIC(NORMAL, 5, C) } },
            { .op = "group_norm_act_backward",
              ATTR(dr_group_norm_act_attr, 1, 1e-5, DR_ACT_SILU),
              .n_in = 6,
              .in = { IN(NORMAL, 5, C, 33, 35), STATISTIC(NORMAL, C), STATISTIC(NORMAL, C), STATISTIC(NORMAL, 5, 1),
                      STATISTIC(POSITIVE, 5, 1), IN(NORMAL, 5, C, 33, 35) } },
            { .op = "film",
              ATTR(dr_none_attr, 0),
              .n_in = 3,
              .in = { IN(NORMAL, 5, C, 33, 35), IN(NORMAL, 5, C, 1, 1), IN(NORMAL, 5, C, 1, 1) } },
            { .op = "film_backward",
              ATTR(dr_none_attr, 0),
              .n_in = 3,
              .in = { IN(NORMAL, 5, C, 33, 35), STATISTIC(NORMAL, 5, C, 1, 1), IN(NORMAL, 5, C, 33, 35) } },
            { .op = "gelu", ATTR(dr_gelu_attr, 0), .n_in = 1, .in = { IN(NORMAL, 5, C, 33, 35) } },
            { .op = "add",
              ATTR(dr_none_attr, 0),
              .n_in = 2,
              .in = { IN(NORMAL, 5, C, 33, 35), IN(NORMAL, 5, C, 1, 1) } },
            { .op = "max_pool2d", ATTR(dr_max_pool2d_attr, 2, 0), .n_in = 1, .in = { IN(NORMAL, 5, C, 33, 35) } },
            { .op = "max_pool2d", ATTR(dr_max_pool2d_attr, 3, 2), .n_in = 1, .in = { IN(NORMAL, 5, C, 33, 35) } },
            { .op = "avg_pool2d", ATTR(dr_avg_pool2d_attr, 2, 0), .n_in = 1, .in = { IN(NORMAL, 5, C, 33, 35) } },
            { .op = "resize",
              ATTR(dr_resize_attr, DR_RESIZE_BILINEAR, 40, 90, 0),
              .n_in = 1,
              .in = { IN(NORMAL, 5, C, 33, 35) } },
            { .op = "pad",
              ATTR(dr_pad_attr, DR_PAD_REFLECT, { 4, { 1, 2, 3, 4 } }, 0.0),
              .n_in = 1,
              .in = { IN(NORMAL, 5, C, 33, 35) } },
            { .op = "sum_to",
              ATTR(dr_sum_to_attr, { 4, { 1, C, 1, 1 } }),
              .n_in = 1,
              .in = { IN(NORMAL, 5, C, 33, 35) } },
            { .op = "layer_norm",
              ATTR(dr_layer_norm_attr, 1e-5),
              .n_in = 3,
              .in = { IN(NORMAL, 5000, C), STATISTIC(NORMAL, C), STATISTIC(NORMAL, C) } },
            { .op = "softmax", ATTR(dr_softmax_attr, 1), .n_in = 1, .in = { IN(NORMAL, 5, 67, 3 * C) } },
            { .op = "mse",
              ATTR(dr_mse_attr, DR_REDUCE_MEAN),
              .n_in = 3,
              .in = { IN(NORMAL, 5, C, 33, 35), IN(NORMAL, 5, C, 33, 35), STATISTIC(POSITIVE, 5) } },
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            op_case c = cases[i];
            snprintf(c.label, sizeof c.label, "large %s of %lld channels", c.op, (long long)C);
            if (!case_is_picked(&c)) continue;
            failed += bf16_case_differs(device, &c, DR_LAYOUT_CL, 0, false, 0);
            failed += bf16_case_differs(device, &c, DR_LAYOUT_CL, 0, false, ~0u);
        }
    }
    assert_int_equal(failed, 0);
}

/* The same numbers as in f32, rounded: also where a row ends within a counter's four. */
static void random_numbers_in_bf16_are_rounded(dr_device *device)
{
    const dr_rng rng = { .seed = 3, .purpose = 4, .step = 5, .sample = 6 };
    const int64_t shapes[2][2] = { { 7, 64 }, { 7, 61 } };
    dr_device_use(device);
    for (int k = 0; k < 4; k++) {
        const int64_t *shape = shapes[k % 2];
        float got[7 * 64], want[7 * 64];
        dr_tensor *narrow = k < 2 ? dr_rand_normal(DR_BF16, 2, shape, &rng) : dr_rand_uniform(DR_BF16, 2, shape, &rng);
        dr_tensor *wide = k < 2 ? dr_rand_normal(DR_F32, 2, shape, &rng) : dr_rand_uniform(DR_F32, 2, shape, &rng);
        assert_int_equal(dr_tensor_read(narrow, DR_F32, got), DR_OK);
        assert_int_equal(dr_tensor_read(dr_cast(wide, DR_BF16), DR_F32, want), DR_OK);
        for (int64_t i = 0; i < shape[0] * shape[1]; i++) assert_true(got[i] == want[i]);
    }
    dr_device_use(ref);
}

/* A composed form, or a conversion to f32 and back, would hide one that is missing. */
static void has_kernels_in_bf16(dr_device *device)
{
    static const char *const ops[] = {
        "add",
        "sub",
        "mul",
        "div",
        "maximum",
        "minimum",
        "greater",
        "axpy",
        "where",
        "affine",
        "clamp",
        "pow",
        "exp",
        "log",
        "sqrt",
        "rsqrt",
        "sin",
        "cos",
        "tanh",
        "sigmoid",
        "relu",
        "silu",
        "gelu",
        "abs",
        "square",
        "exp_backward",
        "log_backward",
        "sqrt_backward",
        "rsqrt_backward",
        "sin_backward",
        "cos_backward",
        "tanh_backward",
        "sigmoid_backward",
        "relu_backward",
        "silu_backward",
        "gelu_backward",
        "abs_backward",
        "square_backward",
        "batch_norm_act",
        "batch_norm_act_backward",
        "batch_norm_eval",
        "group_norm_act",
        "group_norm_act_backward",
        "film",
        "film_backward",
        "concat",
        "slice_backward",
        "sum",
        "mean",
        "amax",
        "sum_to",
        "avg_pool2d",
        "avg_pool2d_backward",
        "max_pool2d",
        "max_pool2d_backward",
        "resize",
        "resize_backward",
        "pad",
        "pad_backward",
        "layer_norm",
        "layer_norm_backward",
        "softmax",
        "softmax_backward",
        "embedding",
        "embedding_backward",
        "mse",
        "mse_backward",
        "cross_entropy",
        "rand_uniform",
        "rand_normal",
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (dr_device_kernel(device, ops[i], DR_BF16)) continue;
        print_error("%s: %s has no kernel for it in bf16\n", ops[i], dr_device_name(device));
        failed++;
    }
    assert_int_equal(failed, 0);
}

/* To the nearest, ties to even; what is too large becomes infinity, NaN stays NaN. Each is the sum of two numbers. */
static void single_numbers_round_to_bf16(dr_device *device)
{
    const float a[] = { 1.0f, 1.0f, 1.0078125f, 1.0f, -1.0f, 0x1.fep127f, INFINITY, -INFINITY, NAN, -0.0f };
    const float b[] = { 0.0f, 0x1p-8f, 0x1p-8f, 0x1.02p-8f, -0x1p-8f, 0x1p119f, 1.0f, 1.0f, 1.0f, -0.0f };
    const float want[] = { 1.0f, 1.0f, 1.015625f, 1.0078125f, -1.0f, INFINITY, INFINITY, -INFINITY, NAN, -0.0f };
    enum { N = sizeof a / sizeof *a };
    float got[N], small;
    dr_device_use(device);
    dr_tensor *sum = dr_add(dr_cast(dr_tensor_from(DR_F32, DR_SHAPE(N), a), DR_BF16),
                            dr_cast(dr_tensor_from(DR_F32, DR_SHAPE(N), b), DR_BF16));
    if (!sum || dr_tensor_read(sum, DR_F32, got) != DR_OK) fail_msg("%s", dr_error_message());
    for (int i = 0; i < N; i++) {
        const bool same = got[i] == want[i] && signbit(got[i]) == signbit(want[i]);
        if (!same && !(isnan(got[i]) && isnan(want[i]))) fail_msg("%a + %a is %a, not %a", a[i], b[i], got[i], want[i]);
    }
    dr_tensor *half = dr_scale(0.5, dr_cast(dr_tensor_from(DR_F32, DR_SHAPE(1), &(float){ 0x1.8p-132f }), DR_BF16));
    assert_int_equal(dr_tensor_read(half, DR_F32, &small), DR_OK);
    assert_true(small == 0x1p-132f); /* 1.5 of the smallest number there is */
    uint32_t bits = 0x7FFFFFFF; /* NaN, and rounding it up as a number would make -0 */
    float nan_of_ones, kept;
    memcpy(&nan_of_ones, &bits, sizeof bits);
    dr_tensor *zero = dr_tensor_full(DR_BF16, DR_SHAPE(1, 1), 0.0);
    dr_tensor *shifted = dr_film(zero, NULL, dr_tensor_from(DR_F32, DR_SHAPE(1, 1), &nan_of_ones));
    assert_int_equal(dr_tensor_read(shifted, DR_F32, &kept), DR_OK);
    assert_true(isnan(kept));
    dr_device_use(ref);
}

/* ---- as tests ---------------------------------------------------------------------------------------------------- */

static dr_device *const *tested; /* open when the tests run */

static void outputs(void **state)
{
    (void)state;
    cases_match_in_bf16(*tested, DR_LAYOUT_CL, 0, false, 0);
    cases_match_in_bf16(*tested, DR_LAYOUT_ROW, 0, false, 0);
}

static void gradients(void **state)
{
    (void)state;
    cases_match_in_bf16(*tested, DR_LAYOUT_CL, 0, false, ~0u);
}

static void of_views_with_holes(void **state)
{
    (void)state;
    cases_match_in_bf16(*tested, DR_LAYOUT_CL, ~0u, false, ~0u);
    cases_match_in_bf16(*tested, DR_LAYOUT_ROW, 0x55555555u, false, ~0u);
}

static void of_parts_of_joined_images(void **state)
{
    (void)state;
    cases_match_in_bf16(*tested, DR_LAYOUT_CL, ~0u, true, ~0u);
}

static void of_large_tensors(void **state)
{
    (void)state;
    large_tensors_match_in_bf16(*tested);
}

static void random_numbers(void **state)
{
    (void)state;
    random_numbers_in_bf16_are_rounded(*tested);
}

static void with_kernels_of_their_own(void **state)
{
    (void)state;
    has_kernels_in_bf16(*tested);
}

static void rounding_of_single_numbers(void **state)
{
    (void)state;
    single_numbers_round_to_bf16(*tested);
}

int run_bf16_tests(dr_device *const *device, int (*open)(void **state))
{
    tested = device;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs),
        cmocka_unit_test(gradients),
        cmocka_unit_test(of_views_with_holes),
        cmocka_unit_test(of_parts_of_joined_images),
        cmocka_unit_test(of_large_tensors),
        cmocka_unit_test(random_numbers),
        cmocka_unit_test(with_kernels_of_their_own),
        cmocka_unit_test(rounding_of_single_numbers),
    };
    return cmocka_run_group_tests(tests, open, close_all);
}
