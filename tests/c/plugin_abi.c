/* Plugins: what does not fit is refused with a message, before its code runs, and leaves nothing behind; what fits is
 * there with its parameters checked. The plugins are in tests/plugins. */
#include "../host.h"

static char path[4096];

static const char *test_plugin(const char *name)
{
    const char *folder = getenv("DRIFT_TEST_PLUGIN_DIR");
    snprintf(path, sizeof path, "%s/%s.so", folder ? folder : ".", name);
    return path;
}

static void refused(const char *name, dr_status code, const char *message)
{
    const int64_t plugins = dr_plugin_count(), components = dr_component_count();
    assert_int_equal(dr_plugin_load(test_plugin(name)), code);
    assert_error_has(message);
    assert_int_equal(dr_plugin_count(), plugins);
    assert_int_equal(dr_component_count(), components);
}

static void another_major_version_is_refused(void **state)
{
    (void)state;
    refused("other_major", DR_EABI, "rebuild it against these headers");
}

static void a_newer_minor_version_is_refused(void **state)
{
    (void)state;
    refused("newer_minor", DR_EABI, "rebuild it against these headers");
}

static void a_table_smaller_than_that_of_1_0_is_refused(void **state)
{
    (void)state;
    refused("smaller_table", DR_EABI, "it is no table of DR_PLUGIN");
}

static void a_metric_with_a_wrong_table_is_refused(void **state)
{
    (void)state;
    refused("bad_metric", DR_EABI, "metric bad_metric: it has 1000 values; 1 to 4");
}

static void a_library_that_is_no_plugin_is_refused(void **state)
{
    (void)state;
    refused("no_entry", DR_EABI, "no symbol dr_plugin_entry");
}

static void a_plugin_may_refuse_to_load(void **state)
{
    (void)state;
    refused("refuses", DR_EUNSUPPORTED, "needs a quantum processor");
}

static void a_name_taken_twice_leaves_nothing_behind(void **state)
{
    (void)state;
    refused("duplicate_name", DR_EINVAL, "decay constant is already registered by plugin decay");
    assert_null(dr_component_find("decay", "aardvark"));
    assert_error_has("there is no decay 'aardvark'");
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    refused("not_there", DR_EIO, "not_there.so");
}

static void a_file_that_is_no_library_is_refused(void **state)
{
    (void)state;
    FILE *f = fopen("text.so", "w");
    assert_non_null(f);
    fputs("not a library", f);
    fclose(f);
    assert_int_not_equal(dr_plugin_load("./text.so"), DR_OK);
    assert_error_has("text.so");
}

static dr_instance *neighbour(dr_args args) { return dr_instance_new("decay", "neighbour", args); }

static void a_third_partys_plugin_has_its_parameters_checked(void **state)
{
    (void)state;
    assert_int_equal(dr_plugin_load(test_plugin("good_neighbour")), DR_OK);
    assert_null(neighbour(DR_NO_ARGS));
    assert_error_has("decay neighbour: needed is required");
    assert_null(neighbour(DR_ARGS(DR_I("needed", 6))));
    assert_error_has("decay neighbour: needed = 6 is outside [0, 5]");
    assert_null(neighbour(DR_ARGS(DR_I("needed", 1), DR_R("rate", 1.5))));
    assert_error_has("rate = 1.5 is outside [0, 1]");
    assert_null(neighbour(DR_ARGS(DR_I("needed", 1), DR_R("rate", __builtin_nan("")))));
    assert_error_has("rate");
    assert_null(neighbour(DR_ARGS(DR_I("needed", 1), DR_I("cuont", 2))));
    assert_error_has("did you mean 'count'?");
    assert_null(neighbour(DR_ARGS(DR_I("needed", 1), DR_S("count", "two"))));
    assert_error_has("count takes a whole number, got a string");
    assert_null(neighbour(DR_ARGS(DR_I("needed", 1), DR_R("count", 2.5))));
    assert_error_has("count takes a whole number");
    assert_null(neighbour(DR_ARGS(DR_I("needed", 1), DR_S("shape", "round"))));
    assert_error_has("shape = 'round' is not one of flat|slope|step");
    assert_null(neighbour(DR_ARGS(DR_I("needed", 1), DR_S("schedule", "liner"))));
    assert_error_has("did you mean 'linear'?");
}

static void an_instance_has_defaults_and_what_was_given(void **state)
{
    (void)state;
    const dr_ints steps = { 2, { 10, 20 } };
    const dr_arg given[] = { DR_I("needed", 4), DR_S("shape", "step"), { .name = "steps", .type = DR_PARAM_INTS, .list = &steps },
                             DR_B("warm", 0), DR_R("rate", 0.25) };
    dr_instance *i = neighbour((dr_args){ given, 5 });
    assert_non_null(i);
    double value;
    assert_int_equal(dr_param_read(i->component, i->self, "count", &value), DR_OK);
    assert_true(value == 3);
    assert_int_equal(dr_param_read(i->component, i->self, "shape", &value), DR_OK);
    assert_true(value == 2);
    assert_int_equal(dr_param_read(i->component, i->self, "warm", &value), DR_OK);
    assert_true(value == 0);
    const dr_decay *decay = i->iface; /* 0.25 + beta_0 of the linear schedule, 1e-4: the default component is there */
    assert_true(decay->factor(i->self, 0, 1) == 0.25 + 1e-4);
    dr_instance_free(i);
}

static void exported_functions_are_found(void **state)
{
    (void)state;
    const dr_export *e = dr_export_find("blend");
    assert_non_null(e);
    assert_string_equal(e->signature, "real(real,real,real)");
    assert_true(((double (*)(double, double, double))e->fn)(1.0, 3.0, 0.5) == 2.0);
    assert_null(dr_export_find("blnd"));
    assert_error_has("blnd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_major_version_is_refused),
        cmocka_unit_test(a_newer_minor_version_is_refused),
        cmocka_unit_test(a_table_smaller_than_that_of_1_0_is_refused),
        cmocka_unit_test(a_metric_with_a_wrong_table_is_refused),
        cmocka_unit_test(a_library_that_is_no_plugin_is_refused),
        cmocka_unit_test(a_plugin_may_refuse_to_load),
        cmocka_unit_test(a_name_taken_twice_leaves_nothing_behind),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_file_that_is_no_library_is_refused),
        cmocka_unit_test(a_third_partys_plugin_has_its_parameters_checked),
        cmocka_unit_test(an_instance_has_defaults_and_what_was_given),
        cmocka_unit_test(exported_functions_are_found),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
