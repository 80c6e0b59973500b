/* dropout_mask.c: what dropout promises beyond its shape: about p of the elements become 0 and the others grow by
 * 1/(1-p), the gradient passes where the values passed, and a sample's mask depends on its number alone: neither on the
 * batch around it, nor on memory order, dtype or device. */
#include "../host.h"

#include <math.h>

enum { B = 6, C = 5, H = 7, W = 9, ROW = C * H * W, N = B * ROW };

static dr_dropout_attr attr_from(double p, int64_t sample)
{
    return (dr_dropout_attr){ .p = p, .seed = 3, .purpose = 14, .step = 15, .sample = sample };
}

/* y of `rows` samples of ones, the first numbered `sample` */
static void drop_ones(double p, int64_t sample, int64_t rows, dr_dtype dtype, dr_layout layout, double *y)
{
    dr_scope_open();
    dr_tensor *ones = dr_tensor_new(dtype, 4, (int64_t[]){ rows, C, H, W }, layout);
    assert_int_equal(dr_fill(ones, 1.0), DR_OK);
    const dr_dropout_attr attr = attr_from(p, sample);
    assert_int_equal(dr_tensor_read(dr_apply1("dropout", &ones, 1, &attr), DR_F64, y), DR_OK);
    dr_scope_close();
}

static void drops_p_and_scales_the_rest(void **state)
{
    (void)state;
    static double y[N];
    drop_ones(0.3, 0, B, DR_F32, DR_LAYOUT_ROW, y);
    int dropped = 0;
    for (int i = 0; i < N; i++) {
        dropped += y[i] == 0.0;
        assert_true(y[i] == 0.0 || fabs(y[i] - 1.0 / 0.7) < 1e-6);
    }
    const double spread = sqrt(0.3 * 0.7 * N); /* binomial */
    assert_true(fabs(dropped - 0.3 * N) < 4.0 * spread);
    drop_ones(0.0, 0, B, DR_F32, DR_LAYOUT_ROW, y);
    for (int i = 0; i < N; i++) assert_true(y[i] == 1.0);
    drop_ones(1.0, 0, B, DR_F32, DR_LAYOUT_ROW, y);
    for (int i = 0; i < N; i++) assert_true(y[i] == 0.0);
}

static bool same_mask(const double *a, const double *b, int n)
{
    for (int i = 0; i < n; i++) {
        if ((a[i] == 0.0) != (b[i] == 0.0)) return false;
    }
    return true;
}

static void gives_a_sample_its_own_mask(void **state)
{
    (void)state;
    static double all[N], part[N];
    drop_ones(0.5, 100, B, DR_F32, DR_LAYOUT_ROW, all);
    drop_ones(0.5, 102, 3, DR_F32, DR_LAYOUT_ROW, part);
    assert_true(same_mask(all + 2 * ROW, part, 3 * ROW));
    assert_false(same_mask(all, all + ROW, ROW));
    drop_ones(0.5, 100, B, DR_F32, DR_LAYOUT_CL, part);
    assert_true(same_mask(all, part, N));
    drop_ones(0.5, 100, B, DR_F64, DR_LAYOUT_CL, part);
    assert_true(same_mask(all, part, N));
    dr_device *ref = dr_device_current(), *cpu = dr_device_open("cpu", DR_NO_ARGS);
    assert_non_null(cpu);
    dr_device_use(cpu);
    drop_ones(0.5, 100, B, DR_F32, DR_LAYOUT_CL, part);
    dr_device_use(ref);
    assert_true(same_mask(all, part, N));
}

static void passes_the_gradient_where_values_passed(void **state)
{
    (void)state;
    static double y[N], grad[N];
    dr_tensor *x = dr_requires_grad(dr_tensor_full(DR_F64, 4, (int64_t[]){ B, C, H, W }, 1.0), true);
    const dr_dropout_attr attr = attr_from(0.4, 0);
    dr_tensor *out = dr_apply1("dropout", &x, 1, &attr);
    assert_int_equal(dr_tensor_read(out, DR_F64, y), DR_OK);
    assert_int_equal(dr_backward(dr_sum(out, 0, NULL, false), NULL), DR_OK);
    assert_int_equal(dr_tensor_read(dr_grad(x), DR_F64, grad), DR_OK);
    for (int i = 0; i < N; i++) assert_true(grad[i] == y[i]); /* x is 1 */
    dr_zero_grad(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drops_p_and_scales_the_rest),
        cmocka_unit_test(gives_a_sample_its_own_mask),
        cmocka_unit_test(passes_the_gradient_where_values_passed),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
