/* cuda_kernels_for_large_tensors.c: what the cases of op_cases.c are too small for: grids of many blocks, sums cut into
 * several, loops over a grid, and channels that are a multiple of a pack or not. f32 and bf16 against ref in f64, as there.
 * Without a GPU the device is emulated.
 * label: cuda
 * label: slow */
#include "../host.h"
#include "both_devices.h"
#include "matches_ref.h"

#include <stdio.h>

#define IN(kind, ...) \
    ((case_input){ \
        .values = kind, .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), .shape = { __VA_ARGS__ } })
#define STATISTIC(kind, ...) \
    ((case_input){ .values = kind, \
                   .statistic = true, \
                   .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), \
                   .shape = { __VA_ARGS__ } })
#define ID(limit_, ...) \
    ((case_input){ .values = IDS, \
                   .limit = limit_, \
                   .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), \
                   .shape = { __VA_ARGS__ } })
#define INPUTS(...) \
    (const case_input[]){ __VA_ARGS__ }, (int)(sizeof((case_input[]){ __VA_ARGS__ }) / sizeof(case_input))
#define NO_ATTR &(dr_none_attr){ 0 }

static int failed; /* cases, in the test that runs */

static void label(op_case *c)
{
    int used = snprintf(c->label, sizeof c->label, "large %s", c->op);
    for (int i = 0; i < c->n_in && used < 120; i++) {
        for (int d = 0; d < c->in[i].rank; d++)
            used += snprintf(c->label + used, sizeof c->label - (size_t)used, "%s%lld", d ? "," : " [", (long long)c->in[i].shape[d]);
        used += snprintf(c->label + used, sizeof c->label - (size_t)used, "]");
    }
}

static void in_f32(const op_case *c, uint32_t need, bool joined)
{
    const case_run exact = { .device = ref, .dtype = DR_F64, .layout = DR_LAYOUT_ROW, .need = need, .nudged = -1 };
    case_run run = f32_on(cuda, DR_LAYOUT_CL, need);
    run.joined = joined;
    run.holes = joined ? ~0u : 0;
    case_result want;
    if (run_case(c, &exact, &want)) {
        failed += f32_case_differs(c, &run, &want);
    } else {
        print_error("%s, ref: %s\n", c->label, dr_error_message());
        dr_error_clear();
        failed++;
    }
    free_result(&want);
}

/* With and without gradients: an op without a backward is run by its parts where one is wanted. */
static void check(const char *op, const void *attr, const case_input *in, int n_in)
{
    op_case c = { .op = op, .attr = attr, .n_in = n_in };
    memcpy(c.in, in, (size_t)n_in * sizeof *in);
    label(&c);
    if (!case_is_picked(&c)) return;
    const bool in_place = (op_of(&c)->flags & DR_OP_MUTATES) != 0;
    in_f32(&c, 0, false);
    if (in_place) return;
    in_f32(&c, ~0u, false);
    if (in[0].rank == 4) in_f32(&c, ~0u, true);
    if (in[0].statistic || !wants_gradient(&in[0]) || !dr_device_kernel(cuda, op, DR_BF16)) return;
    failed += bf16_case_differs(cuda, &c, DR_LAYOUT_CL, 0, false, 0);
    failed += bf16_case_differs(cuda, &c, DR_LAYOUT_CL, 0, false, ~0u);
}

static void begin(void) { failed = 0; }
static void end(void) { assert_int_equal(failed, 0); }

static const int64_t CHANNELS[] = { 64, 66, 129 };
enum { CHANNEL_COUNT = sizeof CHANNELS / sizeof *CHANNELS };
#define FOR_CHANNELS(C) for (int64_t i_ = 0, C; i_ < CHANNEL_COUNT && (C = CHANNELS[i_], true); i_++)

/* ---- elementwise, and what moves elements ------------------------------------------------------------------------- */

