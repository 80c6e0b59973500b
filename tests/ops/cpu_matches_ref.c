/* cpu_matches_ref.c: every op and case on cpu in f32, with images row-major and channels-last and with views that have
 * holes, forward and gradients, against ref in f64 on the same numbers.
 * Tolerance: f32_allowance (both_devices.h); whole numbers must be equal. */
#include "../host.h"
#include "both_devices.h"

#include <math.h>
#include <stdlib.h>

static int compare(const op_case *c, const char *how, const char *what, int i, const double *got, const double *want,
                   int64_t n, bool whole)
{
    if (!got && !want) return 0;
    if (!got || !want) {
        print_error("%s, %s: %s %d is there on one device only\n", c->label, how, what, i + 1);
        return 1;
    }
    const double allowed = whole ? 0.0 : f32_allowance(c, want, n);
    const double off = difference(got, want, n);
    if (off <= allowed) return 0;
    int64_t at = 0;
    for (int64_t k = 0; k < n; k++) {
        if (!(fabs(got[k] - want[k]) <= allowed)) {
            at = k;
            break;
        }
    }
    print_error("%s, %s: %s %d differs by %.3g (allowed %.3g): element %lld is %.9g, should be %.9g\n", c->label, how,
                what, i + 1, off, allowed, (long long)at, got[at], want[at]);
    return 1;
}

static case_run f32_on(dr_device *device, dr_layout layout, uint32_t need)
{
    return (case_run){ .device = device, .dtype = DR_F32, .layout = layout, .need = need, .nudged = -1 };
}

static int check_case(const op_case *c, const case_run *run, const case_result *want)
{
    char how[64];
    snprintf(how, sizeof how, "%s %s%s", dr_device_name(run->device),
             run->layout == DR_LAYOUT_CL ? "channels-last" : "row-major",
             run->joined ? ", parts of joined images" : run->holes ? ", views with holes" : "");
    case_result got;
    int failed = 0;
    if (!run_case(c, run, &got)) {
        print_error("%s, %s: %s\n", c->label, how, dr_error_message());
        dr_error_clear();
        free_result(&got);
        return 1;
    }
    for (int j = 0; j < want->n_out && failed == 0; j++) {
        const int32_t dtype = want->view[j].dtype;
        const bool whole = dtype == DR_I32 || dtype == DR_I64 || dtype == DR_U8 || dtype == DR_BOOL ||
                           dtype == DR_BF16 || dtype == DR_F16;
        failed += compare(c, how, "output", j, got.out[j], want->out[j], view_count(&want->view[j]), whole);
    }
    for (int i = 0; i < c->n_in && failed == 0; i++) {
        failed += compare(c, how, "gradient", i, got.grad[i], want->grad[i], input_count(&c->in[i]), false);
    }
    free_result(&got);
    return failed;
}

static bool has_images(const op_case *c)
{
    for (int i = 0; i < c->n_in; i++) {
        if (c->in[i].values != ABSENT && c->in[i].rank == 4) return true;
    }
    return false;
}

static bool needs_dense(const op_case *c) /* steps in place; fill and assign take any view */
{
    return op_of(c) && (op_of(c)->flags & DR_OP_MUTATES) && strcmp(c->op, "fill") != 0 && strcmp(c->op, "assign") != 0;
}

static void check_all_by(case_run run)
{
    int failed = 0;
    for (int k = 0; k < op_case_count(); k++) {
        const op_case *c = op_case_at(k);
        if (run.layout == DR_LAYOUT_CL && !has_images(c)) continue;
        if (run.holes && needs_dense(c)) continue;
        const case_run exact = {
            .device = ref, .dtype = DR_F64, .layout = DR_LAYOUT_ROW, .need = run.need, .nudged = -1
        };
        case_result want;
        if (!run_case(c, &exact, &want)) {
            print_error("%s, ref: %s\n", c->label, dr_error_message());
            dr_error_clear();
            failed++;
        } else {
            failed += check_case(c, &run, &want);
        }
        free_result(&want);
    }
    assert_int_equal(failed, 0);
}

static void check_all(dr_device *device, dr_layout layout) { check_all_by(f32_on(device, layout, ~0u)); }

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
                failed += check_case(c, &fast, &want);
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
    check_all_by(f32_on(ref, DR_LAYOUT_CL, 0));
    check_all_by(f32_on(cpu, DR_LAYOUT_CL, 0));
    check_all_by(f32_on(cpu, DR_LAYOUT_ROW, 0));
}

/* Every other input, then those between, then all. */
static void check_all_with_holes(bool joined)
{
    const uint32_t which[] = { 0x55555555u, 0xaaaaaaaau, ~0u };
    for (int k = 0; k < 6; k++) {
        case_run run = f32_on(cpu, k % 2 ? DR_LAYOUT_ROW : DR_LAYOUT_CL, ~0u);
        run.holes = which[k / 2];
        run.joined = joined;
        check_all_by(run);
    }
}

static void on_views_with_holes(void **state)
{
    (void)state;
    check_all_with_holes(false);
}

static void on_parts_of_joined_images(void **state)
{
    (void)state;
    check_all_with_holes(true);
}

/* A composed form would hide a kernel that is missing. */
static void with_a_kernel_wherever_ref_has_one(void **state)
{
    (void)state;
    int failed = 0;
    const dr_component *component;
    for (int64_t i = 0; (component = next_op(&i));) {
        if (!dr_device_kernel(ref, component->name, DR_F32) || dr_device_kernel(cpu, component->name, DR_F32)) continue;
        print_error("%s: ref has a kernel for it, cpu has none\n", component->name);
        failed++;
    }
    assert_int_equal(failed, 0);
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
