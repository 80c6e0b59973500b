/* gradients_match_finite_differences.c: for every op of the registry that has a gradient, in f64 on ref: what backward
 * gives is (f(x + h) - f(x - h)) / 2h with f = sum of upstream y, h = 1e-5. The difference's own error is about h^2
 * from the third derivative and 1e-16/h from rounding, 1e-10 each at values near 1; 1e-6 of the largest gradient is
 * allowed. A registered op without a case here fails: none can be forgotten. */
#include "../host.h"
#include "op_cases.h"

#include <math.h>

enum { SAMPLED = 10 }; /* elements of each input that are moved */

static bool differentiable(const dr_op *op) { return !(op->flags & (DR_OP_NONDIFF | DR_OP_MUTATES)); }

static case_run on_ref(uint32_t need)
{
    return (case_run){ .device = dr_device_open("ref", DR_NO_ARGS),
                       .dtype = DR_F64,
                       .layout = DR_LAYOUT_ROW,
                       .need = need,
                       .nudged = -1 };
}

/* sum of upstream y with one element moved; NAN where the op fails */
static double value_at(const op_case *c, int input, int64_t at, double by)
{
    case_run run = on_ref(0);
    run.nudged = input;
    run.at = at;
    run.by = by;
    case_result r;
    if (!run_case(c, &run, &r)) return NAN;
    const int64_t n = view_count(&r.view[0]);
    double *upstream = case_upstream(c, n), total = 0.0;
    for (int64_t k = 0; k < n; k++) total += upstream[k] * r.out[0][k];
    free(upstream);
    free_result(&r);
    return total;
}

static double slope_at(const op_case *c, int input, int64_t at, double h)
{
    return (value_at(c, input, at, h) - value_at(c, input, at, -h)) / (2.0 * h);
}

/* A step may cross the kink of an activation that lies closer than h: then one of h/100 says what it is worth. */
static int check_input(const op_case *c, int i, const double *grad)
{
    const double h = 1e-5;
    const int64_t n = input_count(&c->in[i]);
    const double allowed = 1e-6 * fmax(1.0, grad ? largest(grad, n) : 0.0);
    const int64_t step = n <= SAMPLED ? 1 : n / SAMPLED;
    for (int64_t at = 0; at < n; at += step) {
        const double got = grad ? grad[at] : 0.0, numeric = slope_at(c, i, at, h);
        if (fabs(got - numeric) <= allowed || fabs(got - slope_at(c, i, at, h / 100)) <= allowed) continue;
        print_error("%s: gradient of input %d at %lld is %.9g, finite differences say %.9g %s\n", c->label, i + 1,
                    (long long)at, got, numeric, dr_error_message());
        dr_error_clear();
        return 1;
    }
    return 0;
}

static void of_every_case(void **state)
{
    (void)state;
    int failed = 0, checked = 0;
    for (int k = 0; k < op_case_count(); k++) {
        const op_case *c = op_case_at(k);
        if (!op_of(c) || !differentiable(op_of(c)) || c->stepwise) continue;
        const case_run run = on_ref(~0u);
        case_result r;
        if (!run_case(c, &run, &r)) {
            print_error("%s: %s\n", c->label, dr_error_message());
            dr_error_clear();
            failed++;
        }
        for (int i = 0; i < c->n_in && r.out[0]; i++) {
            if (!wants_gradient(&c->in[i])) continue;
            failed += check_input(c, i, r.grad[i]);
            checked++;
        }
        free_result(&r);
    }
    print_message("%d gradients checked\n", checked);
    assert_true(checked > 400);
    assert_int_equal(failed, 0);
}

/* A gradient does not depend on which other inputs want theirs, and none is made that nobody wants. */
static void of_each_input_alone(void **state)
{
    (void)state;
    int failed = 0;
    for (int k = 0; k < op_case_count(); k++) {
        const op_case *c = op_case_at(k);
        if (!op_of(c) || !differentiable(op_of(c))) continue;
        const case_run all_run = on_ref(~0u);
        case_result all;
        if (!run_case(c, &all_run, &all)) fail_msg("%s: %s", c->label, dr_error_message());
        for (int i = 0; i < c->n_in; i++) {
            if (!wants_gradient(&c->in[i])) continue;
            const case_run run = on_ref(1u << i);
            case_result one;
            if (!run_case(c, &run, &one)) fail_msg("%s: %s", c->label, dr_error_message());
            for (int j = 0; j < c->n_in; j++) {
                const bool wanted = j == i && all.grad[j];
                const int64_t n = input_count(&c->in[j]);
                if (wanted == (one.grad[j] != NULL) &&
                    (!wanted || difference(one.grad[j], all.grad[j], n) <= 1e-12 * fmax(1.0, largest(all.grad[j], n))))
                    continue;
                print_error("%s: with only input %d wanting its gradient, that of input %d differs\n", c->label, i + 1,
                            j + 1);
                failed++;
            }
            free_result(&one);
        }
        free_result(&all);
    }
    assert_int_equal(failed, 0);
}

static void no_op_is_forgotten(void **state)
{
    (void)state;
    int failed = 0, ops = 0;
    const dr_component *component;
    for (int64_t i = 0; (component = next_op(&i));) {
        const dr_op *op = component->iface;
        ops++;
        if (!differentiable(op)) continue;
        if (!op->backward && !op->compose) {
            print_error("%s: has neither backward nor a composed form, and is not marked DR_OP_NONDIFF\n",
                        component->name);
            failed++;
        }
        bool tried = false;
        for (int k = 0; k < op_case_count() && !tried; k++) {
            const op_case *c = op_case_at(k);
            tried = strcmp(c->op, component->name) == 0 && !c->stepwise;
        }
        if (tried) continue;
        print_error("%s: has a gradient but no case in op_cases.c\n", component->name);
        failed++;
    }
    assert_true(ops > 80);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_every_case),
        cmocka_unit_test(of_each_input_alone),
        cmocka_unit_test(no_op_is_forgotten),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