static void elementwise(void **state)
{
    (void)state;
    begin();
    FOR_CHANNELS(C) {
        const case_input x = IN(NORMAL, 3, C, 19, 20), v = IN(NORMAL, 3, C, 1, 1), c = IN(NORMAL, C, 1, 1);
        check("add", NO_ATTR, INPUTS(x, x));
        check("add", NO_ATTR, INPUTS(x, v));
        check("mul", NO_ATTR, INPUTS(x, c));
        check("gelu", &(dr_gelu_attr){ 0 }, INPUTS(x));
        check("silu", NO_ATTR, INPUTS(x));
        check("axpy", &(dr_axpy_attr){ 0.7 }, INPUTS(x, x));
        check("film", NO_ATTR, INPUTS(x, v, v));
        check("copy", &(dr_copy_attr){ DR_LAYOUT_ROW }, INPUTS(x));
        check("cast", &(dr_cast_attr){ DR_BF16 }, INPUTS(x));
        check("concat", &(dr_concat_attr){ 1 }, INPUTS(x, IN(NORMAL, 3, 65, 19, 20), x));
        check("slice_backward", &(dr_slice_backward_attr){ 1, 2, C, 1, C + 5 }, INPUTS(x));
        check("pad", &(dr_pad_attr){ DR_PAD_CONSTANT, { 4, { 2, 2, 2, 2 } }, 0.0 }, INPUTS(x));
    }
    check("mul", NO_ATTR, INPUTS(IN(NORMAL, 300007), IN(NORMAL, 300007)));
    check("dropout", &(dr_dropout_attr){ 0.3, 5, 6, 7, 8 }, INPUTS(IN(NORMAL, 3, 50003)));
    end();
}

/* ---- sums and norms ------------------------------------------------------------------------------------------------ */

static void sums(void **state)
{
    (void)state;
    begin();
    FOR_CHANNELS(C) {
        const case_input x = IN(NORMAL, 3, C, 19, 20);
        check("sum", &(dr_reduce_attr){ .dims = { 0, { 0 } } }, INPUTS(x));
        check("mean", &(dr_reduce_attr){ .dims = { 2, { 2, 3 } } }, INPUTS(x));
        check("amax", &(dr_reduce_attr){ .dims = { 1, { 1 } } }, INPUTS(IN(DISTINCT, 3, C, 7, 7)));
        check("sum_to", &(dr_sum_to_attr){ { 4, { 1, C, 1, 1 } } }, INPUTS(x));
        check("sum_to", &(dr_sum_to_attr){ { 4, { 3, C, 1, 1 } } }, INPUTS(x));
        check("sum_to", &(dr_sum_to_attr){ { 1, { C } } }, INPUTS(IN(NORMAL, 1501, C)));
        check("mse", &(dr_mse_attr){ DR_REDUCE_MEAN }, INPUTS(x, x, STATISTIC(POSITIVE, 3)));
        check("softmax", &(dr_softmax_attr){ -1 }, INPUTS(IN(NORMAL, 101, 7, C)));
        check("softmax", &(dr_softmax_attr){ 1 }, INPUTS(IN(NORMAL, 3, 301, C)));
    }
    check("softmax", &(dr_softmax_attr){ -1 }, INPUTS(IN(NORMAL, 3, 5000)));
    check("argmax", &(dr_argmax_attr){ -1 }, INPUTS(IN(DISTINCT, 600, 130)));
    check("quantile", &(dr_quantile_attr){ 0.995 }, INPUTS(IN(NORMAL, 9, 3, 32, 31)));
    check("cross_entropy", NO_ATTR, INPUTS(IN(NORMAL, 1000, 10), ID(10, 1000)));
    check("cross_entropy", NO_ATTR, INPUTS(IN(NORMAL, 33, 1001), ID(1001, 33)));
    check("square_norm", NO_ATTR, INPUTS(IN(NORMAL, 300, 2049), IN(NORMAL, 65537), IN(NORMAL, 3)));
    end();
}

