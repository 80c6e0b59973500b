/* cuda_bf16_matches_ref.c: every op that cuda has a kernel for in bf16, on all its cases: bf16_matches_ref.c.
 * label: cuda */
#include "../host.h"
#include "both_devices.h"
#include "matches_ref.h"

static void outputs(void **state)
{
    (void)state;
    cases_match_in_bf16(cuda, DR_LAYOUT_CL, 0, false, 0);
    cases_match_in_bf16(cuda, DR_LAYOUT_ROW, 0, false, 0);
}

static void gradients(void **state)
{
    (void)state;
    cases_match_in_bf16(cuda, DR_LAYOUT_CL, 0, false, ~0u);
}

static void of_views_with_holes(void **state)
{
    (void)state;
    cases_match_in_bf16(cuda, DR_LAYOUT_CL, ~0u, false, ~0u);
    cases_match_in_bf16(cuda, DR_LAYOUT_ROW, 0x55555555u, false, ~0u);
}

static void of_parts_of_joined_images(void **state)
{
    (void)state;
    cases_match_in_bf16(cuda, DR_LAYOUT_CL, ~0u, true, ~0u);
}

static void of_large_tensors(void **state)
{
    (void)state;
    large_tensors_match_in_bf16(cuda);
}

static void random_numbers(void **state)
{
    (void)state;
    random_numbers_in_bf16_are_rounded(cuda);
}

static void with_kernels_of_their_own(void **state)
{
    (void)state;
    has_kernels_in_bf16(cuda);
}

static void rounding_of_single_numbers(void **state)
{
    (void)state;
    single_numbers_round_to_bf16(cuda);
}

int main(void)
{
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
    if (!there_is_cuda()) return 77;
    return cmocka_run_group_tests(tests, open_ref_and_cuda, close_all);
}
