/* averages.c: averages of weights and decays of the learning rate. Every rule's decay is a share in [0,1], at its
 * defaults and at each bound of its parameters, from the first step to the last that an integer can count; it never
 * falls, since memory only grows with training. Every decay of the learning rate starts at 1 and never rises. */
#include "kinds.h"

#include <math.h>

static void check_with(const dr_component *c, dr_args args)
{
    static const int64_t steps[] = { 1, 2, 3, 10, 1000, 1000000, (int64_t)1 << 40, INT64_MAX };
    dr_instance *i = built("ema", c->name, args);
    const dr_ema *api = i->iface;
    double before = 0.0;
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        const double d = api->decay(i->self, steps[k]), again = api->decay(i->self, steps[k]);
        expect(d >= before && d <= 1.0, "decay(%lld) = %g after %g", (long long)steps[k], d, before);
        expect(d == again, "decay(%lld) is %g, and %g when asked again", (long long)steps[k], d,
               again); /* of the step alone */
        before = d;
    }
    dr_instance_free(i);
}

static void check_ema(const dr_component *c)
{
    walk_args a;
    const dr_param *row;
    default_args(c, &a);
    check_with(c, a.args);
    for (int i = 0; (row = dr_param_at(c, i)); i++) {
        if (row->type != DR_PARAM_REAL) continue;
        const double bounds[] = { row->min, row->max };
        for (int b = 0; b < 2; b++) {
            if (!isfinite(bounds[b])) continue;
            default_args(c, &a);
            add_arg(&a, (dr_arg)DR_R(row->name, bounds[b]));
            check_with(c, a.args);
        }
    }
}

static void check_decay(const dr_component *c)
{
    enum { EPOCHS = 7 };
    dr_instance *d = instance_of(c);
    const dr_decay *api = d->iface;
    double before = api->factor(d->self, 0, EPOCHS);
    expect(before == 1.0, "before the first epoch the factor is %g, not 1", before);
    for (int e = 1; e <= EPOCHS; e++) {
        const double factor = api->factor(d->self, e, EPOCHS);
        expect(factor > 0.0 && factor <= before, "after epoch %d the factor is %g, before it %g", e, factor, before);
        before = factor;
    }
    dr_instance_free(d);
}

const check ema_checks[] = { { "decays are shares that never fall", check_ema }, { NULL, NULL } };
const check decay_checks[] = { { "starts at 1 and never rises", check_decay }, { NULL, NULL } };
