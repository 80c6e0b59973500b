/* cuda_sums_in_parts.c: what the cases of op_cases.c are too small for on cuda: sums that many blocks share, in packs and
 * without; pooling over whole images; long rows; more weights than one launch's table has. Against ref, and the same bits
 * again when repeated. Without a GPU the device is emulated.
 * label: cuda */
#include "../host.h"
#include "matches_ref.h"

#include <math.h>
#include <stdio.h>

#define IN(kind, ...) \
    { \
        .values = kind, .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), .shape = { __VA_ARGS__ } \
    }

static void repeats(const op_case *c, const case_run *run)
{
    case_result first, again;
    if (!run_case(c, run, &first) || !run_case(c, run, &again)) fail_msg("%s: %s", c->label, dr_error_message());
    for (int j = 0; j < first.n_out; j++)
        assert_memory_equal(first.out[j], again.out[j], (size_t)view_count(&first.view[j]) * sizeof(double));
    free_result(&first);
    free_result(&again);
}

static void check(op_case c)
{
    const case_run exact = { .device = ref, .dtype = DR_F64, .layout = DR_LAYOUT_ROW, .nudged = -1 };
    const case_run run = f32_on(cuda, DR_LAYOUT_CL, 0);
    case_result want;
    snprintf(c.label, sizeof c.label, "%s of [%lld,%lld,..] (%d)", c.op, (long long)c.in[0].shape[0],
             (long long)c.in[0].shape[1], c.in[0].rank);
    if (!run_case(&c, &exact, &want)) fail_msg("%s: %s", c.label, dr_error_message());
    assert_int_equal(f32_case_differs(&c, &run, &want), 0);
    repeats(&c, &run);
    free_result(&want);
    if (dr_device_kernel(cuda, c.op, DR_BF16)) assert_int_equal(bf16_case_differs(cuda, &c, DR_LAYOUT_CL, 0, false, 0), 0);
}

static void check_sums(const char *op, const dr_sum_attr *attr, int64_t B, int64_t C, int64_t H, int64_t W)
{
    check((op_case){ .op = op, .attr = attr, .n_in = 1, .in = { IN(NORMAL, B, C, H, W) } });
}

static void of_images(void **state)
{
    (void)state;
    const dr_sum_attr pixels = { .dims = { 3, { 0, 2, 3 } } }, each = { .dims = { 2, { 2, 3 } } }, all = { .dims = { 0, { 0 } } },
                      channels = { .dims = { 1, { 1 } } }, rows = { .dims = { 2, { 0, 2 } } }, mixed = { .dims = { 2, { 1, 2 } } };
    const dr_sum_attr *attr[] = { &pixels, &each, &all, &channels, &rows, &mixed };
    for (int i = 0; i < 6; i++) {
        check_sums("sum", attr[i], 16, 64, 14, 14);
        check_sums("amax", attr[i], 16, 24, 13, 9);
        check_sums("mean", attr[i], 300, 3, 14, 9);
        check_sums("sum", attr[i], 7, 65, 9, 15);
    }
}

static void of_rows_and_columns(void **state)
{
    (void)state;
    const dr_sum_attr all = { .dims = { 0, { 0 } } }, first = { .dims = { 1, { 0 } } }, last = { .dims = { 1, { 1 } } };
    const int64_t shape[][2] = { { 30011, 3 }, { 3, 30011 }, { 4096, 2 }, { 600, 520 }, { 17, 4100 }, { 1, 70001 } };
    for (int i = 0; i < 6; i++) {
        const op_case c = { .op = "sum", .attr = &all, .n_in = 1, .in = { IN(NORMAL, shape[i][0], shape[i][1]) } };
        op_case by = c;
        check(c);
        by.attr = &first;
        check(by);
        by.attr = &last;
        check(by);
        by.op = "amax";
        check(by);
    }
}

static void of_windows_as_large_as_the_image(void **state)
{
    (void)state;
    for (int64_t C = 24; C <= 25; C++) {
        const op_case c = { .op = "avg_pool2d", .attr = &(dr_avg_pool2d_attr){ .kernel = 7, .stride = 0 }, .n_in = 1,
                            .in = { IN(NORMAL, 5, C, 7, 7) } };
        check(c);
    }
}

static void in_the_order_of_long_rows(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        const double q[] = { 0.0, 0.995, 0.37 };
        check((op_case){ .op = "quantile", .attr = &(dr_quantile_attr){ q[i] }, .n_in = 1,
                         .in = { IN(NORMAL, 3, 3, 64, 64) } });
    }
    check((op_case){ .op = "argmax", .attr = &(dr_argmax_attr){ 1 }, .n_in = 1, .in = { IN(NORMAL, 5, 5003) } });
    check((op_case){ .op = "argmax", .attr = &(dr_argmax_attr){ 0 }, .n_in = 1, .in = { IN(NORMAL, 5003, 5) } });
}

