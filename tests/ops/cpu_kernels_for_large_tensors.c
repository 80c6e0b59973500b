/* cpu_kernels_for_large_tensors.c: what the cases of op_cases.c are too small for: kernels that cpu picks for many
 * channels and several images, sums that are cut into blocks, tiles after the first. Against ref in f64, as there. */
#include "../host.h"
#include "both_devices.h"

#include <math.h>

#define IN(kind, ...) \
    { \
        .values = kind, .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), .shape = { __VA_ARGS__ } \
    }

static void check_values(const op_case *c, const char *what, int i, const double *got, const double *want, int64_t n)
{
    if (!got && !want) return;
    if (!got || !want) fail_msg("%s: %s %d is there on one device only", c->label, what, i + 1);
    const double allowed = f32_allowance(c, want, n);
    const double off = difference(got, want, n);
    if (!(off <= allowed)) fail_msg("%s: %s %d differs by %.3g (allowed %.3g)", c->label, what, i + 1, off, allowed);
}

/* An op without a backward is run by its parts where a gradient is wanted: its own kernel runs only without one. */
static void check(const op_case *c)
{
    for (uint32_t need = 0; need <= 1; need++) {
        const case_run on_ref = {
            .device = ref, .dtype = DR_F64, .layout = DR_LAYOUT_ROW, .need = need ? ~0u : 0, .nudged = -1
        };
        case_run on_cpu = on_ref;
        on_cpu.device = cpu;
        on_cpu.dtype = DR_F32;
        on_cpu.layout = DR_LAYOUT_CL;
        case_result want, got;
        if (!run_case(c, &on_ref, &want) || !run_case(c, &on_cpu, &got))
            fail_msg("%s: %s", c->label, dr_error_message());
        for (int j = 0; j < want.n_out; j++)
            check_values(c, "output", j, got.out[j], want.out[j], view_count(&want.view[j]));
        for (int i = 0; i < c->n_in; i++)
            check_values(c, "gradient", i, got.grad[i], want.grad[i], input_count(&c->in[i]));
        free_result(&want);
        free_result(&got);
    }
}

/* In bf16, weights in f32, against ref in f64 on the same numbers. Allowed are 4 roundings of the
 * largest value; 2 for gradients of weights, which only the upstream gradient's rounding touches. */
static void check_in_bf16(const op_case *c)
{
    const case_run on_ref = { .device = ref, .dtype = DR_F64, .layout = DR_LAYOUT_ROW, .round = true, .rounded_to = DR_BF16,
                              .need = ~0u, .nudged = -1 };
    case_run on_cpu = on_ref;
    on_cpu.device = cpu;
    on_cpu.dtype = DR_BF16;
    on_cpu.layout = DR_LAYOUT_CL;
    on_cpu.wide = 6;
    case_result want, got;
    if (!run_case(c, &on_ref, &want) || !run_case(c, &on_cpu, &got)) fail_msg("%s: %s", c->label, dr_error_message());
    for (int j = 0; j < want.n_out; j++) {
        const double off = difference(got.out[j], want.out[j], view_count(&want.view[j]));
        if (!(off <= 4.0 / 512.0 * largest(want.out[j], view_count(&want.view[j]))))
            fail_msg("%s in bf16: output is off by %.3g", c->label, off);
    }
    for (int i = 0; i < c->n_in; i++) {
        const double off = difference(got.grad[i], want.grad[i], input_count(&c->in[i]));
        const double allowed = (i == 0 ? 4.0 : 2.0) / 512.0 * largest(want.grad[i], input_count(&c->in[i]));
        if (off <= allowed) continue;
        fail_msg("%s in bf16: gradient %d is off by %.3g (allowed %.3g)", c->label, i + 1, off, allowed);
    }
    free_result(&want);
    free_result(&got);
}

