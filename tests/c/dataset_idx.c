/* dataset_idx.c: mnist and fashion_mnist: what is read from a folder, and how broken files are refused. */
#include "idx_set.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH(folder) DR_ARGS(DR_S("path", folder))

static void check_own_set(dr_instance *d, const char *folder)
{
    const dr_dataset *iface = dataset_iface(d);
    for (int split = 0; split < 2; split++) {
        dr_dataset_info info;
        assert_int_equal(iface->info(d->self, (dr_split)split, &info), DR_OK);
        assert_int_equal(info.n, split ? TEST_N : TRAIN_N);
        assert_int_equal(info.channels, 1);
        assert_int_equal(info.height, H);
        assert_int_equal(info.width, W);
        assert_int_equal(info.classes, 10);
        assert_string_equal(info.source, folder);
        for (int i = 0; i < info.n; i++) {
            float image[H * W];
            int32_t label;
            assert_int_equal(iface->read(d->self, (dr_split)split, i, image, &label), DR_OK);
            assert_int_equal(label, 9 - i);
            for (int k = 0; k < H * W; k++) assert_true(image[k] == (float)pixel_of(split, i, k) / 255.0f);
        }
    }
}

static void reads_raw_and_gz(void **state)
{
    (void)state;
    for (int gz = 0; gz < 2; gz++) {
        const char *folder = write_set(fresh_folder("own"), gz);
        dr_status status;
        notes_clear();
        dr_instance *d = dataset_open("mnist", PATH(folder), &status);
        assert_non_null(d);
        check_own_set(d, folder);
        assert_non_null(strstr(notes(), "warning: mnist:")); /* own data is fine, and is named as such */
        assert_non_null(strstr(notes(), "does not hold the published MNIST"));
        dataset_close(d);
    }
}

static void refuses_indices_outside(void **state)
{
    (void)state;
    dr_status status;
    dr_instance *d = dataset_open("mnist", PATH(write_set(fresh_folder("own"), false)), &status);
    assert_non_null(d);
    const int64_t outside[] = { -1, TEST_N, INT64_MAX, INT64_MIN };
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        float image[H * W];
        int32_t label;
        assert_int_equal(dataset_iface(d)->read(d->self, DR_TEST, outside[i], image, &label), DR_EINVAL);
        dr_error_clear();
    }
    dr_dataset_info info;
    assert_int_equal(dataset_iface(d)->info(d->self, (dr_split)2, &info), DR_EINVAL);
    dr_error_clear();
    dataset_close(d);
}

static void hash_follows_content(void **state)
{
    (void)state;
    dr_dataset_info info[2];
    for (int changed = 0; changed < 2; changed++) {
        const char *folder = write_set(fresh_folder("hash"), changed); /* raw and gz of the same bytes have one sum */
        uint8_t bytes[256];
        size_t n = label_bytes(1, bytes);
        if (changed) bytes[n - 1] = 0, remove(text("%s/" TEST_LABELS ".gz", folder));
        if (changed) write_bytes(text("%s/" TEST_LABELS, folder), bytes, n);
        dr_status status;
        dr_instance *d = dataset_open("mnist", PATH(folder), &status);
        assert_non_null(d);
        dr_dataset_info test;
        assert_int_equal(dataset_iface(d)->info(d->self, DR_TRAIN, &info[changed]), DR_OK);
        assert_int_equal(dataset_iface(d)->info(d->self, DR_TEST, &test), DR_OK);
        static uint8_t first[32];
        if (changed) assert_memory_not_equal(first, test.sha256, 32);
        else memcpy(first, test.sha256, 32);
        dataset_close(d);
    }
    assert_memory_equal(info[0].sha256, info[1].sha256, 32);
}

/* ---- the real digits --------------------------------------------------------------------------------------------- */

static void reads_the_subset(void **state)
{
    (void)state;
    dr_status status;
    notes_clear();
    dr_instance *d = dataset_open("mnist", PATH(test_data("mnist")), &status);
    assert_non_null(d);
    assert_non_null(strstr(notes(), "the small subset of MNIST"));
    assert_null(strstr(notes(), "warning"));
    for (int split = 0; split < 2; split++) {
        dr_dataset_info info;
        assert_int_equal(dataset_iface(d)->info(d->self, (dr_split)split, &info), DR_OK);
        assert_int_equal(info.n, split ? 300 : 1000);
        assert_int_equal(info.height * info.width, 784);
        int per_class[10] = { 0 };
        double sum = 0;
        for (int64_t i = 0; i < info.n; i++) {
            float image[784];
            int32_t label;
            assert_int_equal(dataset_iface(d)->read(d->self, (dr_split)split, i, image, &label), DR_OK);
            assert_in_range(label, 0, 9);
            per_class[label]++;
            for (int k = 0; k < 784; k++) {
                assert_true(image[k] >= 0 && image[k] <= 1);
                sum += image[k];
            }
        }
        for (int c = 0; c < 10; c++) assert_int_equal(per_class[c], info.n / 10);
        assert_true(fabs(sum / (784.0 * (double)info.n) - 0.13) < 0.01); /* the mean of MNIST is 0.1307 */
    }
    assert_null(dataset_iface(d)->class_name); /* the digits are their own names */
    dataset_close(d);
}

