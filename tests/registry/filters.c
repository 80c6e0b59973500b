/* Every filter of the registry: linear, of the image's shape, the same for every image of a batch, and an image of one
 * value stays as it is where the filter claims so; and what the built-in ones do. */
#include "walk.h"

#include <math.h>

static void filters_are_linear_and_keep_the_mean_that_they_claim(void **state)
{
    (void)state;
    every("filter", 5, "is linear and keeps the mean where it claims so");
    every("filter", 5, "other image sizes work or are refused");
}

static dr_tensor *filtered(const char *name, dr_args args, dr_tensor *x)
{
    dr_instance *f = dr_instance_new("filter", name, args);
    if (!f) fail_msg("filter %s: %s", name, dr_error_message());
    dr_tensor *y = dr_filter_apply(f, x);
    dr_instance_free(f);
    return y;
}

/* sigma 2 and kernel 33 are for 64 rows; at 128 they are 4 and 65, at 28 rows 0.875 and 15. */
static void a_blur_grows_with_the_image(void **state)
{
    (void)state;
    static const struct {
        int64_t rows, kernel;
        double sigma;
    } sizes[] = { { 64, 33, 2.0 }, { 128, 65, 4.0 }, { 28, 15, 0.875 } };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        dr_tensor *x = noise(DR_F32, DR_SHAPE(1, 1, sizes[i].rows, sizes[i].rows), 1);
        dr_tensor *wanted = dr_gaussian_blur(x, sizes[i].kernel, sizes[i].sigma);
        assert_true(max_difference(filtered("gaussian_blur", DR_NO_ARGS, x), wanted) == 0.0);
    }
    dr_tensor *x = noise(DR_F32, DR_SHAPE(1, 1, 32, 32), 1);
    dr_tensor *plain = filtered("gaussian_blur", DR_ARGS(DR_I("reference_size", 0)), x);
    assert_true(max_difference(plain, dr_gaussian_blur(x, 33, 2.0)) == 0.0);
}

static void a_box_is_a_mean_with_reflected_edges(void **state)
{
    (void)state;
    dr_tensor *x = dr_tensor_from(DR_F32, DR_SHAPE(1, 1, 2, 3), (float[]){ 1, 2, 3, 4, 5, 6 });
    dr_tensor *y = filtered("box", DR_ARGS(DR_I("kernel", 3), DR_I("reference_size", 0)), x);
    double got[6];
    assert_int_equal(dr_tensor_read(y, DR_F64, got), DR_OK);
    /* rows 4 5 6 | 1 2 3 | 4 5 6 around row 0; columns 2 | 1 2 3 | 2 */
    const double row0[3] = { 1, 2, 3 }, row1[3] = { 4, 5, 6 };
    for (int r = 0; r < 2; r++) {
        for (int c = 0; c < 3; c++) {
            double sum = 0.0;
            for (int dc = -1; dc <= 1; dc++) {
                const int k = c + dc < 0 ? 1 : c + dc > 2 ? 1 : c + dc;
                sum += (r == 0 ? 1 : 2) * row0[k] + (r == 0 ? 2 : 1) * row1[k];
            }
            assert_true(fabs(got[r * 3 + c] - sum / 9.0) < 1e-6);
        }
    }
}

/* Along rows a picture that varies from row to row only is not blurred; across it is. */
static void motion_blurs_along_its_direction_alone(void **state)
{
    (void)state;
    dr_tensor *rows = dr_expand(noise(DR_F32, DR_SHAPE(1, 1, 40, 1), 1), DR_SHAPE(1, 1, 40, 40));
    dr_tensor *columns = dr_permute(rows, DR_SHAPE(0, 1, 3, 2));
    static const struct {
        double degrees;
        int blurs_rows, blurs_columns;
    } cases[] = { { 0, 0, 1 }, { 90, 1, 0 }, { 45, 1, 1 }, { 180, 0, 1 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const dr_args args = DR_ARGS(DR_R("length", 9), DR_R("degrees", cases[i].degrees));
        assert_int_equal(max_difference(filtered("motion", args, rows), rows) > 1e-5, cases[i].blurs_rows);
        assert_int_equal(max_difference(filtered("motion", args, columns), columns) > 1e-5, cases[i].blurs_columns);
    }
    /* counterclockwise: a point becomes a stroke from bottom left to top right */
    float point[81] = { 0 }, seen[81];
    point[40] = 1.0F;
    dr_tensor *y = filtered("motion", DR_ARGS(DR_R("length", 4), DR_R("degrees", 45), DR_I("reference_size", 0)),
                            dr_tensor_from(DR_F32, DR_SHAPE(1, 1, 9, 9), point));
    assert_int_equal(dr_tensor_read(y, DR_F32, seen), DR_OK);
    assert_true(seen[3 * 9 + 5] > 0.05F && seen[5 * 9 + 3] > 0.05F && seen[3 * 9 + 3] < 1e-6F &&
                seen[5 * 9 + 5] < 1e-6F);
}

static void gray_is_the_mean_over_channels(void **state)
{
    (void)state;
    dr_tensor *y =
        filtered("grayscale", DR_NO_ARGS, dr_tensor_from(DR_F32, DR_SHAPE(1, 3, 1, 2), (float[]){ 1, 2, 4, 8, 1, 2 }));
    assert_true(max_difference(y, dr_tensor_from(DR_F32, DR_SHAPE(1, 3, 1, 2), (float[]){ 2, 4, 2, 4, 2, 4 })) < 1e-6);
}

static void what_is_no_filter_is_refused(void **state)
{
    (void)state;
    assert_null(dr_instance_new("filter", "gaussian_blur", DR_ARGS(DR_I("kernel", 32))));
    assert_error_has("filter gaussian_blur: kernel = 32 must be odd");
    assert_null(dr_instance_new("filter", "box", DR_ARGS(DR_I("kernel", 4))));
    assert_error_has("filter box: kernel = 4 must be odd");
    assert_null(dr_instance_new("filter", "custom", DR_NO_ARGS));
    assert_error_has("filter custom: apply is required");
    assert_null(filtered("grayscale", DR_NO_ARGS, noise(DR_F32, DR_SHAPE(3, 3), 1)));
    assert_error_has("takes images [B,C,H,W]");
    assert_null(
        filtered("gaussian_blur", DR_ARGS(DR_I("reference_size", 0)), noise(DR_F32, DR_SHAPE(1, 1, 16, 16), 1)));
    assert_error_has("reflection by 16 needs an image of more than that");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_are_linear_and_keep_the_mean_that_they_claim),
        cmocka_unit_test(a_blur_grows_with_the_image),
        cmocka_unit_test(a_box_is_a_mean_with_reflected_edges),
        cmocka_unit_test(motion_blurs_along_its_direction_alone),
        cmocka_unit_test(gray_is_the_mean_over_channels),
        cmocka_unit_test(what_is_no_filter_is_refused),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
