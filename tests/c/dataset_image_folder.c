/* dataset_image_folder.c: image_folder: which images it finds, what it makes of their pixels, how broken ones are
 * refused. */
#include "dataset_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DISC_N = 8, SQUARE_N = 9 };

static dr_instance *open_folder(dr_args args)
{
    dr_status status;
    dr_instance *d = dataset_open("image_folder", args, &status);
    if (!d) fail_msg("%s", dr_error_message());
    return d;
}

static dr_dataset_info info_of(const dr_instance *d, dr_split split)
{
    dr_dataset_info info;
    assert_int_equal(dataset_iface(d)->info(d->self, split, &info), DR_OK);
    return info;
}

/* Image `index` as [C,H,W] floats, and its label. free() it. */
static float *image_of(const dr_instance *d, dr_split split, int64_t index, int32_t *label)
{
    dr_dataset_info info = info_of(d, split);
    float *image = malloc((size_t)(info.channels * info.height * info.width) * sizeof *image);
    assert_non_null(image);
    if (dataset_iface(d)->read(d->self, split, index, image, label)) fail_msg("%s", dr_error_message());
    return image;
}

/* What make_images.py draws, before a file format changes it: channel c of pixel x, y. */
static int drawn(bool disc, int width, int height, int x, int y, int c)
{
    static const int bright[] = { 240, 200, 40 };
    double reach = (width < height ? width : height) / 4.0, dx = x + 0.5 - width / 2.0, dy = y + 0.5 - height / 2.0;
    bool inside = disc ? dx * dx + dy * dy <= reach * reach : fmax(fabs(dx), fabs(dy)) <= reach;
    return inside ? bright[c] : 16 + (c == 1 ? 48 * x / width : c == 2 ? 96 * y / height : 0);
}

/* One file of tests/data/images alone in a class of its own. */
static const char *folder_with(const char *file)
{
    const char *root = fresh_folder("one"), *name = strrchr(file, '/') + 1;
    assert_int_equal(mkdir(text("%s/only", root), 0777), 0);
    copy_file(test_data(file), text("%s/only/%s", root, name));
    return root;
}

/* ---- which images ------------------------------------------------------------------------------------------------ */

static void finds_classes_and_splits(void **state)
{
    (void)state;
    const int64_t every[] = { 0, 1, 3, 10 };
    for (int e = 0; e < 4; e++) {
        dr_instance *d =
            open_folder(DR_ARGS(DR_S("path", test_data("images")), DR_I("size", 8), DR_I("test_every", every[e])));
        int64_t test_n = every[e] ? DISC_N / every[e] + SQUARE_N / every[e] : 0;
        dr_dataset_info train = info_of(d, DR_TRAIN), test = info_of(d, DR_TEST);
        assert_int_equal(test.n, test_n);
        assert_int_equal(train.n, DISC_N + SQUARE_N - test_n); /* notes.txt is not among them */
        assert_int_equal(train.classes, 2);
        assert_int_equal(train.channels, 3);
        assert_int_equal(train.height, 8);
        assert_int_equal(train.width, 8);
        assert_string_equal(dataset_iface(d)->class_name(d->self, 0), "disc");
        assert_string_equal(dataset_iface(d)->class_name(d->self, 1), "square");
        assert_null(dataset_iface(d)->class_name(d->self, 2));
        int64_t discs = 0, last = 0;
        for (int64_t i = 0; i < train.n; i++) {
            int32_t label;
            free(image_of(d, DR_TRAIN, i, &label));
            assert_in_range(label, last, 1); /* class after class, in the order of their names */
            last = label;
            discs += label == 0;
        }
        assert_int_equal(discs, DISC_N - (every[e] ? DISC_N / every[e] : 0));
        dataset_close(d);
    }
}

static void finds_train_and_test_folders(void **state)
{
    (void)state;
    const char *root = fresh_folder("splits"),
               *folders[] = { "train", "test", "train/b", "train/a", "test/b", "train/.hidden" };
    for (int i = 0; i < 6; i++) assert_int_equal(mkdir(text("%s/%s", root, folders[i]), 0777), 0);
    for (int i = 0; i < 3; i++) copy_file(test_data("images/disc/0_rgb.png"), text("%s/train/a/%d.png", root, i));
    copy_file(test_data("images/disc/0_rgb.png"), text("%s/train/a/.hidden.png", root));
    copy_file(test_data("images/square/0_rgb.png"), text("%s/train/b/0.png", root));
    copy_file(test_data("images/square/0_rgb.png"), text("%s/test/b/0.png", root));
    dr_instance *d = open_folder(DR_ARGS(DR_S("path", root), DR_I("size", 4), DR_I("test_every", 1)));
    assert_int_equal(info_of(d, DR_TRAIN).n, 4);
    assert_int_equal(info_of(d, DR_TEST).n, 1);
    int32_t label;
    free(image_of(d, DR_TEST, 0, &label));
    assert_int_equal(label, 1); /* b is class 1, though it is the first below test/ */
    dataset_close(d);

    assert_int_equal(mkdir(text("%s/test/c", root), 0777), 0);
    dataset_refused("image_folder", DR_ARGS(DR_S("path", root)), DR_EFORMAT, text("%s/test/c", root), "no class c",
                    NULL);
}

