/* half_precision_only_rounds.c: every op takes bf16 and f16, and gives what f64 gives on the same numbers but for
 * rounding: inputs, results and each op of a composed form are rounded to 8 (11) bits, while statistics, gamma, beta
 * and losses stay f32. Allowed are 16 roundings, 16 x 2^-9 (2^-12), of the largest value; sums inside a kernel of ref
 * are exact, so their length does not matter. */
#include "../host.h"
#include "op_cases.h"

#include <math.h>

typedef struct half {
    dr_dtype dtype;
    double rounding; /* half a unit in the last place, relative */
} half;

static int compare(const op_case *c, dr_dtype dtype, const char *what, int i, const double *got, const double *want,
                   int64_t n, double allowed)
{
    if (!got && !want) return 0;
    const double off = got && want ? difference(got, want, n) : INFINITY;
    if (off <= allowed * fmax(1.0, want ? largest(want, n) : 1.0)) return 0;
    print_error("%s, %s: %s %d is off by %.3g\n", c->label, dr_dtype_name(dtype), what, i + 1, off);
    return 1;
}

/* In f64 on numbers that dtype holds exactly: what the narrow run would give without rounding. */
static bool exact(const op_case *c, const half *h, case_result *want)
{
    case_run run = { .device = dr_device_current(),
                     .dtype = DR_F64,
                     .rounded_to = h->dtype,
                     .round = true,
                     .layout = DR_LAYOUT_ROW,
                     .need = ~0u,
                     .nudged = -1 };
    return run_case(c, &run, want);
}

static bool has_floats(const op_case *c)
{
    for (int i = 0; i < c->n_in; i++) {
        if (wants_gradient(&c->in[i]) && !c->in[i].statistic) return true;
    }
    return false;
}

static void check_all(const half *h)
{
    int failed = 0, compared = 0;
    for (int k = 0; k < op_case_count(); k++) {
        const op_case *c = op_case_at(k);
        if (!op_of(c) || (op_of(c)->flags & DR_OP_MUTATES) || c->stepwise || !has_floats(c)) continue;
        const case_run run = {
            .device = dr_device_current(), .dtype = h->dtype, .layout = DR_LAYOUT_CL, .need = ~0u, .nudged = -1
        };
        case_result got = { 0 }, want;
        if (!exact(c, h, &want) || !run_case(c, &run, &got)) {
            print_error("%s, %s: %s\n", c->label, dr_dtype_name(h->dtype), dr_error_message());
            dr_error_clear();
            failed++;
        }
        for (int j = 0; got.n_out && j < want.n_out; j++) {
            failed += compare(c, h->dtype, "output", j, got.out[j], want.out[j], view_count(&want.view[j]),
                              16.0 * h->rounding);
        }
        for (int i = 0; got.n_out && i < c->n_in; i++) {
            failed += compare(c, h->dtype, "gradient", i, got.grad[i], want.grad[i], input_count(&c->in[i]),
                              16.0 * h->rounding);
        }
        compared++;
        free_result(&got);
        free_result(&want);
    }
    assert_true(compared > 400);
    assert_int_equal(failed, 0);
}

static void in_bf16(void **state)
{
    (void)state;
    check_all(&(half){ DR_BF16, 1.0 / 512.0 });
}

static void in_f16(void **state)
{
    (void)state;
    check_all(&(half){ DR_F16, 1.0 / 4096.0 });
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(in_bf16), cmocka_unit_test(in_f16) };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
