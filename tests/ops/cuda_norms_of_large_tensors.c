/* cuda_norms_of_large_tensors.c: what the cases of op_cases.c are too small for: sums over rows that are cut into
 * chunks for several blocks, the last of which adds them up; packs of 16 bytes; tiles of channels after the first. In
 * f32 and bf16, against ref in f64. Without a GPU the device is emulated. label: cuda */
#include "../host.h"
#include "both_devices.h"
#include "matches_ref.h"

#include <math.h>

#define IN(kind, ...) \
    { \
        .values = kind, .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), .shape = { __VA_ARGS__ } \
    }
#define STATISTIC(kind, ...) \
    { \
        .values = kind, .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), .shape = { __VA_ARGS__ }, \
        .statistic = true \
    }

/* Forward alone, then with gradients, in f32 and in bf16. */
static void check(const op_case *c)
{
    int failed = 0;
    if (!case_is_picked(c)) return;
    for (uint32_t need = 0; need <= 1; need++) {
        const uint32_t wanted = need ? ~0u : 0;
        const case_run exact = {
            .device = ref, .dtype = DR_F64, .layout = DR_LAYOUT_ROW, .need = wanted, .nudged = -1
        };
        const case_run run = f32_on(cuda, DR_LAYOUT_CL, wanted);
        case_result want;
        if (!run_case(c, &exact, &want)) fail_msg("%s: %s", c->label, dr_error_message());
        failed += f32_case_differs(c, &run, &want);
        free_result(&want);
        failed += bf16_case_differs(cuda, c, DR_LAYOUT_CL, 0, false, wanted);
    }
    assert_int_equal(failed, 0);
}

static void batch_norm_over_chunks_and_tiles(void **state)
{
    (void)state;
    for (int64_t act = 0; act < 5; act++) {
        check(&(op_case){ .op = "batch_norm_act",
                          .attr = &(dr_batch_norm_act_attr){ 1e-5, act },
                          .n_in = 3,
                          .label = "batch_norm_act of 72 channels",
                          .in = { IN(NORMAL, 2, 72, 30, 31), STATISTIC(NORMAL, 72), STATISTIC(NORMAL, 72) } });
    }
    check(&(op_case){ .op = "batch_norm_act",
                      .attr = &(dr_batch_norm_act_attr){ 1e-5, DR_ACT_GELU },
                      .n_in = 3,
                      .label = "batch_norm_act of 37 channels",
                      .in = { IN(NORMAL, 2, 37, 30, 31), STATISTIC(NORMAL, 37), STATISTIC(NORMAL, 37) } });
    check(&(op_case){ .op = "batch_norm_act",
                      .attr = &(dr_batch_norm_act_attr){ 1e-5, DR_ACT_SILU },
                      .n_in = 3,
                      .label = "batch_norm_act of long runs",
                      .in = { IN(NORMAL, 3, 5, 3001), STATISTIC(NORMAL, 5), STATISTIC(NORMAL, 5) } });
}

static void group_norm_over_chunks_and_tiles(void **state)
{
    (void)state;
    static const int64_t groups[] = { 1, 6, 9, 36, 72 };
    for (int i = 0; i < 5; i++) {
        check(&(op_case){ .op = "group_norm_act",
                          .attr = &(dr_group_norm_act_attr){ groups[i], 1e-5, i },
                          .n_in = 3,
                          .label = "group_norm_act of 72 channels",
                          .in = { IN(NORMAL, 2, 72, 30, 31), STATISTIC(NORMAL, 72), STATISTIC(NORMAL, 72) } });
    }
    check(&(op_case){ .op = "group_norm_act",
                      .attr = &(dr_group_norm_act_attr){ 9, 1e-5, DR_ACT_SILU },
                      .n_in = 3,
                      .label = "group_norm_act of 72 channels, gamma of each image",
                      .in = { IN(NORMAL, 2, 72, 30, 31), STATISTIC(NORMAL, 2, 72), STATISTIC(NORMAL, 2, 72) } });
    check(&(op_case){ .op = "group_norm_act",
                      .attr = &(dr_group_norm_act_attr){ 3, 1e-5, DR_ACT_GELU },
                      .n_in = 3,
                      .label = "group_norm_act of long runs",
                      .in = { IN(NORMAL, 3, 6, 3001), STATISTIC(NORMAL, 6), STATISTIC(NORMAL, 6) } });
}

static void film_over_chunks_and_tiles(void **state)
{
    (void)state;
    check(&(op_case){ .op = "film",
                      .attr = &(dr_none_attr){ 0 },
                      .n_in = 3,
                      .label = "film of 72 channels",
                      .in = { IN(NORMAL, 2, 72, 30, 31), IN(NORMAL, 2, 72, 1, 1), IN(NORMAL, 2, 72, 1, 1) } });
    check(&(op_case){ .op = "film",
                      .attr = &(dr_none_attr){ 0 },
                      .n_in = 3,
                      .label = "film of 1000 tokens",
                      .in = { IN(NORMAL, 2, 1000, 21), STATISTIC(NORMAL, 2, 1, 21), STATISTIC(NORMAL, 2, 1, 21) } });
}

