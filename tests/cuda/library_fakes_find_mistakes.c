/* The fakes of cuDNN and cuBLASLt find calls in a wrong order, wrong attributes, shapes that do not fit and memory that is
 * not the device's, each of them, and find nothing in right calls.   label: cuda */
#include "fake_control.h"
#include "tensor.h"

static int mistakes_found(const char *library, const char *mistake)
{
    fake.make_wrong_call(library, mistake, dr_device_current()->self);
    const int found = fake.violations();
    fake.expect_violations();
    return found;
}

static void assert_each_is_found(const char *library, const char *const *mistakes, int n)
{
    assert_int_equal(mistakes_found(library, "none"), 0);
    for (int i = 0; i < n; i++) {
        if (mistakes_found(library, mistakes[i]) == 0) fail_msg("%s: '%s' is not noticed", library, mistakes[i]);
    }
}

static void in_products(void **state)
{
    static const char *const mistakes[] = { "promises too much alignment", "mixes types", "gives a wrong size", "forgets the bias",
                                            "has too small a leading dimension", "has unequal K", "takes another product's algorithm",
                                            "destroys too early", "writes past an allocation" };
    (void)state;
    assert_each_is_found("cublaslt", mistakes, sizeof mistakes / sizeof *mistakes);
}

static void in_convolutions(void **state)
{
    static const char *const mistakes[] = {
        "reads nothing of a virtual tensor", "has overlapping images", "forgets the type", "names a wrong type", "gives a wrong count",
        "gives two tensors one id", "forgets to finalize", "sets after finalizing", "pads on one side", "expects a wrong size",
        "brings no workspace", "forgets a tensor", "brings unaligned memory", "brings memory of the host",
        "brings memory that ends too early", "writes where it reads", "destroys too early"
    };
    (void)state;
    assert_each_is_found("cudnn", mistakes, sizeof mistakes / sizeof *mistakes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_products, open_emulated, close_emulated),
        cmocka_unit_test_setup_teardown(in_convolutions, open_emulated, close_emulated),
    };
    if (!there_is_a_fake()) return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
