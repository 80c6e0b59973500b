/* The normal distribution's quantile: its function brings u back to double precision, in the tails as well; known values;
 * symmetry; the ends. */
#include "../host.h"

#include <math.h>

static double lower_tail_of(double z) { return erfc(-z / sqrt(2.0)) / 2.0; }

static void the_distribution_brings_u_back(void **state)
{
    (void)state;
    for (int k = -1020; k <= -1; k++) { /* down to where doubles end */
        const double u = ldexp(1.0, k), z = dr_normal_quantile(u);
        if (!(fabs(lower_tail_of(z) / u - 1.0) < 1e-15 * (2.0 + z * z))) fail_msg("at 2^%d: %.17g", k, z);
    }
    for (int i = 1; i < 1000; i++) {
        const double u = i / 1000.0, z = dr_normal_quantile(u);
        assert_true(fabs(lower_tail_of(z) - u) < 1e-15);
        assert_true(z > dr_normal_quantile((i - 1) / 1000.0));
    }
}

static void known_values(void **state)
{
    (void)state;
    assert_true(dr_normal_quantile(0.5) == 0.0 || fabs(dr_normal_quantile(0.5)) < 1e-16);
    assert_true(fabs(dr_normal_quantile(0.975) - 1.959963984540054) < 1e-14);
    assert_true(fabs(dr_normal_quantile(0.99) - 2.3263478740408408) < 1e-14);
    assert_true(fabs(dr_normal_quantile(1e-10) + 6.361340902404056) < 1e-13);
    assert_true(dr_normal_quantile(0.25) == -dr_normal_quantile(0.75));
}

static void the_ends_are_infinite(void **state)
{
    (void)state;
    assert_true(dr_normal_quantile(0.0) == -INFINITY && dr_normal_quantile(1.0) == INFINITY);
    assert_true(isfinite(dr_normal_quantile(nextafter(1.0, 0.0))) && isfinite(dr_normal_quantile(5e-324)));
    assert_true(isnan(dr_normal_quantile(-0.1)) && isnan(dr_normal_quantile(1.1)) && isnan(dr_normal_quantile(NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_distribution_brings_u_back),
        cmocka_unit_test(known_values),
        cmocka_unit_test(the_ends_are_infinite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
