/* composed_matches_fused.c: where an op has a composed form and ref has a kernel for it, both give the same, forward
 * and gradients, in f64: within 1e-11 of the largest value. The composed form is the truth, the kernel
 * is held to it. */
#include "../host.h"
#include "op_cases.h"

#include <math.h>

static int compare(const op_case *c, const char *what, int i, const double *composed, const double *fused, int64_t n)
{
    if (!composed && !fused) return 0;
    const double off = composed && fused ? difference(composed, fused, n) : INFINITY;
    if (off <= 1e-11 * fmax(1.0, fused ? largest(fused, n) : 1.0)) return 0;
    print_error("%s: %s %d of the composed form and of the kernel differ by %.3g\n", c->label, what, i + 1, off);
    return 1;
}

/* The op's own kernel, or its gradient's, is there to be compared with. */
static bool is_fused(const op_case *c, dr_device *ref)
{
    const dr_op *op = op_of(c);
    return op && op->compose && dr_device_kernel(ref, c->op, DR_F64);
}

static bool gradient_is_fused(const op_case *c, dr_device *ref)
{
    char name[64];
    snprintf(name, sizeof name, "%s_backward", c->op);
    int64_t i = 0;
    for (const dr_component *component; (component = next_op(&i));) {
        const dr_op *op = component->iface;
        if (strcmp(component->name, name) == 0) return op->compose && dr_device_kernel(ref, name, DR_F64);
    }
    return false;
}

static void in_every_case(void **state)
{
    (void)state;
    dr_device *ref = dr_device_open("ref", DR_NO_ARGS);
    int failed = 0, compared = 0;
    for (int k = 0; k < op_case_count(); k++) {
        const op_case *c = op_case_at(k);
        if (!is_fused(c, ref) && !gradient_is_fused(c, ref)) continue;
        const case_run run = { .device = ref, .dtype = DR_F64, .layout = DR_LAYOUT_CL, .need = ~0u, .nudged = -1 };
        case_result fused, composed;
        const bool fused_ran = run_case(c, &run, &fused);
        dr_force_compose(true);
        const bool composed_ran = fused_ran && run_case(c, &run, &composed);
        dr_force_compose(false);
        if (!composed_ran) {
            print_error("%s: %s\n", c->label, dr_error_message());
            dr_error_clear();
            failed++;
        }
        for (int j = 0; composed_ran && j < fused.n_out; j++) {
            failed += compare(c, "output", j, composed.out[j], fused.out[j], view_count(&fused.view[j]));
        }
        for (int i = 0; composed_ran && i < c->n_in; i++) {
            failed += compare(c, "gradient", i, composed.grad[i], fused.grad[i], input_count(&c->in[i]));
        }
        compared++;
        if (fused_ran) free_result(&composed);
        free_result(&fused);
    }
    print_message("%d cases compared\n", compared);
    assert_true(compared > 100);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(in_every_case) };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