static void check_convolution(const char *op, int64_t B, int64_t Ci, int64_t Co, int64_t side, int64_t k,
                              int64_t stride, int64_t padding)
{
    const bool turned = strcmp(op, "conv_transpose2d") == 0;
    const dr_conv2d_attr conv = { .stride = stride, .padding = padding };
    const dr_conv_transpose2d_attr transpose = { .stride = stride, .padding = padding };
    op_case c = { .op = op,
                  .attr = turned ? (const void *)&transpose : &conv,
                  .n_in = 3,
                  .in = { IN(NORMAL, B, Ci, side, side), IN(NORMAL, turned ? Ci : Co, turned ? Co : Ci, k, k),
                          IN(NORMAL, Co) } };
    snprintf(c.label, sizeof c.label, "%s of %lld images, %lld to %lld channels, side %lld, k %lld, stride %lld", op,
             (long long)B, (long long)Ci, (long long)Co, (long long)side, (long long)k, (long long)stride);
    check(&c);
    check_in_bf16(&c);
}

/* 32 input channels and at least 4 images: the weight gradient in tiles of 7 to 13 output channels. */
static void weight_gradients_of_wide_convolutions(void **state)
{
    (void)state;
    for (int64_t Co = 8; Co <= 15; Co++) check_convolution("conv2d", 5, 32, Co, 13, 3, 1, 1);
    check_convolution("conv2d", 4, 64, 27, 13, 3, 1, 1);
    check_convolution("conv2d", 5, 32, 9, 25, 3, 2, 1);
    check_convolution("conv2d", 17, 32, 8, 12, 1, 1, 0);
    check_convolution("conv2d", 5, 64, 17, 9, 5, 1, 2);
    check_convolution("conv2d", 4, 32, 14, 12, 4, 2, 1);
    check_convolution("conv2d", 33, 32, 8, 28, 3, 1, 1);
    check_convolution("conv_transpose2d", 5, 32, 32, 13, 4, 2, 1);
}

static void convolutions_from_and_to_one_channel(void **state)
{
    (void)state;
    check_convolution("conv2d", 5, 1, 32, 14, 3, 1, 1);
    check_convolution("conv2d", 5, 1, 32, 14, 3, 2, 1);
    check_convolution("conv2d", 5, 32, 1, 14, 3, 1, 1);
    check_convolution("conv2d", 5, 32, 1, 15, 3, 2, 1);
}

static void kernels_as_large_as_the_image(void **state)
{
    (void)state;
    check_convolution("conv2d", 3, 5, 9, 7, 7, 1, 0);
    check_convolution("conv2d", 1, 5, 9, 7, 7, 1, 0);
    check_convolution("conv_transpose2d", 3, 9, 5, 1, 7, 7, 0);
}

static void softmax_over_many_columns(void **state)
{
    (void)state;
    check(&(op_case){ .op = "softmax",
                      .attr = &(dr_softmax_attr){ 1 },
                      .n_in = 1,
                      .label = "softmax of 300 columns",
                      .in = { IN(NORMAL, 2, 5, 300) } });
}

/* exp overflows at 89: the largest value must be taken off first, along rows and along columns. */
static void softmax_of_large_values(void **state)
{
    (void)state;
    const float x[2 * 3] = { 1000, 0, -1000, 1001, 300, -900 };
    const float rows[6] = { 1, 0, 0, 1, 0, 0 };
    float y[6];
    dr_device_use(cpu);
    dr_tensor *t = dr_tensor_from(DR_F32, DR_SHAPE(2, 3), x);
    assert_int_equal(dr_tensor_read(dr_softmax(t, 1), DR_F32, y), DR_OK);
    for (int i = 0; i < 6; i++) assert_true(fabsf(y[i] - rows[i]) < 1e-6f);
    assert_int_equal(dr_tensor_read(dr_softmax(t, 0), DR_F32, y), DR_OK);
    for (int i = 0; i < 3; i++) assert_true(fabsf(y[i] + y[3 + i] - 1.0f) < 1e-6f);
    assert_true(fabsf(y[0] - 0.26894142f) < 1e-6f); /* 1/(1 + e) */
    dr_device_use(ref);
}

