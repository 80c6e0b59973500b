/* cpu_matches_ref.c: every op and case on cpu in f32, with images row-major and channels-last and with views that have
 * holes, forward and gradients, against ref in f64 on the same numbers.
 * Tolerance: f32_allowance (both_devices.h); whole numbers must be equal. */
#include "../host.h"
#include "both_devices.h"
#include "matches_ref.h"

#include <stdlib.h>

static void check_all(dr_device *device, dr_layout layout) { cases_match_in_f32(f32_on(device, layout, ~0u)); }

static void ref_itself_channels_last(void **state)
{
    (void)state;
    check_all(ref, DR_LAYOUT_CL);
}

static void on_row_major_images(void **state)
{
    (void)state;
    check_all(cpu, DR_LAYOUT_ROW);
}

static void on_channels_last_images(void **state)
{
    (void)state;
    check_all(cpu, DR_LAYOUT_CL);
}

/* Small convolutions run by oneDNN unless told otherwise. Winograd's forms round more, within what is allowed here. */
static void by_each_form_of_convolution(void **state)
{
    (void)state;
    static const char *const forms[] = { "onednn", "outer", "winograd", "winograd_small" };
    int failed = 0;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        setenv("DRIFT_CPU_CONV", forms[i], 1);
        for (int k = 0; k < 2; k++) { /* with gradients an op with an epilogue is run by its parts */
            for (int n = 0; n < op_case_count(); n++) {
                const op_case *c = op_case_at(n);
                if (strncmp(c->op, "conv", 4) != 0) continue;
                const uint32_t need = k ? ~0u : 0;
                const case_run run = {
                    .device = ref, .dtype = DR_F64, .layout = DR_LAYOUT_ROW, .need = need, .nudged = -1
                };
                case_result want;
                assert_true(run_case(c, &run, &want));
                const case_run fast = f32_on(cpu, DR_LAYOUT_CL, need);
                failed += f32_case_differs(c, &fast, &want);
                free_result(&want);
            }
        }
    }
    unsetenv("DRIFT_CPU_CONV");
    assert_int_equal(failed, 0);
}

/* Where a gradient is wanted, an op without a backward is run by its parts; its own kernel runs only without one. */
static void without_gradients(void **state)
{
    (void)state;
    cases_match_in_f32(f32_on(ref, DR_LAYOUT_CL, 0));
    cases_match_in_f32(f32_on(cpu, DR_LAYOUT_CL, 0));
    cases_match_in_f32(f32_on(cpu, DR_LAYOUT_ROW, 0));
}

static void on_views_with_holes(void **state)
{
    (void)state;
    cases_with_holes_match_in_f32(cpu, false);
}

static void on_parts_of_joined_images(void **state)
{
    (void)state;
    cases_with_holes_match_in_f32(cpu, true);
}

/* A composed form would hide a kernel that is missing. */
static void with_a_kernel_wherever_ref_has_one(void **state)
{
    (void)state;
    has_kernels_wherever_ref_has(cpu);
}

/* An op is tried by a case of its own, or (NAME_backward) through the gradient of NAME. */
static void no_op_is_forgotten(void **state)
{
    (void)state;
    int failed = 0;
    const dr_component *component;
    for (int64_t i = 0; (component = next_op(&i));) {
        char forward[64];
        snprintf(forward, sizeof forward, "%s", component->name);
        char *suffix = strstr(forward, "_backward");
        if (suffix) *suffix = '\0';
        if (op_has_case(component->name) || (suffix && op_has_case(forward))) continue;
        print_error("%s: no case in op_cases.c\n", component->name);
        failed++;
    }
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ref_itself_channels_last),
        cmocka_unit_test(on_row_major_images),
        cmocka_unit_test(on_channels_last_images),
        cmocka_unit_test(by_each_form_of_convolution),
        cmocka_unit_test(without_gradients),
        cmocka_unit_test(on_views_with_holes),
        cmocka_unit_test(on_parts_of_joined_images),
        cmocka_unit_test(with_a_kernel_wherever_ref_has_one),
        cmocka_unit_test(no_op_is_forgotten),
    };
    return cmocka_run_group_tests(tests, open_both, close_all);
}
