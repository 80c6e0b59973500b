/* cuda_matches_ref.c: every op and case on cuda in f32, with images row-major and channels-last and with views that have
 * holes, forward and gradients, against ref in f64 on the same numbers. Without a GPU the device is emulated.
 * label: cuda */
#include "../host.h"
#include "both_devices.h"
#include "matches_ref.h"

static void on_row_major_images(void **state)
{
    (void)state;
    cases_match_in_f32(f32_on(cuda, DR_LAYOUT_ROW, ~0u));
}

static void on_channels_last_images(void **state)
{
    (void)state;
    cases_match_in_f32(f32_on(cuda, DR_LAYOUT_CL, ~0u));
}

/* Where a gradient is wanted, an op without a backward is run by its parts; its own kernel runs only without one. */
static void without_gradients(void **state)
{
    (void)state;
    cases_match_in_f32(f32_on(cuda, DR_LAYOUT_CL, 0));
    cases_match_in_f32(f32_on(cuda, DR_LAYOUT_ROW, 0));
}

static void on_views_with_holes(void **state)
{
    (void)state;
    cases_with_holes_match_in_f32(cuda, false);
}

static void on_parts_of_joined_images(void **state)
{
    (void)state;
    cases_with_holes_match_in_f32(cuda, true);
}

/* A composed form would hide a kernel that is missing. */
static void with_a_kernel_wherever_ref_has_one(void **state)
{
    (void)state;
    has_kernels_wherever_ref_has(cuda);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_row_major_images),
        cmocka_unit_test(on_channels_last_images),
        cmocka_unit_test(without_gradients),
        cmocka_unit_test(on_views_with_holes),
        cmocka_unit_test(on_parts_of_joined_images),
        cmocka_unit_test(with_a_kernel_wherever_ref_has_one),
    };
    if (!there_is_cuda()) return 77;
    return cmocka_run_group_tests(tests, open_ref_and_cuda, close_all);
}