/* ---- broken files: each a whole set with one file changed -------------------------------------------------------- */

typedef struct broken {
    const char *what, *file;
    dr_status status;
    const char *message;
    int at; /* not -1: the big-endian number `put` is written here */
    uint32_t put;
    int cut;         /* bytes taken off the end; below 0: zeros added */
    bool gz, gz_cut; /* as gzip; the gzip stream is what is cut */
} broken;

static const broken cases[] = {
    { "truncated", TRAIN_IMAGES, DR_EFORMAT, "the file is cut short: it has 55 bytes, but its header asks for 56", -1,
      0, 1, 0, 0 },
    { "header_only", TRAIN_IMAGES, DR_EFORMAT, "the file is cut short", -1, 0, 40, 0, 0 },
    { "half_header", TRAIN_IMAGES, DR_EFORMAT, "the file is cut short (6 of 16 bytes", -1, 0, 50, 0, 0 },
    { "empty", TRAIN_LABELS, DR_EFORMAT, "the file is cut short (0 of 8 bytes", -1, 0, 13, 0, 0 },
    { "too_long", TEST_LABELS, DR_EFORMAT, "the file is too long: it has 12 bytes, but its header asks for 11", -1, 0,
      -1, 0, 0 },
    { "magic", TEST_IMAGES, DR_EFORMAT, "it starts with 12345678, expected 00000803", 0, 0x12345678, 0, 0, 0 },
    { "floats", TEST_IMAGES, DR_EFORMAT, "it starts with 00000d03, expected 00000803", 0, 0x0d03, 0, 0, 0 },
    { "rank", TEST_LABELS, DR_EFORMAT, "expected 00000801", 0, 0x0803, 0, 0, 0 },
    { "huge_count", TRAIN_IMAGES, DR_EFORMAT, "dimension 0 is 4294967295, outside [1, 134217728]", 4, 0xffffffff, 0, 0,
      0 },
    { "huge_labels", TRAIN_LABELS, DR_EFORMAT, "dimension 0 is 2147483648", 4, 0x80000000, 0, 0, 0 },
    { "huge_height", TRAIN_IMAGES, DR_EFORMAT, "dimension 1 is 65536, outside [1, 4096]", 8, 65536, 0, 0, 0 },
    { "large_count", TRAIN_IMAGES, DR_EFORMAT, "but its header asks for 800000016", 4, 100000000, 0, 0, 0 },
    { "no_images", TRAIN_IMAGES, DR_EFORMAT, "dimension 0 is 0, outside", 4, 0, 0, 0, 0 },
    { "no_width", TRAIN_IMAGES, DR_EFORMAT, "dimension 2 is 0, outside", 12, 0, 0, 0, 0 },
    { "label_10", TEST_LABELS, DR_EFORMAT, "label 0 is 10, outside [0, 9]", 7, 0x030a0807, 0, 0, 0 },
    { "fewer_labels", TRAIN_LABELS, DR_EFORMAT, TRAIN_IMAGES " has 5 images, but " TRAIN_LABELS " has 4 labels", 4, 4,
      1, 0, 0 },
    { "other_size", TEST_IMAGES, DR_EFORMAT, TRAIN_IMAGES " has images of 2x4, but " TEST_IMAGES " of 2x3", 12, 3, 6, 0,
      0 },
    { "gz_truncated", TRAIN_IMAGES, DR_EFORMAT, "the file is cut short", -1, 0, 12, 1, 1 },
    { "gz_no_sum", TRAIN_IMAGES, DR_EFORMAT, "the file is cut short", -1, 0, 4, 1, 1 },
    { "gz_short", TRAIN_IMAGES, DR_EFORMAT, "the file is cut short (39 of 40 bytes", -1, 0, 1, 1, 0 },
    { "gz_long", TRAIN_IMAGES, DR_EFORMAT, "goes on after the 56 bytes", -1, 0, -1, 1, 0 },
    { "gz_claims_800_MB", TRAIN_IMAGES, DR_EFORMAT, "bytes of gzip, but its header asks for 800000016", 4, 100000000, 0,
      1, 0 },
};