static void norms(void **state)
{
    (void)state;
    begin();
    const int64_t batch_and_side[][2] = { { 2, 28 }, { 20, 7 }, { 300, 1 } };
    for (int k = 0; k < 3; k++) {
        FOR_CHANNELS(C) {
            const int64_t B = batch_and_side[k][0], side = batch_and_side[k][1], act = (k + C) % 5;
            if (k != 1 && C != CHANNELS[k]) continue; /* images of 7 x 7 with all numbers of channels, others with one */
            const case_input x = IN(NORMAL, B, C, side, side), c = STATISTIC(NORMAL, C);
            check("batch_norm_act", &(dr_batch_norm_act_attr){ 1e-3, act }, INPUTS(x, c, c));
            check("batch_norm_act_backward", &(dr_batch_norm_act_attr){ 1e-3, act },
                  INPUTS(x, c, c, c, STATISTIC(POSITIVE, C), x));
            check("batch_norm_eval", &(dr_batch_norm_eval_attr){ 1e-3, act }, INPUTS(x, c, c, c, STATISTIC(POSITIVE, C)));
            const int64_t G = C % 8 == 0 ? 8 : 3; /* 66 and 129 are multiples of 3 */
            check("group_norm_act", &(dr_group_norm_act_attr){ G, 1e-5, act }, INPUTS(x, c, c));
            check("group_norm_act", &(dr_group_norm_act_attr){ 1, 1e-5, act },
                  INPUTS(x, STATISTIC(NORMAL, B, C), STATISTIC(NORMAL, B, C)));
        }
    }
    FOR_CHANNELS(C) {
        check("layer_norm", &(dr_layer_norm_attr){ 1e-5 }, INPUTS(IN(NORMAL, 3, 301, C), STATISTIC(NORMAL, C), STATISTIC(NORMAL, C)));
        check("batch_norm_act", &(dr_batch_norm_act_attr){ 1e-3, DR_ACT_GELU },
              INPUTS(IN(NORMAL, 1201, C), STATISTIC(NORMAL, C), STATISTIC(NORMAL, C)));
    }
    check("layer_norm", &(dr_layer_norm_attr){ 1e-5 }, INPUTS(IN(NORMAL, 50, 3000), STATISTIC(NORMAL, 3000), STATISTIC(NORMAL, 3000)));
    end();
}

/* ---- images, products, tables, steps ------------------------------------------------------------------------------- */

static void images(void **state)
{
    (void)state;
    begin();
    FOR_CHANNELS(C) {
        const case_input x = IN(NORMAL, 2, C, 21, 22);
        check("max_pool2d", &(dr_max_pool2d_attr){ 2, 0 }, INPUTS(IN(DISTINCT, 3, C, 14, 15)));
        check("avg_pool2d", &(dr_avg_pool2d_attr){ 7, 0 }, INPUTS(x));
        check("resize", &(dr_resize_attr){ DR_RESIZE_NEAREST, 42, 44, 0 }, INPUTS(x));
        check("resize", &(dr_resize_attr){ DR_RESIZE_BILINEAR, 30, 51, 0 }, INPUTS(x));
        check("resize", &(dr_resize_attr){ DR_RESIZE_BICUBIC, 14, 25, 0 }, INPUTS(x));
        check("pad", &(dr_pad_attr){ DR_PAD_REFLECT, { 4, { 1, 2, 3, 4 } }, 0.0 }, INPUTS(x));
    }
    end();
}

static void convolutions(void **state)
{
    (void)state;
    begin();
    for (int64_t C = 32; C <= 34; C += 2) {
        const case_input x = IN(NORMAL, 2, C, 13, 14);
        check("conv2d", &(dr_conv2d_attr){ 1, 1 }, INPUTS(x, IN(NORMAL, 48, C, 3, 3), IN(NORMAL, 48)));
        check("conv2d", &(dr_conv2d_attr){ 2, 1 }, INPUTS(x, IN(NORMAL, C, C, 3, 3), IN(NORMAL, C)));
        check("conv2d", &(dr_conv2d_attr){ 1, 0 }, INPUTS(x, IN(NORMAL, 65, C, 1, 1)));
        check("conv_transpose2d", &(dr_conv_transpose2d_attr){ 2, 1 }, INPUTS(x, IN(NORMAL, C, 33, 4, 4), IN(NORMAL, 33)));
        check("conv2d_act", &(dr_conv2d_act_attr){ 1, 1, DR_ACT_GELU }, INPUTS(x, IN(NORMAL, 40, C, 3, 3), IN(NORMAL, 40)));
    }
    check("conv2d", &(dr_conv2d_attr){ 1, 1 }, INPUTS(IN(NORMAL, 5, 1, 28, 28), IN(NORMAL, 64, 1, 3, 3), IN(NORMAL, 64)));
    check("conv2d", &(dr_conv2d_attr){ 1, 1 }, INPUTS(IN(NORMAL, 3, 64, 28, 28), IN(NORMAL, 1, 64, 3, 3), IN(NORMAL, 1)));
    check("conv2d", &(dr_conv2d_attr){ 1, 0 }, INPUTS(IN(NORMAL, 33, 20, 7, 7), IN(NORMAL, 36, 20, 7, 7), IN(NORMAL, 36)));
    check("conv_transpose2d", &(dr_conv_transpose2d_attr){ 7, 0 },
          INPUTS(IN(NORMAL, 33, 36, 1, 1), IN(NORMAL, 36, 20, 7, 7), IN(NORMAL, 20)));
    end();
}