static void norms_over_several_blocks(void **state)
{
    (void)state;
    check(&(op_case){ .op = "layer_norm",
                      .attr = &(dr_layer_norm_attr){ 1e-5 },
                      .n_in = 3,
                      .label = "layer_norm of 50 rows",
                      .in = { IN(NORMAL, 50, 33), IN(NORMAL, 33), IN(NORMAL, 33) } });
    check(&(op_case){ .op = "square_norm",
                      .attr = &(dr_none_attr){ 0 },
                      .n_in = 2,
                      .label = "square_norm of 20 blocks",
                      .in = { IN(NORMAL, 300, 257), IN(NORMAL, 4097) } });
}

static void image_norms_over_several_blocks(void **state)
{
    (void)state;
    for (int64_t B = 1; B <= 9; B += 8) {
        check(&(op_case){ .op = "group_norm_act",
                          .attr = &(dr_group_norm_act_attr){ 4, 1e-5, DR_ACT_SILU },
                          .n_in = 3,
                          .label = "group_norm of large images",
                          .in = { IN(NORMAL, B, 8, 67, 65), IN(NORMAL, 8), IN(NORMAL, 8) } });
        check(&(op_case){ .op = "group_norm_act",
                          .attr = &(dr_group_norm_act_attr){ 2, 1e-5, DR_ACT_NONE },
                          .n_in = 3,
                          .label = "group_norm of large images, gamma of each sample",
                          .in = { IN(NORMAL, B, 8, 67, 65), IN(NORMAL, B, 8), IN(NORMAL, B, 8) } });
        check(&(op_case){ .op = "batch_norm_act",
                          .attr = &(dr_batch_norm_act_attr){ 1e-2, DR_ACT_GELU },
                          .n_in = 3,
                          .label = "batch_norm of large images",
                          .in = { IN(NORMAL, B, 8, 67, 65), IN(NORMAL, 8), IN(NORMAL, 8) } });
    }
    check(&(op_case){ .op = "film",
                      .attr = &(dr_none_attr){ 0 },
                      .n_in = 3,
                      .label = "film of large images",
                      .in = { IN(NORMAL, 3, 33, 67, 65), IN(NORMAL, 3, 33, 1, 1), IN(NORMAL, 3, 33, 1, 1) } });
    check(&(op_case){ .op = "batch_norm_eval",
                      .attr = &(dr_batch_norm_eval_attr){ 1e-2, DR_ACT_GELU },
                      .n_in = 5,
                      .label = "batch_norm_eval with another eps",
                      .in = { IN(NORMAL, 2, 8, 5, 7), IN(NORMAL, 8), IN(NORMAL, 8), IN(NORMAL, 8), IN(POSITIVE, 8) } });
}

static dr_tensor *matrix(int64_t rows, int64_t columns, const float *v)
{
    return dr_tensor_from(DR_F32, DR_SHAPE(rows, columns), v);
}

/* Statistics of [n,2] where the mean is large against the spread, of (0) even rows, (1) a first row far off, (2) rows
 * that jump from one level to another. In doubles they are known to 1e-12. */
static void batch_statistics_of_a_large_mean(void **state)
{
    (void)state;
    enum { N = 20000 };
    float *x = malloc(2 * N * sizeof *x);
    assert_non_null(x);
    dr_device_use(cpu);
    for (int kind = 0; kind < 3; kind++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < N; i++) {
            const float level = kind == 2 && i > N / 3 ? -300.0f : 3000.0f;
            x[2 * i] = x[2 * i + 1] = level + (float)(i * 7919 % 1000) / 1000.0f;
        }
        if (kind == 1) x[0] = x[1] = -3000.0f;
        for (int i = 0; i < N; i++) sum += (double)x[2 * i];
        for (int i = 0; i < N; i++) squares += ((double)x[2 * i] - sum / N) * ((double)x[2 * i] - sum / N);
        dr_tensor *vector = dr_tensor_full(DR_F32, DR_SHAPE(2), 1.0), *out[3] = { NULL };
        float mean[2], var[2];
        dr_apply("batch_norm_act", (dr_tensor *[]){ matrix(N, 2, x), vector, vector }, 3,
                 &(dr_batch_norm_act_attr){ 1e-5, DR_ACT_NONE }, out);
        if (dr_tensor_read(out[1], DR_F32, mean) != DR_OK || dr_tensor_read(out[2], DR_F32, var) != DR_OK)
            fail_msg("%s", dr_error_message());
        for (int c = 0; c < 2; c++) {
            assert_true(fabs((double)mean[c] - sum / N) <= 2e-7 * fabs(sum / N));
            if (!(fabs((double)var[c] * N / squares - 1) < 1e-5))
                fail_msg("kind %d: variance %.9g, should be %.9g", kind, (double)var[c], squares / N);
        }
    }
    free(x);
    dr_device_use(ref);
}

