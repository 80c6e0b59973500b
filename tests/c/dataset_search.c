/* dataset_search.c: where mnist and fashion_mnist are looked for, in which order, and what the user is told. The
 * fetch scripts are played by others in a home folder of the test's own; dataset_fetch.c runs the real ones. */
#include "idx_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH(folder) DR_ARGS(DR_S("path", folder))
#define NO_FETCH DR_ARGS(DR_B("fetch", 0))

/* A home folder whose fetch scripts leave a mark and then do what `body` says; the subset is there if asked for. */
static const char *fake_home(const char *body, bool subset)
{
    const char *home = fresh_folder("home"),
               *folders[] = { "plugins", "plugins/datasets", "tests", "tests/data", "tests/data/mnist" };
    for (int i = 0; i < 5; i++) assert_int_equal(mkdir(text("%s/%s", home, folders[i]), 0777), 0);
    const char *script = text("import sys, os, shutil\nopen('%s/fetched', 'a').write(sys.argv[1])\n%s\n", home, body);
    write_bytes(text("%s/plugins/datasets/fetch_mnist.py", home), script, strlen(script));
    write_bytes(text("%s/plugins/datasets/fetch_fashion_mnist.py", home), script, strlen(script));
    static const char *const names[] = { TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS };
    for (int i = 0; i < 4 && subset; i++)
        copy_file(text("%s/%s.gz", test_data("mnist"), names[i]), text("%s/tests/data/mnist/%s.gz", home, names[i]));
    dr_set_home(home);
    return home;
}

static bool was_fetched(const char *home) { return access(text("%s/fetched", home), F_OK) == 0; }

static int clear_environment(void **state)
{
    (void)state;
    unsetenv("DRIFT_DATA");
    setenv("XDG_CACHE_HOME", fresh_folder("cache"), 1);
    notes_clear();
    dr_error_clear();
    return 0;
}

static void opens_from(const char *name, dr_args args, const char *folder)
{
    dr_status status;
    dr_instance *d = dataset_open(name, args, &status);
    if (!d) fail_msg("%s", dr_error_message());
    dr_dataset_info info;
    assert_int_equal(dataset_iface(d)->info(d->self, DR_TRAIN, &info), DR_OK);
    assert_string_equal(info.source, folder);
    assert_int_equal(dr_failed(), DR_OK);
    dataset_close(d);
}

static void search_path_then_drift_data(void **state)
{
    (void)state;
    const char *home = fake_home("sys.exit(1)", true);
    const char *path = write_set(fresh_folder("path"), false), *root = fresh_folder("data"),
               *named = text("%s/mnist", root);
    setenv("DRIFT_DATA", root, 1);
    write_set(root, false);
    opens_from("mnist", PATH(path), path);
    opens_from("mnist", DR_NO_ARGS, root); /* DRIFT_DATA itself */
    assert_int_equal(mkdir(named, 0777), 0);
    opens_from("mnist", DR_NO_ARGS, root); /* an empty DRIFT_DATA/mnist is passed by */
    write_set(named, true);
    opens_from("mnist", DR_NO_ARGS, named); /* DRIFT_DATA/mnist goes first */
    assert_false(was_fetched(home));
}

static void search_stops_at_broken_drift_data(void **state)
{
    (void)state;
    const char *home = fake_home("sys.exit(1)", true), *root = write_set(fresh_folder("data"), false);
    setenv("DRIFT_DATA", root, 1);
    remove(text("%s/" TEST_LABELS, root)); /* what the user points at is never passed by in silence */
    dataset_refused("mnist", DR_NO_ARGS, DR_ENOTFOUND, text("%s/" TEST_LABELS, root), NULL);
    assert_false(was_fetched(home));
}

static void search_passes_by_another_data_set(void **state)
{
    (void)state;
    fake_home("sys.exit(1)", false);
    setenv("DRIFT_DATA", test_data("mnist"), 1);
    dataset_refused("fashion_mnist", NO_FETCH, DR_ENOTFOUND, "holds the small subset of MNIST", "switched off", NULL);
}

