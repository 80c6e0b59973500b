/* dataset_fetch.c: mnist and fashion_mnist from the network into an empty cache, then from the cache. Skipped unless
 * DRIFT_TEST_NETWORK=1, as tests need no network.     label: network */
#include "dataset_fixture.h"

#include <stdlib.h>
#include <string.h>

static void open_full_set(const char *name)
{
    dr_status status;
    dr_instance *d = dataset_open(name, DR_NO_ARGS, &status);
    if (!d) fail_msg("%s", dr_error_message());
    dr_dataset_info info;
    assert_int_equal(dataset_iface(d)->info(d->self, DR_TRAIN, &info), DR_OK);
    assert_int_equal(info.n, 60000);
    assert_string_equal(info.source, text("%s/drift/%s", getenv("XDG_CACHE_HOME"), name));
    assert_int_equal(dataset_iface(d)->info(d->self, DR_TEST, &info), DR_OK);
    assert_int_equal(info.n, 10000);
    assert_null(strstr(notes(), "warning"));
    dataset_close(d);
}

static void fetches_once(void **state)
{
    (void)state;
    static const char *const names[] = { "mnist", "fashion_mnist" };
    for (int i = 0; i < 2; i++) {
        notes_clear();
        open_full_set(names[i]);
        assert_non_null(strstr(notes(), "fetching"));
        notes_clear();
        open_full_set(names[i]);
        assert_string_equal(notes(), ""); /* from the cache: nothing to say */
    }
}

int main(void)
{
    const char *wanted = getenv("DRIFT_TEST_NETWORK");
    if (!wanted || strcmp(wanted, "1") != 0) {
        puts("skipped: set DRIFT_TEST_NETWORK=1 to fetch MNIST and Fashion-MNIST");
        return 77;
    }
    unsetenv("DRIFT_DATA");
    const struct CMUnitTest tests[] = { cmocka_unit_test(fetches_once) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, dataset_registry_open, dataset_registry_close);
}
