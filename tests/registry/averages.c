/* Averages of weights: every rule's decay is a share that never falls (tests/checks/averages.c). */
#include "walk.h"

static void all_rules(void **state)
{
    (void)state;
    every("ema", 3, "decays are shares that never fall");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(all_rules) };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
