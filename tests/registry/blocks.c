/* Every block keeps what tests/checks/blocks.c promises: gradients, shapes, rows that do not see each other, files. */
#include "walk.h"

static void gradients_reach_every_weight(void **state)
{
    (void)state;
    every("block", 10, "every weight and input has a gradient");
}

static void gradients_are_those_of_finite_differences(void **state)
{
    (void)state;
    every("block", 25, "each gradient is that of finite differences");
}

static void shapes_are_as_promised(void **state)
{
    (void)state;
    every("block", 10, "training and evaluation agree on shapes");
    every("block", 10, "in evaluation no row sees its neighbours");
    every("block", 8, "other image sizes work or are refused");
}

static void weights_survive_a_file(void **state)
{
    (void)state;
    every("block", 10, "weights and buffers survive a file");
}

static void plans_replay_blocks(void **state)
{
    (void)state;
    every("block", 25, "a replayed plan gives the same bits");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_reach_every_weight),
        cmocka_unit_test(gradients_are_those_of_finite_differences),
        cmocka_unit_test(shapes_are_as_promised),
        cmocka_unit_test(weights_survive_a_file),
        cmocka_unit_test(plans_replay_blocks),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