static void finds_images_without_classes(void **state)
{
    (void)state;
    const char *root = fresh_folder("flat");
    copy_file(test_data("images/disc/3_420.jpg"), text("%s/b.jpg", root));
    copy_file(test_data("images/disc/0_rgb.png"), text("%s/a.png", root));
    dr_instance *d = open_folder(DR_ARGS(DR_S("path", root), DR_I("size", 32)));
    assert_int_equal(info_of(d, DR_TRAIN).n, 2);
    assert_int_equal(info_of(d, DR_TRAIN).classes, 0);
    int32_t label;
    float *image = image_of(d, DR_TRAIN, 0, &label); /* a.png */
    assert_int_equal(lroundf(image[31] * 255), drawn(true, 32, 32, 31, 0, 0));
    free(image);
    dataset_close(d);
}

static void refuses_folders(void **state)
{
    (void)state;
    const char *empty = fresh_folder("empty"), *file = text("%s/file", fresh_folder("file"));
    write_bytes(file, "x", 1);
    dataset_refused("image_folder", DR_NO_ARGS, DR_EINVAL, "`path` names no folder", NULL);
    dataset_refused("image_folder", DR_ARGS(DR_S("path", empty)), DR_ENOTFOUND, empty, "no image (.png, .jpg, .jpeg)",
                    NULL);
    dataset_refused("image_folder", DR_ARGS(DR_S("path", "no/such/folder")), DR_ENOTFOUND,
                    "no/such/folder: No such file", NULL);
    dataset_refused("image_folder", DR_ARGS(DR_S("path", file)), DR_EIO, file, "Not a directory", NULL);
}

static void refuses_parameters_outside(void **state)
{
    (void)state;
    const char *path = test_data("images");
    dataset_refused("image_folder", DR_ARGS(DR_S("path", path), DR_I("size", 0)), DR_EINVAL, "size = 0", NULL);
    dataset_refused("image_folder", DR_ARGS(DR_S("path", path), DR_I("size", 4097)), DR_EINVAL, "size = 4097", NULL);
    dataset_refused("image_folder", DR_ARGS(DR_S("path", path), DR_S("color", "cmyk")), DR_EINVAL, "color", NULL);
}

/* ---- pixels ------------------------------------------------------------------------------------------------------ */

/* At its own height or width an image is only cropped, so a lossless one comes back exactly. */
static void crops_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        int width, height;
    } cases[] = { { "images/disc/0_rgb.png", 32, 32 },
                  { "images/disc/2_rgba.png", 28, 40 },
                  { "images/disc/7_interlaced.PNG", 35, 29 },
                  { "images/square/6_16bit.png", 31, 37 } };
    for (int k = 0; k < 4; k++) {
        const int width = cases[k].width, height = cases[k].height, side = width < height ? width : height;
        const int left = (width - side) / 2, top = (height - side) / 2;
        const bool disc = strstr(cases[k].file, "disc") != NULL;
        dr_instance *d = open_folder(DR_ARGS(DR_S("path", folder_with(cases[k].file)), DR_I("size", side)));
        int32_t label;
        float *image = image_of(d, DR_TRAIN, 0, &label); /* [3,side,side] */
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < side; y++)
                for (int x = 0; x < side; x++) {
                    float want = (float)drawn(disc, width, height, left + x, top + y, c) / 255.0f;
                    if (image[(c * side + y) * side + x] != want)
                        fail_msg("%s: channel %d at %d,%d is %g, expected %g", cases[k].file, c, x, y,
                                 (double)image[(c * side + y) * side + x], (double)want);
                }
        free(image);
        dataset_close(d);
    }
}