static void products(void **state)
{
    (void)state;
    begin();
    check("linear", NO_ATTR, INPUTS(IN(NORMAL, 257, 129), IN(NORMAL, 130, 129), IN(NORMAL, 130)));
    check("linear", NO_ATTR, INPUTS(IN(NORMAL, 128, 64), IN(NORMAL, 256, 64), IN(NORMAL, 256)));
    check("linear", NO_ATTR, INPUTS(IN(NORMAL, 200, 1), IN(NORMAL, 128, 1), IN(NORMAL, 128)));
    check("matmul", &(dr_matmul_attr){ 0, 1, 0 }, INPUTS(IN(NORMAL, 3, 5, 49, 33), IN(NORMAL, 3, 5, 50, 33)));
    check("matmul", &(dr_matmul_attr){ 1, 0, 0 }, INPUTS(IN(NORMAL, 300, 64), IN(NORMAL, 300, 100)));
    check("matmul", &(dr_matmul_attr){ 0, 0, 0 }, INPUTS(IN(NORMAL, 500, 68), IN(NORMAL, 68, 300)));
    check("attention", &(dr_attention_attr){ 0.0 }, INPUTS(IN(NORMAL, 3, 4, 49, 32), IN(NORMAL, 3, 4, 49, 32), IN(NORMAL, 3, 4, 49, 32)));
    end();
}

/* What cuBLASLt gets: long sums and large products. */
static void products_by_cublaslt(void **state)
{
    (void)state;
    begin();
    for (int t = 0; t < 4; t++) {
        const _Bool ta = t & 1, tb = t >> 1;
        const int64_t K = 1100, M = 6, N = 10;
        check("matmul", &(dr_matmul_attr){ ta, tb, 0 },
              INPUTS(ta ? IN(NORMAL, K, M) : IN(NORMAL, M, K), tb ? IN(NORMAL, N, K) : IN(NORMAL, K, N)));
        check("matmul", &(dr_matmul_attr){ ta, tb, 0 },
              INPUTS(ta ? IN(NORMAL, 2, 1, K, M) : IN(NORMAL, 2, 1, M, K), tb ? IN(NORMAL, 3, N, K) : IN(NORMAL, 3, K, N)));
    }
    check("linear", NO_ATTR, INPUTS(IN(NORMAL, 3, 1100), IN(NORMAL, 16, 1100), IN(NORMAL, 16)));
    check("linear", NO_ATTR, INPUTS(IN(NORMAL, 3, 1101), IN(NORMAL, 5, 1101), IN(NORMAL, 5))); /* bf16: refused */
    check("linear", NO_ATTR, INPUTS(IN(NORMAL, 1100, 6), IN(NORMAL, 10, 6)));
    check("linear", NO_ATTR, INPUTS(IN(NORMAL, 1, 1100), IN(NORMAL, 5, 1100), IN(NORMAL, 5)));
    check("linear", NO_ATTR, INPUTS(IN(NORMAL, 1030, 256), IN(NORMAL, 64, 256), IN(NORMAL, 64)));
    end();
}

/* Sums of a product in bf16 that has a bias are rounded some rows at a time. */
static void a_large_product_with_a_bias_goes_in_parts(void **state)
{
    (void)state;
    op_case c = { .op = "linear", .attr = NO_ATTR, .n_in = 3, .in = { IN(NORMAL, 1100, 2), IN(NORMAL, 8192, 2), IN(NORMAL, 8192) } };
    begin();
    label(&c);
    if (case_is_picked(&c)) failed += bf16_case_differs(cuda, &c, DR_LAYOUT_ROW, 0, false, 0);
    end();
}