static void of_ids_that_are_repeated(void **state)
{
    (void)state;
    const op_case c = { .op = "embedding_backward", .attr = &(dr_embedding_backward_attr){ 9 }, .n_in = 2,
                        .in = { IN(NORMAL, 1500, 70), { .values = IDS, .rank = 1, .shape = { 1500 }, .limit = 9 } } };
    check(c);
}

/* ---- steps of optimizers ------------------------------------------------------------------------------------------- */

enum { WEIGHTS = 150, PER_WEIGHT = 5 };

static int64_t size_of(int w) { return w == 70 ? 9001 : 1 + w * 37 % 61; }

static void make_weights(dr_device *device, const double *numbers, dr_tensor **in) /* numbers, then groups of five */
{
    dr_device_use(device);
    in[0] = dr_tensor_from(DR_F64, DR_SHAPE(3), numbers);
    for (int w = 0; w < WEIGHTS; w++)
        for (int p = 0; p < PER_WEIGHT; p++) {
            const dr_rng rng = { .seed = 5, .purpose = (uint64_t)w, .step = (uint64_t)p };
            dr_device_use(ref);
            dr_tensor *values = dr_rand_uniform(DR_F32, DR_SHAPE(size_of(w)), &rng);
            float *v = malloc((size_t)size_of(w) * sizeof *v);
            assert_int_equal(dr_tensor_read(values, DR_F32, v), DR_OK);
            dr_device_use(device);
            in[1 + w * PER_WEIGHT + p] = dr_tensor_from(DR_F32, DR_SHAPE(size_of(w)), v);
            free(v);
        }
}

static void assert_alike(dr_tensor *got, dr_tensor *want, int64_t n)
{
    double *a = malloc((size_t)n * sizeof *a), *b = malloc((size_t)n * sizeof *b);
    assert_int_equal(dr_tensor_read(got, DR_F64, a), DR_OK);
    assert_int_equal(dr_tensor_read(want, DR_F64, b), DR_OK);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(a[i] - b[i]) <= 4e-7 * fmax(1.0, fabs(b[i])))) fail_msg("%lld: %.9g, should be %.9g", (long long)i, a[i], b[i]);
    free(a);
    free(b);
}

static void of_more_weights_than_a_table_has(void **state)
{
    (void)state;
    enum { N = 1 + WEIGHTS * PER_WEIGHT };
    static dr_tensor *on_ref[N], *on_cuda[N];
    const double numbers[] = { 0.01, 3, 0.99 };
    const dr_adam_step_attr adam = { .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.1, .decoupled = true,
                                     .averages = 1 };
    make_weights(ref, numbers, on_ref);
    make_weights(cuda, numbers, on_cuda);
    dr_device_use(ref);
    dr_apply("adam_step", on_ref, N, &adam, NULL);
    dr_tensor *norm_on_ref = dr_apply1("square_norm", on_ref + 1, N - 1, NULL);
    dr_apply("clip_step", (dr_tensor *[]){ norm_on_ref, on_ref[1], on_ref[4] }, 3, &(dr_clip_step_attr){ 1.0 }, NULL);
    dr_device_use(cuda);
    dr_apply("adam_step", on_cuda, N, &adam, NULL);
    dr_tensor *norm = dr_apply1("square_norm", on_cuda + 1, N - 1, NULL);
    dr_apply("clip_step", (dr_tensor *[]){ norm, on_cuda[1], on_cuda[4] }, 3, &(dr_clip_step_attr){ 1.0 }, NULL);
    if (dr_failed()) fail_msg("%s", dr_error_message());
    assert_alike(norm, norm_on_ref, 1);
    for (int w = 0; w < WEIGHTS; w++)
        for (int p = 0; p < PER_WEIGHT; p++)
            assert_alike(on_cuda[1 + w * PER_WEIGHT + p], on_ref[1 + w * PER_WEIGHT + p], size_of(w));
    dr_device_use(ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_images),
        cmocka_unit_test(of_rows_and_columns),
        cmocka_unit_test(of_windows_as_large_as_the_image),
        cmocka_unit_test(in_the_order_of_long_rows),
        cmocka_unit_test(of_ids_that_are_repeated),
        cmocka_unit_test(of_more_weights_than_a_table_has),
    };
    if (!there_is_cuda()) return 77;
    return cmocka_run_group_tests(tests, open_ref_and_cuda, close_all);
}