/* Half the size: the triangle filter has the weights (1, 3, 3, 1)/8 in each direction. */
static void halves_by_the_formula(void **state)
{
    (void)state;
    static const double w[] = { 1 / 8.0, 3 / 8.0, 3 / 8.0, 1 / 8.0 };
    dr_instance *d = open_folder(DR_ARGS(DR_S("path", folder_with("images/disc/0_rgb.png")), DR_I("size", 16)));
    int32_t label;
    float *image = image_of(d, DR_TRAIN, 0, &label); /* [3,16,16] */
    for (int c = 0; c < 3; c++)
        for (int y = 1; y < 15; y++) /* at the rim the filter is cut off */
            for (int x = 1; x < 15; x++) {
                double want = 0;
                for (int i = 0; i < 4; i++)
                    for (int k = 0; k < 4; k++)
                        want += w[i] * w[k] * drawn(true, 32, 32, 2 * x - 1 + k, 2 * y - 1 + i, c);
                assert_true(fabs(image[(c * 16 + y) * 16 + x] * 255.0 - want) <= 0.501); /* it is rounded to a byte */
            }
    free(image);
    dataset_close(d);
}

/* Every form of file, at sizes below and above its own: bright in the middle, dark in the corner, values in [0,1]. */
static void reads_every_form(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        int middle[3], corner[3]; /* in 0..255 */
    } cases[] = {
        { "images/disc/0_rgb.png", { 240, 200, 40 }, { 16, 16, 16 } },
        { "images/disc/1_gray.png", { 194, 194, 194 }, { 16, 16, 16 } },
        { "images/disc/2_rgba.png", { 240, 200, 40 }, { 16, 16, 16 } },
        { "images/disc/3_420.jpg", { 240, 200, 40 }, { 16, 16, 16 } },
        { "images/disc/4_gray.jpeg", { 194, 194, 194 }, { 16, 16, 16 } },
        { "images/disc/5_progressive.JPG", { 240, 200, 40 }, { 16, 16, 16 } },
        { "images/disc/6_palette.png", { 240, 200, 40 }, { 16, 32, 64 } },
        { "images/disc/7_interlaced.PNG", { 240, 200, 40 }, { 16, 16, 16 } },
        { "images/square/6_16bit.png", { 240, 200, 40 }, { 16, 16, 16 } },
        { "images/square/7_1bit.png", { 255, 255, 255 }, { 0, 0, 0 } },
        { "images/square/8_gray_alpha.png", { 194, 194, 194 }, { 16, 16, 16 } },
    };
    static const int64_t sizes[] = { 7, 16, 100 };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        for (int s = 0; s < 3; s++)
            for (int gray = 0; gray < 2; gray++) {
                const int64_t size = sizes[s], n = size * size, middle = size / 2 * size + size / 2;
                dr_instance *d = open_folder(DR_ARGS(DR_S("path", folder_with(cases[k].file)), DR_I("size", size),
                                                     DR_S("color", gray ? "gray" : "rgb")));
                dr_dataset_info info = info_of(d, DR_TRAIN);
                assert_int_equal(info.channels, gray ? 1 : 3);
                int32_t label;
                float *image = image_of(d, DR_TRAIN, 0, &label);
                for (int64_t i = 0; i < info.channels * n; i++) assert_true(image[i] >= 0 && image[i] <= 1);
                for (int64_t c = 0; c < info.channels; c++) {
                    const int *m = cases[k].middle, *o = cases[k].corner;
                    double bright = gray ? 0.299 * m[0] + 0.587 * m[1] + 0.114 * m[2] : m[c];
                    double dark = gray ? 0.299 * o[0] + 0.587 * o[1] + 0.114 * o[2] : o[c];
                    /* JPEG is lossy; the gradient is up to 48 of 255 in green where the crop begins */
                    if (fabs(image[c * n + middle] * 255.0 - bright) > 20 || fabs(image[c * n] * 255.0 - dark) > 24)
                        fail_msg("%s at size %d: channel %d is %g in the middle and %g in the corner", cases[k].file,
                                 (int)size, (int)c, image[c * n + middle] * 255.0, image[c * n] * 255.0);
                }
                free(image);
                dataset_close(d);
            }
}

