/* Every component of the registry: it can be built with its defaults, every parameter takes its bounds and refuses what
 * lies just past them with a message that names it (tests/checks/parameters.c), and what is required is missed. */
#include "walk.h"

static void every_parameter_holds_its_bounds(void **state)
{
    (void)state;
    every(NULL, 40, "every parameter takes its bounds and refuses what is past them");
}

static void rows_make_sense(void **state)
{
    (void)state;
    every(NULL, 200, "is named and documented, and its parameters' rows make sense");
}

static void components_are_built_with_defaults(void **state)
{
    (void)state;
    every(NULL, 100, "can be made with its defaults");
}

static void what_is_required_is_missed(void **state)
{
    (void)state;
    every(NULL, 100, "what is required is missed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parameter_holds_its_bounds),
        cmocka_unit_test(rows_make_sense),
        cmocka_unit_test(components_are_built_with_defaults),
        cmocka_unit_test(what_is_required_is_missed),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