static void write_broken(const broken *c, const char *folder)
{
    uint8_t bytes[512] = { 0 };
    const char *path = text("%s/%s", folder, c->file), *gz_path = text("%s.gz", path);
    int split = strncmp(c->file, "t10k", 4) == 0;
    size_t n = strstr(c->file, "images") ? image_bytes(split, bytes) : label_bytes(split, bytes);
    if (c->at >= 0) put_32(bytes + c->at, c->put);
    if (!c->gz_cut) n -= (size_t)c->cut;
    remove(path);
    if (!c->gz) {
        write_bytes(path, bytes, n);
        return;
    }
    write_gz(gz_path, bytes, n);
    if (!c->gz_cut) return;
    uint8_t *packed = read_bytes(gz_path, &n);
    write_bytes(gz_path, packed, n - (size_t)c->cut);
    free(packed);
}

static void refuses_broken_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *folder = write_set(fresh_folder(cases[i].what), false);
        write_broken(&cases[i], folder);
        dataset_refused("mnist", PATH(folder), cases[i].status, cases[i].message, cases[i].file, folder, "mnist", NULL);
    }
}

/* Each dimension is allowed, all together are not. */
static void refuses_a_huge_product(void **state)
{
    (void)state;
    const char *folder = write_set(fresh_folder("product"), false), *path = text("%s/" TRAIN_IMAGES, folder);
    uint8_t header[IMAGE_HEADER];
    put_32(header, 0x0803), put_32(header + 4, 1 << 27), put_32(header + 8, 4096), put_32(header + 12, 4096);
    write_bytes(path, header, sizeof header);
    dataset_refused("mnist", PATH(folder), DR_EFORMAT, path, "asks for 2251799813685248 bytes, more than 2147483648",
                    NULL);
}

/* Every bit of a gzip'd file matters: a flipped one is noticed by its structure or by its sum. */
static void refuses_damaged_gz(void **state)
{
    (void)state;
    const char *folder = write_set(fresh_folder("bits"), true), *path = text("%s/" TRAIN_IMAGES ".gz", folder);
    size_t n;
    uint8_t *packed = read_bytes(path, &n);
    for (size_t at = 11; at < n; at++) { /* what lies before holds the time, other remarks and padding */
        packed[at] ^= 0x10;
        write_bytes(path, packed, n);
        dataset_refused("mnist", PATH(folder), DR_EFORMAT, TRAIN_IMAGES, NULL);
        packed[at] ^= 0x10;
    }
    free(packed);
}

static void refuses_what_is_no_file(void **state)
{
    (void)state;
    static const char *const names[] = { TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS };
    for (int i = 0; i < 4; i++) {
        const char *folder = write_set(fresh_folder("missing"), false), *path = text("%s/%s", folder, names[i]);
        remove(path);
        dataset_refused("mnist", PATH(folder), DR_ENOTFOUND, path, "No such file", NULL);
        assert_int_equal(mkdir(path, 0777), 0);
        dataset_refused("mnist", PATH(folder), DR_EFORMAT, path, "not a file", NULL);
        remove(path);
        assert_int_equal(mkfifo(path, 0666), 0); /* opening it must not wait for a writer */
        dataset_refused("mnist", PATH(folder), DR_EFORMAT, path, "not a file", NULL);
    }
    dataset_refused("mnist", PATH("no/such/folder"), DR_ENOTFOUND, "no/such/folder/" TRAIN_IMAGES, "No such file",
                    NULL);
}

static void fashion_names_its_classes(void **state)
{
    (void)state;
    dr_status status;
    dr_instance *d = dataset_open("fashion_mnist", PATH(write_set(fresh_folder("own"), false)), &status);
    assert_non_null(d);
    assert_string_equal(dataset_iface(d)->class_name(d->self, 0), "T-shirt/top");
    assert_string_equal(dataset_iface(d)->class_name(d->self, 9), "ankle boot");
    assert_null(dataset_iface(d)->class_name(d->self, 10));
    assert_null(dataset_iface(d)->class_name(d->self, -1));
    dataset_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_raw_and_gz),          cmocka_unit_test(refuses_indices_outside),
        cmocka_unit_test(hash_follows_content),      cmocka_unit_test(reads_the_subset),
        cmocka_unit_test(refuses_broken_files),      cmocka_unit_test(refuses_a_huge_product),
        cmocka_unit_test(refuses_damaged_gz),        cmocka_unit_test(refuses_what_is_no_file),
        cmocka_unit_test(fashion_names_its_classes),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, dataset_registry_open, dataset_registry_close);
}