/* Kept decoded or decoded at each read: the same numbers. Only what was all read at the start has a sum. */
static void cache_changes_nothing(void **state)
{
    (void)state;
    static const uint8_t none[32];
    dr_instance *kept = open_folder(DR_ARGS(DR_S("path", test_data("images")), DR_I("size", 20)));
    dr_instance *not_kept =
        open_folder(DR_ARGS(DR_S("path", test_data("images")), DR_I("size", 20), DR_I("cache_mb", 0)));
    dr_dataset_info info = info_of(kept, DR_TRAIN);
    assert_int_equal(info_of(not_kept, DR_TRAIN).n, info.n);
    assert_memory_not_equal(info.sha256, none, 32);
    assert_memory_equal(info_of(not_kept, DR_TRAIN).sha256, none, 32);
    for (int64_t i = 0; i < info.n; i++) {
        int32_t label[2];
        float *a = image_of(kept, DR_TRAIN, i, &label[0]), *b = image_of(not_kept, DR_TRAIN, i, &label[1]);
        assert_int_equal(label[0], label[1]);
        assert_memory_equal(a, b, 3 * 20 * 20 * sizeof *a);
        free(a);
        free(b);
    }
    dataset_close(kept);
    dataset_close(not_kept);
}

/* ---- hostile images ---------------------------------------------------------------------------------------------- */

static const struct {
    const char *file;
    dr_status status;
    const char *message;
} bad[] = {
    { "truncated.png", DR_EFORMAT, "a damaged PNG" },
    { "header_only.png", DR_EFORMAT, "a damaged PNG" },
    { "bad_crc.png", DR_EFORMAT, "a damaged PNG" },
    { "huge.png", DR_EFORMAT, "more than 32768 pixels to a side" },
    { "large.png", DR_EFORMAT, "more than 32768 pixels to a side" },
    { "wide.png", DR_EFORMAT, "it claims 20000x20000 pixels, which" },
    { "zero_width.png", DR_EFORMAT, "a damaged PNG" },
    { "no_pixels.png", DR_EFORMAT, "a damaged PNG" },
    { "text.png", DR_EFORMAT, "neither a PNG nor a JPEG" },
    { "empty.png", DR_EFORMAT, "the file is empty" },
    { "cut_short.jpg", DR_EFORMAT, "a damaged JPEG" },
    { "header_only.jpg", DR_EFORMAT, "a damaged JPEG" },
    { "huge.jpg", DR_EFORMAT, "65500x65500 pixels; at most" },
    { "cmyk.jpg", DR_EUNSUPPORTED, "a CMYK JPEG" },
    { "empty.jpg", DR_EFORMAT, "the file is empty" },
};

static void refuses_bad_images(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *root = folder_with(text("images_bad/%s", bad[i].file)),
                   *path = text("%s/only/%s", root, bad[i].file);
        dataset_refused("image_folder", DR_ARGS(DR_S("path", root)), bad[i].status, path, bad[i].message, NULL);

        dr_instance *d = open_folder(DR_ARGS(DR_S("path", root), DR_I("cache_mb", 0))); /* told when it is read, then */
        static float image[3 * 64 * 64];
        int32_t label;
        assert_int_equal(dataset_iface(d)->read(d->self, DR_TRAIN, 0, image, &label), bad[i].status);
        if (!strstr(dr_error_message(), bad[i].message) || !strstr(dr_error_message(), path))
            fail_msg("%s: %s", bad[i].file, dr_error_message());
        dr_error_clear();
        dataset_close(d);
    }
}

/* A good image cut at every length: never a crash, and never a picture that nobody drew. */
static void refuses_every_cut(void **state)
{
    (void)state;
    static const char *const files[] = { "images/disc/1_gray.png", "images/square/3_420.jpg" };
    for (int k = 0; k < 2; k++) {
        const char *root = folder_with(files[k]), *path = text("%s/only/%s", root, strrchr(files[k], '/') + 1);
        size_t n;
        uint8_t *bytes = read_bytes(path, &n);
        const size_t needed = n - (k ? 2 : 16); /* less than the end mark may be missing, with all pixels there */
        for (size_t cut = 0; cut < needed; cut += 1 + cut / 64) {
            write_bytes(path, bytes, cut);
            dataset_refused("image_folder", DR_ARGS(DR_S("path", root), DR_I("size", 8)), DR_EFORMAT, path, NULL);
        }
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_classes_and_splits),
        cmocka_unit_test(finds_train_and_test_folders),
        cmocka_unit_test(finds_images_without_classes),
        cmocka_unit_test(refuses_folders),
        cmocka_unit_test(refuses_parameters_outside),
        cmocka_unit_test(crops_exactly),
        cmocka_unit_test(halves_by_the_formula),
        cmocka_unit_test(reads_every_form),
        cmocka_unit_test(cache_changes_nothing),
        cmocka_unit_test(refuses_bad_images),
        cmocka_unit_test(refuses_every_cut),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, dataset_registry_open, dataset_registry_close);
}