static void layer_norm_and_softmax_of_many_rows(void **state)
{
    (void)state;
    check(&(op_case){ .op = "layer_norm",
                      .attr = &(dr_layer_norm_attr){ 1e-5 },
                      .n_in = 3,
                      .label = "layer_norm of 700 rows",
                      .in = { IN(NORMAL, 700, 72), STATISTIC(NORMAL, 72), STATISTIC(NORMAL, 72) } });
    check(&(op_case){ .op = "layer_norm",
                      .attr = &(dr_layer_norm_attr){ 1e-5 },
                      .n_in = 3,
                      .label = "layer_norm of long rows",
                      .in = { IN(NORMAL, 130, 1037), STATISTIC(NORMAL, 1037), STATISTIC(NORMAL, 1037) } });
    check(&(op_case){ .op = "softmax",
                      .attr = &(dr_softmax_attr){ -1 },
                      .n_in = 1,
                      .label = "softmax of 264 columns",
                      .in = { IN(NORMAL, 50, 264) } });
}

static void losses_over_several_blocks(void **state)
{
    (void)state;
    check(&(op_case){ .op = "mse",
                      .attr = &(dr_mse_attr){ DR_REDUCE_MEAN },
                      .n_in = 3,
                      .label = "mse of 40 images",
                      .in = { IN(NORMAL, 40, 3, 16, 16), IN(NORMAL, 40, 3, 16, 16), STATISTIC(POSITIVE, 40) } });
    check(&(op_case){ .op = "mse",
                      .attr = &(dr_mse_attr){ DR_REDUCE_SUM },
                      .n_in = 2,
                      .label = "mse of 30003 values",
                      .in = { IN(NORMAL, 30003), IN(NORMAL, 30003) } });
    check(&(op_case){ .op = "cross_entropy",
                      .attr = &(dr_none_attr){ 0 },
                      .n_in = 2,
                      .label = "cross_entropy of 1100 rows",
                      .in = { IN(NORMAL, 1100, 10), { .values = IDS, .rank = 1, .shape = { 1100 }, .limit = 10 } } });
}

/* Statistics of [n,C] where the mean is large against the spread, of (0) even rows, (1) a row far off where distances
 * might be taken from, (2) rows that jump from one level to another. In doubles they are known to 1e-12. */
static void batch_statistics_of_a_large_mean(void **state)
{
    (void)state;
    enum { N = 6000, MOST = 8 };
    float *x = malloc(MOST * N * sizeof *x);
    assert_non_null(x);
    dr_device_use(cuda);
    for (int k = 0; k < 6; k++) {
        const int kind = k / 2, C = k % 2 ? MOST : 3; /* by packs, and one by one */
        double sum = 0, squares = 0;
        for (int i = 0; i < N; i++) {
            float level = kind == 2 && i > N / 3 ? -300.0f : 3000.0f;
            if (kind == 1 && (i == 0 || i == N / 2)) level = -3000.0f;
            for (int c = 0; c < C; c++) x[i * C + c] = level + (float)(i * 7919 % 1000) / 1000.0f;
        }
        for (int i = 0; i < N; i++) sum += (double)x[i * C];
        for (int i = 0; i < N; i++) squares += ((double)x[i * C] - sum / N) * ((double)x[i * C] - sum / N);
        dr_tensor *vector = dr_tensor_full(DR_F32, DR_SHAPE(C), 1.0), *out[3] = { NULL };
        float mean[MOST], var[MOST];
        dr_apply("batch_norm_act", (dr_tensor *[]){ dr_tensor_from(DR_F32, DR_SHAPE(N, C), x), vector, vector }, 3,
                 &(dr_batch_norm_act_attr){ 1e-5, DR_ACT_NONE }, out);
        if (dr_tensor_read(out[1], DR_F32, mean) != DR_OK || dr_tensor_read(out[2], DR_F32, var) != DR_OK)
            fail_msg("%s", dr_error_message());
        for (int c = 0; c < C; c++) {
            if (!(fabs((double)mean[c] - sum / N) <= 2e-7 * (fabs(sum / N) + sqrt(squares / N))))
                fail_msg("kind %d: mean %.9g, should be %.9g", kind, (double)mean[c], sum / N);
            if (!(fabs((double)var[c] * N / squares - 1) < 1e-5))
                fail_msg("kind %d: variance %.9g, should be %.9g", kind, (double)var[c], squares / N);
        }
    }
    free(x);
    dr_device_use(ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_norm_over_chunks_and_tiles), cmocka_unit_test(group_norm_over_chunks_and_tiles),
        cmocka_unit_test(film_over_chunks_and_tiles),       cmocka_unit_test(layer_norm_and_softmax_of_many_rows),
        cmocka_unit_test(losses_over_several_blocks),       cmocka_unit_test(batch_statistics_of_a_large_mean),
    };
    if (!there_is_cuda()) return 77;
    return cmocka_run_group_tests(tests, open_ref_and_cuda, close_all);
}