/* A bf16 network's weights in f32 count as what they round to, in small products and in large ones. */
static void weights_in_f32_count_as_rounded(void **state)
{
    (void)state;
    enum { M = 9, N = 12 };
    float wide[M * N], narrow[M * N];
    dr_device_use(cuda);
    for (int64_t K = 70; K <= 1100; K += 1030) {
        for (int with_bias = 0; with_bias < 2; with_bias++) {
            dr_scope_open();
            dr_tensor *x = dr_cast(dr_rand_normal(DR_F32, DR_SHAPE(M, K), &(dr_rng){ .seed = 1 }), DR_BF16);
            dr_tensor *weight = dr_rand_normal(DR_F32, DR_SHAPE(N, K), &(dr_rng){ .seed = 2 });
            dr_tensor *bias = with_bias ? dr_cast(dr_rand_normal(DR_F32, DR_SHAPE(N), &(dr_rng){ .seed = 3 }), DR_BF16) : NULL;
            dr_tensor *y = dr_linear(x, weight, bias ? dr_cast(bias, DR_F32) : NULL);
            dr_tensor *same = dr_linear(x, dr_cast(weight, DR_BF16), bias);
            if (dr_failed()) fail_msg("%s", dr_error_message());
            assert_int_equal(dr_tensor_read(y, DR_F32, wide), DR_OK);
            assert_int_equal(dr_tensor_read(same, DR_F32, narrow), DR_OK);
            assert_memory_equal(wide, narrow, sizeof wide);
            dr_scope_close();
        }
    }
    dr_device_use(ref);
}

/* dy as the first or the last channels of a wider image, in packs of 16 bytes: the same bits as of its copy. */
static void gradients_of_joined_images_are_read_in_place(void **state)
{
    (void)state;
    enum { B = 3, C = 64, N = B * C * 14 * 13 };
    static float joined[N], alone[N];
    dr_device_use(cuda);
    for (int k = 0; k < 8; k++) {
        const dr_dtype dtype = k & 1 ? DR_BF16 : DR_F32;
        dr_scope_open();
        dr_tensor *wide = dr_rand_normal(DR_F32, DR_SHAPE(B, 2 * C, 14, 13), &(dr_rng){ .seed = 1 });
        dr_tensor *x = dr_rand_normal(DR_F32, DR_SHAPE(B, C, 14, 13), &(dr_rng){ .seed = 2 });
        wide = dr_cast(dr_contiguous(wide, DR_LAYOUT_CL), dtype);
        x = dr_cast(dr_contiguous(x, DR_LAYOUT_CL), dtype);
        dr_tensor *dy = dr_slice(wide, 1, k & 2 ? C : 0, C), *copy = dr_contiguous(dy, DR_LAYOUT_CL), *y[2][DR_OP_MAX_OUT];
        dr_tensor *vector = dr_tensor_full(DR_F32, DR_SHAPE(C), 1.5), *factor = dr_tensor_full(dtype, DR_SHAPE(B, C, 1, 1), 1.5);
        const dr_batch_norm_act_attr attr = { 1e-5, DR_ACT_GELU };
        for (int i = 0; i < 2; i++) {
            dr_tensor *g = i ? copy : dy;
            if (k & 4) dr_apply("film_backward", (dr_tensor *[]){ x, factor, g }, 3, NO_ATTR, y[i]);
            else dr_apply("batch_norm_act_backward", (dr_tensor *[]){ x, vector, vector, vector, vector, g }, 6, &attr, y[i]);
        }
        if (dr_failed()) fail_msg("%s", dr_error_message());
        for (int j = 0; j < 3; j++) {
            const int64_t n = view_count(dr_tensor_view(y[0][j]));
            assert_int_equal(dr_tensor_read(y[0][j], DR_F32, joined), DR_OK);
            assert_int_equal(dr_tensor_read(y[1][j], DR_F32, alone), DR_OK);
            assert_memory_equal(joined, alone, (size_t)n * sizeof *alone);
        }
        dr_scope_close();
    }
    dr_device_use(ref);
}

