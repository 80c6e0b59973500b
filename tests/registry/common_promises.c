/* What holds for components of every kind (tests/checks/every_kind.c), and what is new in a few kinds: guidance, ops, data sets,
 * tokenizers. `drift check` runs all of it in processes of their own, with more: tests/shell/check_own.sh. */
#include "walk.h"

static void numbers_are_finite(void **state)
{
    (void)state;
    every(NULL, 100, "its numbers are finite");
}

static void the_same_work_gives_the_same_bits(void **state)
{
    (void)state;
    every(NULL, 110, "the same work gives the same bits, whatever ran between");
}

static void nothing_is_left_behind(void **state)
{
    (void)state;
    every(NULL, 110, "nothing is left behind");
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    every(NULL, 110, "running out of memory is an error");
}

static void the_process_stays_as_it_was(void **state)
{
    (void)state;
    every(NULL, 110, "leaves the process as it was");
}

static void guidance_gives_each_image_its_own(void **state)
{
    (void)state;
    every("guidance", 4, "gives each image an estimate of its own");
}

/* Ops by shapes that are found by trying: as many of ours, so that what a plugin brings is found as well. */
static void ops_are_what_they_say(void **state)
{
    (void)state;
    every("op", 60, "its output has the shape that infer says");
    every("op", 50, "each gradient is that of finite differences");
    every("op", 5, "its kernels agree with its composed form");
}

static void data_is_whole(void **state)
{
    (void)state;
    static char data[4096], spiece[4096], unigram[4096];
    const char *folder = getenv("DRIFT_TEST_DATA");
    if (!folder) skip();
    setenv("DRIFT_DATA", folder, 1);
    snprintf(data, sizeof data, "image_folder.path=%s/images", folder);
    snprintf(spiece, sizeof spiece, "sentencepiece.path=%s/tokenizer/spiece.model", folder);
    snprintf(unigram, sizeof unigram, "unigram.path=%s/tokenizer/tokenizer.json", folder);
    assert_true(check_given(data) && check_given(spiece) && check_given(unigram));
    every("dataset", 2, "images are whole, in range, and the same each time");
    every("dataset", 2, "training reads batches of it");
    every("tokenizer", 1, "what it decodes is encoded the same again");
}

int main(void)
{
    every_but = "fashion_mnist"; /* there is no subset of it for tests, and it would be fetched */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_is_whole), /* first: what it gives stays given */
        cmocka_unit_test(numbers_are_finite),
        cmocka_unit_test(the_same_work_gives_the_same_bits),
        cmocka_unit_test(nothing_is_left_behind),
        cmocka_unit_test(running_out_of_memory_is_an_error),
        cmocka_unit_test(the_process_stays_as_it_was),
        cmocka_unit_test(guidance_gives_each_image_its_own),
        cmocka_unit_test(ops_are_what_they_say),
    };
    return cmocka_run_group_tests(tests, open_ref, close_all);
}
