/* Averages of weights: every rule's decay is a share in [0,1], at its defaults and at each bound of its parameters,
 * from the first step to the last that an integer can count; it never falls, since memory only grows with training. */
#include "walk.h"

#include <math.h>

static void check_decay(const dr_component *c, dr_args args)
{
    static const int64_t steps[] = { 1, 2, 3, 10, 1000, 1000000, (int64_t)1 << 40, INT64_MAX };
    dr_instance *i = dr_instance_new("ema", c->name, args);
    if (!i) fail_msg("ema %s: %s", c->name, dr_error_message());
    const dr_ema *api = i->iface;
    double before = 0.0;
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        const double d = api->decay(i->self, steps[k]);
        if (!(d >= before && d <= 1.0))
            fail_msg("ema %s: decay(%lld) = %g after %g", c->name, (long long)steps[k], d, before);
        assert_true(d == api->decay(i->self, steps[k])); /* of the step alone */
        before = d;
    }
    dr_instance_free(i);
}

static void decays_are_shares_that_never_fall(const dr_component *c)
{
    walk_args a;
    const dr_param *row;
    default_args(c, &a);
    check_decay(c, a.args);
    for (int i = 0; (row = dr_param_at(c, i)); i++) {
        if (row->type != DR_PARAM_REAL) continue;
        const double bounds[] = { row->min, row->max };
        for (int b = 0; b < 2; b++) {
            if (!isfinite(bounds[b])) continue;
            default_args(c, &a);
            add_arg(&a, (dr_arg)DR_R(row->name, bounds[b]));
            check_decay(c, a.args);
        }
    }
}

static void all_rules(void **state)
{
    (void)state;
    for_each("ema", 3, decays_are_shares_that_never_fall);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(all_rules) };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