static void tables_and_steps(void **state)
{
    (void)state;
    begin();
    check("embedding", NO_ATTR, INPUTS(IN(NORMAL, 300, 130), ID(300, 2000)));
    check("embedding", NO_ATTR, INPUTS(IN(NORMAL, 11, 64), ID(11, 3000)));
    const case_input w[] = { IN(NORMAL, 300, 517), IN(NORMAL, 64, 64, 3, 3), IN(NORMAL, 3) };
    const case_input square[] = { IN(POSITIVE, 300, 517), IN(POSITIVE, 64, 64, 3, 3), IN(POSITIVE, 3) };
    check("adam_step", &(dr_adam_step_attr){ 0.9, 0.999, 1e-8, 0.1, 1, 0 },
          INPUTS(IN(LR_AND_STEP, 2), w[0], w[0], w[0], square[0], w[1], w[1], w[1], square[1], w[2], w[2], w[2], square[2]));
    check("adam_step", &(dr_adam_step_attr){ 0.9, 0.999, 1e-8, 0.0, 0, 1 },
          INPUTS(IN(LR_AND_STEP, 3), w[0], w[0], w[0], square[0], w[0], w[1], w[1], w[1], square[1], w[1]));
    check("sgd_step", &(dr_sgd_step_attr){ 0.9, 0.1, 1 }, INPUTS(IN(LR_AND_STEP, 2), w[0], w[0], w[0], w[1], w[1], w[1]));
    check("ema_step", NO_ATTR, INPUTS((case_input){ .values = DECAY }, w[0], w[0], w[1], w[1]));
    check("clip_step", &(dr_clip_step_attr){ 1.5 }, INPUTS((case_input){ .values = SQUARE_NORM }, w[0], w[1]));
    end();
}

/* ---- the same each time ---------------------------------------------------------------------------------------------- */

static dr_tensor *random_image(int64_t C, uint32_t purpose)
{
    return dr_rand_normal(DR_F32, 4, (const int64_t[]){ 9, C, 14, 14 }, &(dr_rng){ .seed = 1, .purpose = purpose });
}

/* Sums are in one order: a gradient is the same bits each time. */
static void gradients_are_the_same_each_time(void **state)
{
    (void)state;
    enum { C = 66, N = C };
    static float first[N], again[N];
    dr_device_use(cuda);
    for (int k = 0; k < 3; k++) {
        dr_scope_open();
        dr_tensor *x = random_image(C, 1), *gamma = dr_tensor_full(DR_F32, DR_SHAPE(C), 1.0);
        dr_tensor *beta = dr_tensor_full(DR_F32, DR_SHAPE(C), 0.5);
        dr_requires_grad(gamma, true);
        dr_tensor *in[] = { x, gamma, beta }, *out[DR_OP_MAX_OUT] = { NULL };
        dr_apply("batch_norm_act", in, 3, &(dr_batch_norm_act_attr){ 1e-5, DR_ACT_GELU }, out);
        dr_backward(out[0], random_image(C, 2));
        if (dr_failed()) fail_msg("%s", dr_error_message());
        assert_int_equal(dr_tensor_read(dr_grad(gamma), DR_F32, k ? again : first), DR_OK);
        if (k) assert_memory_equal(first, again, sizeof first);
        dr_scope_close();
    }
    dr_device_use(ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise),
        cmocka_unit_test(sums),
        cmocka_unit_test(norms),
        cmocka_unit_test(images),
        cmocka_unit_test(convolutions),
        cmocka_unit_test(products),
        cmocka_unit_test(products_by_cublaslt),
        cmocka_unit_test(a_large_product_with_a_bias_goes_in_parts),
        cmocka_unit_test(weights_in_f32_count_as_rounded),
        cmocka_unit_test(gradients_of_joined_images_are_read_in_place),
        cmocka_unit_test(tables_and_steps),
        cmocka_unit_test(gradients_are_the_same_each_time),
    };
    if (!there_is_cuda()) return 77;
    return cmocka_run_group_tests(tests, open_ref_and_cuda, close_all);
}