/* The lower tail keeps its relative accuracy; far out, y is x or nothing, and the slope 1 or 0; NaN stays. */
static void activations_far_from_zero(void **state)
{
    (void)state;
    enum { N = 6 };
    const float x[N] = { -1000, -20, -5, 20, 1000, NAN };
    const char *const op[2] = { "gelu", "silu" };
    const double tail[2] = { -5 * 2.866515718791939e-7, -5 * 0.0066928509242848554 };
    dr_device_use(cpu);
    for (int k = 0; k < 2; k++) {
        float y[N], slope[N];
        char backward[32];
        snprintf(backward, sizeof backward, "%s_backward", op[k]);
        dr_tensor *t = dr_tensor_from(DR_F32, DR_SHAPE(N), x), *one = dr_tensor_full(DR_F32, DR_SHAPE(N), 1.0);
        dr_tensor *forward = dr_apply1(op[k], &t, 1, &(dr_gelu_attr){ 0 });
        dr_tensor *gradient = dr_apply1(backward, (dr_tensor *[]){ t, one }, 2, &(dr_gelu_attr){ 0 });
        if (dr_tensor_read(forward, DR_F32, y) != DR_OK || dr_tensor_read(gradient, DR_F32, slope) != DR_OK)
            fail_msg("%s", dr_error_message());
        assert_true(fabsf(y[0]) < 1e-30f && fabsf(y[1]) < 1e-7f && fabsf(slope[0]) < 1e-30f && fabsf(slope[1]) < 1e-7f);
        assert_true(fabs((double)y[2] / tail[k] - 1) < 3e-6);
        assert_true(y[3] == 20 && y[4] == 1000 && slope[4] == 1 && fabsf(slope[3] - 1) < 1e-6f);
        assert_true(isnan(y[5]) && isnan(slope[5]));
    }
    dr_device_use(ref);
}

static void sums_of_long_rows(void **state)
{
    (void)state;
    check(&(op_case){ .op = "sum",
                      .attr = &(dr_sum_attr){ .dims = { 0, { 0 } } },
                      .n_in = 1,
                      .label = "sum of 100003",
                      .in = { IN(NORMAL, 100003) } });
    check(&(op_case){ .op = "amax",
                      .attr = &(dr_amax_attr){ .dims = { 1, { 0 } } },
                      .n_in = 1,
                      .label = "amax down 40000 rows",
                      .in = { IN(NORMAL, 40000, 3) } });
}

/* ---- exact answers, on cpu ------------------------------------------------------------------------------------- */

/* t is on cpu; n values. */
static void reads(dr_tensor *t, const float *want, int n)
{
    float got[16];
    if (!t || dr_tensor_read(t, DR_F32, got) != DR_OK) fail_msg("%s", dr_error_message());
    for (int i = 0; i < n; i++) {
        if (!(got[i] == want[i] || (isnan(got[i]) && isnan(want[i]))))
            fail_msg("%d: %g, expected %g", i, got[i], want[i]);
    }
}

static void of_equal_values_the_first_counts(void **state)
{
    (void)state;
    const float ties[6] = { 1, 7, 7, 7, 0, 7 }; /* [2,3] */
    dr_device_use(cpu);
    reads(dr_argmax(matrix(2, 3, ties), 1), (float[]){ 1, 0 }, 2);
    reads(dr_argmax(matrix(2, 3, ties), 0), (float[]){ 1, 0, 0 }, 3);
    dr_tensor *x = dr_requires_grad(dr_tensor_full(DR_F32, DR_SHAPE(1, 1, 2, 2), 3.0), true);
    assert_int_equal(dr_backward(dr_sum(dr_max_pool2d(x, 2, 2), 0, NULL, false), NULL), DR_OK);
    reads(dr_grad(x), (float[]){ 1, 0, 0, 0 }, 4);
    dr_tensor *rows = matrix(2, 4, (float[]){ 2, 2, 2, 9, 5, 1, 5, 5 }); /* medians 2 and 5 */
    reads(dr_apply1("quantile", &rows, 1, &(dr_quantile_attr){ 0.5 }), (float[]){ 2, 5 }, 2);
    dr_device_use(ref);
}

