/* Every optimizer: it minimises a quadratic, leaves a weight without a gradient alone, clears the gradients that it has
 * used, and goes on from a file as if it had not stopped. Every decay: starts at 1 and never rises. */
#include "walk.h"

#include <math.h>

static void every_optimizer_minimises_a_quadratic(void **state)
{
    (void)state;
    every("optim", 3, "minimises a quadratic");
}

static void every_optimizer_resumes(void **state)
{
    (void)state;
    every("optim", 3, "goes on from a file");
}

static void every_optimizer_is_replayed(void **state)
{
    (void)state;
    every("optim", 3, "a replayed step gives the same bits");
}

static void every_decay_starts_at_one_and_never_rises(void **state)
{
    (void)state;
    every("decay", 2, "starts at 1 and never rises");
}

static void exponential_ends_where_it_says(void **state)
{
    (void)state;
    dr_instance *d = dr_instance_new("decay", "exponential", DR_ARGS(DR_R("to", 0.1)));
    const dr_decay *api = d->iface;
    double lr = 1.0;
    for (int e = 1; e <= 20; e++) { /* times 0.1^(1/20) after every epoch */
        lr *= pow(0.1, 1.0 / 20);
        assert_true(fabs(api->factor(d->self, e, 20) - lr) < 1e-12);
    }
    dr_instance_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_optimizer_minimises_a_quadratic),
        cmocka_unit_test(every_optimizer_resumes),
        cmocka_unit_test(every_optimizer_is_replayed),
        cmocka_unit_test(every_decay_starts_at_one_and_never_rises),
        cmocka_unit_test(exponential_ends_where_it_says),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