static void search_ends_with_the_subset(void **state)
{
    (void)state;
    const char *home = fake_home("print('the network is down', file=sys.stderr); sys.exit(1)", true);
    const char *root = fresh_folder("data");
    setenv("DRIFT_DATA", root, 1);
    opens_from("mnist", DR_NO_ARGS, text("%s/tests/data/mnist", home));
    assert_true(was_fetched(home));
    assert_non_null(strstr(notes(), "warning: mnist: there is no MNIST here, so the small subset of MNIST"));
    assert_non_null(strstr(notes(), root));
    assert_non_null(strstr(notes(), "(cache): empty"));
    assert_non_null(strstr(notes(), "fetch_mnist.py failed"));
}

static void search_fetches_only_if_told(void **state)
{
    (void)state;
    const char *home = fake_home("", true);
    opens_from("mnist", NO_FETCH, text("%s/tests/data/mnist", home));
    assert_false(was_fetched(home));
    assert_non_null(strstr(notes(), "fetch = false"));
}

static void search_names_what_was_tried(void **state)
{
    (void)state;
    const char *home = fake_home("sys.exit(1)", false); /* no subset either */
    dataset_refused("mnist", DR_NO_ARGS, DR_ENOTFOUND, "MNIST is nowhere to be found", "DRIFT_DATA: not set",
                    "/drift/mnist (cache): empty", "plugins/datasets/fetch_mnist.py failed",
                    text("%s/tests/data/mnist/" TRAIN_IMAGES, home), NULL);
    dataset_refused("fashion_mnist", DR_NO_ARGS, DR_ENOTFOUND, "Fashion-MNIST is nowhere to be found",
                    "plugins/datasets/fetch_fashion_mnist.py failed", NULL);
}

/* What lies in the cache or comes from a fetch must be the published set: a sound file of other digits is not
 * enough. */
static void search_checks_fetched_and_cached(void **state)
{
    (void)state;
    const char *other = write_set(fresh_folder("other"), false);
    const char *home =
        fake_home(text("for f in os.listdir('%s'): shutil.copy('%s/' + f, sys.argv[1])", other, other), false);
    const char *refusal = "sha256 is ",
               *expected = "expected ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db";
    dataset_refused("mnist", DR_NO_ARGS, DR_ENOTFOUND, refusal, expected, "(after fetching)", NULL);
    assert_true(was_fetched(home));
    remove(text("%s/fetched", home));
    notes_clear();
    dataset_refused("mnist", DR_NO_ARGS, DR_ENOTFOUND, refusal, expected, NULL); /* the files are in the cache now */
    assert_true(was_fetched(home));
    assert_non_null(strstr(notes(), "the cache is damaged, fetching again"));
    remove(text("%s/fetched", home));
    dataset_refused("mnist", NO_FETCH, DR_ENOTFOUND, refusal, "switched off", NULL);
    assert_false(was_fetched(home));
}

/* A cache that cannot be made is no reason to stop. */
static void search_survives_without_a_cache(void **state)
{
    (void)state;
    const char *home = fake_home("", true), *file = text("%s/file", fresh_folder("no_cache"));
    write_bytes(file, "", 0);
    setenv("XDG_CACHE_HOME", file, 1);
    opens_from("mnist", DR_NO_ARGS, text("%s/tests/data/mnist", home));
    assert_false(was_fetched(home));
    assert_non_null(strstr(notes(), "the cache: folder "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(search_path_then_drift_data, clear_environment),
        cmocka_unit_test_setup(search_stops_at_broken_drift_data, clear_environment),
        cmocka_unit_test_setup(search_passes_by_another_data_set, clear_environment),
        cmocka_unit_test_setup(search_ends_with_the_subset, clear_environment),
        cmocka_unit_test_setup(search_fetches_only_if_told, clear_environment),
        cmocka_unit_test_setup(search_names_what_was_tried, clear_environment),
        cmocka_unit_test_setup(search_checks_fetched_and_cached, clear_environment),
        cmocka_unit_test_setup(search_survives_without_a_cache, clear_environment),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, dataset_registry_open, dataset_registry_close);
}