static void a_maximum_with_nan_is_nan(void **state)
{
    (void)state;
    dr_device_use(cpu);
    dr_tensor *t = matrix(2, 2, (float[]){ NAN, 1, 2, 3 });
    reads(dr_apply1("amax", &t, 1, &(dr_amax_attr){ .dims = { 1, { 1 } } }), (float[]){ NAN, 3 }, 2);
    reads(dr_apply1("amax", &t, 1, &(dr_amax_attr){ .dims = { 1, { 0 } } }), (float[]){ NAN, 3 }, 2);
    float *many = calloc(100000, sizeof *many); /* found in any block */
    many[70000] = NAN;
    dr_tensor *row = dr_tensor_from(DR_F32, DR_SHAPE(100000), many);
    free(many);
    reads(dr_apply1("amax", &row, 1, &(dr_amax_attr){ .dims = { 0, { 0 } } }), (float[]){ NAN }, 1);
    dr_device_use(ref);
}

static void a_label_that_is_no_class_is_refused(void **state)
{
    (void)state;
    dr_device_use(cpu);
    dr_tensor *label = dr_tensor_from(DR_I32, DR_SHAPE(2), (int32_t[]){ 1, 3 });
    assert_null(dr_cross_entropy(matrix(2, 3, (float[]){ 1, 2, 3, 4, 5, 6 }), label));
    assert_error_has("cross_entropy: label 3 of row 1 is outside [0, 2]");
    dr_device_use(ref);
}

static void random_numbers_of_a_large_seed(void **state)
{
    (void)state;
    const dr_rng rng = { .seed = 0x123456789abcdef0, .purpose = 77, .step = 5, .sample = 100 };
    float here[2][30], there[2][30];
    dr_device_use(cpu);
    assert_int_equal(dr_tensor_read(dr_rand_uniform(DR_F32, DR_SHAPE(5, 6), &rng), DR_F32, here[0]), DR_OK);
    assert_int_equal(dr_tensor_read(dr_rand_normal(DR_F32, DR_SHAPE(5, 6), &rng), DR_F32, here[1]), DR_OK);
    dr_device_use(ref);
    assert_int_equal(dr_tensor_read(dr_rand_uniform(DR_F32, DR_SHAPE(5, 6), &rng), DR_F32, there[0]), DR_OK);
    assert_int_equal(dr_tensor_read(dr_rand_normal(DR_F32, DR_SHAPE(5, 6), &rng), DR_F32, there[1]), DR_OK);
    for (int i = 0; i < 30; i++) {
        assert_true(here[0][i] == there[0][i]);
        assert_true(fabsf(here[1][i] - there[1][i]) < 2e-6f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weight_gradients_of_wide_convolutions),
        cmocka_unit_test(convolutions_from_and_to_one_channel),
        cmocka_unit_test(kernels_as_large_as_the_image),
        cmocka_unit_test(softmax_over_many_columns),
        cmocka_unit_test(softmax_of_large_values),
        cmocka_unit_test(norms_over_several_blocks),
        cmocka_unit_test(image_norms_over_several_blocks),
        cmocka_unit_test(batch_statistics_of_a_large_mean),
        cmocka_unit_test(activations_far_from_zero),
        cmocka_unit_test(sums_of_long_rows),
        cmocka_unit_test(of_equal_values_the_first_counts),
        cmocka_unit_test(a_maximum_with_nan_is_nan),
        cmocka_unit_test(a_label_that_is_no_class_is_refused),
        cmocka_unit_test(random_numbers_of_a_large_seed),
    };
    return cmocka_run_group_tests(tests, open_both, close_all);
}
