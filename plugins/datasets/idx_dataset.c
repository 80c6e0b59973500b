/* idx_dataset.c: finds, checks and serves a data set of four IDX files. The search, the first that holds data wins:
 *   1. the script's `path`               whatever it holds is used; data that is not the published set is named as such
 *   2. $DRIFT_DATA/NAME, $DRIFT_DATA     the same
 *   3. the cache                         must be the published set, else it is fetched again
 *   4. the fetch script into the cache   the same
 *   5. the small subset that comes with the program, said plainly */
#include "idx_dataset.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS, CLASSES = 10 };
static const char *const file_names[IDX_FILES] = { "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                                   "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte" };

const idx_edition idx_mnist = { "MNIST",
                                { "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                                  "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                                  "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                                  "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2" } };
const idx_edition idx_mnist_subset = { "the small subset of MNIST, 1000 training and 300 test digits",
                                       { "964f929e568681616e81776c1097f3db5938f24fa9e0e8f2602341c96a32eccb",
                                         "9efdd3f42e64c4d159a8c4833d095e87f870cc4d54b78600f9a8d13f58cc8af9",
                                         "d158938512f23055a0bbd88a8c846f7fdb6b52c0cc1f0f1b01d5c65de6635f06",
                                         "29838defa5a65ce0a1d0ea1acf8f2b11f624552138cbde06881f0e645786b014" } };
const idx_edition idx_fashion_mnist = { "Fashion-MNIST",
                                        { "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                                          "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                                          "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                                          "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34" } };
static const idx_edition *const editions[] = { &idx_mnist, &idx_mnist_subset, &idx_fashion_mnist };

/* ---- one folder -------------------------------------------------------------------------------------------------- */

static _Bool holds_any(const char *folder)
{
    for (int i = 0; i < IDX_FILES; i++)
        if (idx_exists(folder, file_names[i])) return 1;
    return 0;
}

static void to_hex(const uint8_t *sum, char hex[2 * IDX_SHA256_BYTES + 1])
{
    for (int i = 0; i < IDX_SHA256_BYTES; i++) snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

static _Bool matches(const idx_file *file, const char *sha256)
{
    char hex[2 * IDX_SHA256_BYTES + 1];
    to_hex(file->sha256, hex);
    return strcmp(hex, sha256) == 0;
}

/* The edition whose four files these are, or NULL. */
static const idx_edition *identify(const idx_dataset *d)
{
    for (size_t e = 0; e < sizeof editions / sizeof *editions; e++) {
        int same = 0;
        for (int i = 0; i < IDX_FILES; i++) same += matches(&d->file[i], editions[e]->sha256[i]);
        if (same == IDX_FILES) return editions[e];
    }
    return NULL;
}

/* Images and labels that belong together, test images of the training images' size, labels below CLASSES. */
static _Bool fit_together(const idx_dataset *d, const char *folder, idx_error *why)
{
    const idx_file *train = &d->file[TRAIN_IMAGES], *test = &d->file[TEST_IMAGES];
    if (train->dim[1] != test->dim[1] || train->dim[2] != test->dim[2])
        return idx_refuse(why, DR_EFORMAT, "%s: %s has images of %lldx%lld, but %s of %lldx%lld", folder,
                          file_names[TRAIN_IMAGES], (long long)train->dim[1], (long long)train->dim[2],
                          file_names[TEST_IMAGES], (long long)test->dim[1], (long long)test->dim[2]);
    for (int i = 0; i < IDX_FILES; i += 2) {
        const idx_file *images = &d->file[i], *labels = &d->file[i + 1];
        if (images->dim[0] != labels->dim[0])
            return idx_refuse(why, DR_EFORMAT, "%s: %s has %lld images, but %s has %lld labels", folder, file_names[i],
                              (long long)images->dim[0], file_names[i + 1], (long long)labels->dim[0]);
        for (int64_t k = 0; k < labels->dim[0]; k++)
            if (labels->data[k] >= CLASSES)
                return idx_refuse(why, DR_EFORMAT, "%s/%s: label %lld is %d, outside [0, %d]", folder,
                                  file_names[i + 1], (long long)k, labels->data[k], CLASSES - 1);
    }
    return 1;
}

static void free_files(idx_dataset *d)
{
    for (int i = 0; i < IDX_FILES; i++) idx_free(&d->file[i]);
    free(d->folder);
    d->folder = NULL;
}

/* Reads all four files, or none. */
static _Bool load(idx_dataset *d, const char *folder, idx_error *why)
{
    _Bool fine = 1;
    for (int i = 0; i < IDX_FILES && fine; i++) fine = idx_read(folder, file_names[i], i % 2 ? 1 : 3, &d->file[i], why);
    fine = fine && fit_together(d, folder, why);
    d->folder = fine ? strdup(folder) : NULL;
    if (fine && !d->folder) fine = idx_refuse(why, DR_ENOMEM, "%s: out of memory", folder);
    if (!fine) {
        free_files(d);
        return 0;
    }
    for (int split = 0; split < IDX_SPLITS; split++) { /* one sum per split, of the sums of its images and its labels */
        uint8_t both[2 * IDX_SHA256_BYTES];
        memcpy(both, d->file[2 * split].sha256, IDX_SHA256_BYTES);
        memcpy(both + IDX_SHA256_BYTES, d->file[2 * split + 1].sha256, IDX_SHA256_BYTES);
        dr_sha256(both, sizeof both, d->sha256[split]);
    }
    return 1;
}

/* load(), and every file must have the sum that `edition` names. */
static _Bool load_edition(idx_dataset *d, const char *folder, const idx_edition *edition, idx_error *why)
{
    if (!load(d, folder, why)) return 0;
    for (int i = 0; i < IDX_FILES; i++) {
        if (matches(&d->file[i], edition->sha256[i])) continue;
        char hex[2 * IDX_SHA256_BYTES + 1];
        to_hex(d->file[i].sha256, hex);
        idx_refuse(why, DR_EFORMAT, "%s/%s: sha256 is %s, expected %s", folder, file_names[i], hex, edition->sha256[i]);
        free_files(d);
        return 0;
    }
    return 1;
}

/* ---- the search -------------------------------------------------------------------------------------------------- */

/* What was tried and why it was not it, for the message at the end. */
typedef struct attempts {
    char text[3072];
    size_t length;
} attempts;

__attribute__((format(printf, 2, 3))) static void tried(attempts *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(a->text + a->length, sizeof a->text - a->length, format, args);
    va_end(args);
    if (n > 0) a->length += (size_t)n < sizeof a->text - a->length ? (size_t)n : sizeof a->text - a->length - 1;
}

/* After load() from a folder that the user names: says so where that is not the published set. */
static void say_what_it_is(const idx_dataset *d)
{
    const idx_edition *edition = identify(d);
    if (edition == d->set->full) return;
    if (edition) dr_note("%s: %s holds %s", d->set->name, d->folder, edition->title);
    else
        dr_note("warning: %s: %s does not hold the published %s (other sha256); its %lld training and %lld test images "
                "are used "
                "as they are",
                d->set->name, d->folder, d->set->full->title, (long long)d->file[TRAIN_IMAGES].dim[0],
                (long long)d->file[TEST_IMAGES].dim[0]);
}

typedef enum search { SEARCH_ON, SEARCH_FOUND, SEARCH_FAILED } search;

static search open_path(idx_dataset *d)
{
    idx_error why;
    if (!load(d, d->path, &why)) {
        dr_fail(why.code, "%s: %s", d->set->name, why.text);
        return SEARCH_FAILED;
    }
    say_what_it_is(d);
    return SEARCH_FOUND;
}

/* DRIFT_DATA/NAME, then DRIFT_DATA itself, unless that is known to be another data set. */
static search open_drift_data(idx_dataset *d, attempts *a)
{
    const char *root = getenv("DRIFT_DATA");
    if (!root || !*root) {
        tried(a, "\n  DRIFT_DATA: not set");
        return SEARCH_ON;
    }
    char folder[PATH_MAX];
    for (int level = 0; level < 2; level++) {
        if (snprintf(folder, sizeof folder, "%s%s%s", root, level ? "" : "/", level ? "" : d->set->name) >= PATH_MAX)
            continue;
        if (!holds_any(folder)) {
            tried(a, "\n  %s (DRIFT_DATA): no %s there", folder, file_names[0]);
            continue;
        }
        idx_error why;
        if (!load(d, folder, &why)) {
            dr_fail(why.code, "%s: %s", d->set->name, why.text);
            return SEARCH_FAILED;
        }
        const idx_edition *edition = identify(d);
        if (level == 0 || !edition || edition == d->set->full || edition == d->set->subset) {
            say_what_it_is(d);
            return SEARCH_FOUND;
        }
        tried(a, "\n  %s (DRIFT_DATA): holds %s", folder, edition->title);
        free_files(d);
    }
    return SEARCH_ON;
}

static search open_cache_or_fetch(idx_dataset *d, attempts *a)
{
    const char *cache = dr_cache_dir(d->set->name);
    char folder[PATH_MAX];
    idx_error why;
    if (!cache || snprintf(folder, sizeof folder, "%s", cache) >= PATH_MAX) {
        tried(a, "\n  the cache: %s", cache ? "its name is too long" : dr_error_message());
        dr_error_clear();
        return SEARCH_ON;
    }
    if (holds_any(folder)) {
        if (load_edition(d, folder, d->set->full, &why)) return SEARCH_FOUND;
        tried(a, "\n  %s", why.text);
        if (d->fetch) dr_note("%s: the cache is damaged, fetching again: %s", d->set->name, why.text);
    } else {
        tried(a, "\n  %s (cache): empty", folder);
    }
    if (!d->fetch) {
        tried(a, "\n  fetching: switched off (fetch = false)");
        return SEARCH_ON;
    }
    dr_note("%s: fetching %s into %s", d->set->name, d->set->full->title, folder);
    if (dr_run_script(d->set->fetch_script, folder) != DR_OK) {
        if (dr_failed() == DR_EINTERRUPTED) return SEARCH_FAILED;
        tried(a, "\n  %s", dr_error_message());
        dr_error_clear();
        return SEARCH_ON;
    }
    if (load_edition(d, folder, d->set->full, &why)) return SEARCH_FOUND;
    tried(a, "\n  %s (after fetching)", why.text);
    return SEARCH_ON;
}

static search open_subset(idx_dataset *d, attempts *a)
{
    const char *home = dr_home_dir();
    char folder[PATH_MAX];
    idx_error why;
    if (!d->set->subset) return SEARCH_ON;
    if (!home || snprintf(folder, sizeof folder, "%s/%s", home, d->set->subset_folder) >= PATH_MAX) return SEARCH_ON;
    if (!load_edition(d, folder, d->set->subset, &why)) {
        tried(a, "\n  %s", why.text);
        return SEARCH_ON;
    }
    dr_note("warning: %s: there is no %s here, so %s is used in its place (%s). Results will be much worse.",
            d->set->name, d->set->full->title, d->set->subset->title, folder);
    dr_note("%s: tried:%s", d->set->name, a->text);
    return SEARCH_FOUND;
}

dr_status idx_dataset_open(idx_dataset *d, const idx_source *set)
{
    attempts a = { .text = "" };
    d->set = set;
    search state = SEARCH_ON;
    if (d->path && *d->path) state = open_path(d);
    if (state == SEARCH_ON) state = open_drift_data(d, &a);
    if (state == SEARCH_ON) state = open_cache_or_fetch(d, &a);
    if (state == SEARCH_ON) state = open_subset(d, &a);
    if (state == SEARCH_FOUND) return DR_OK;
    if (state == SEARCH_FAILED) return dr_failed();
    return dr_fail(DR_ENOTFOUND,
                   "%s: %s is nowhere to be found. Tried:%s\nPut its four files into a folder and give that as `path` "
                   "or DRIFT_DATA",
                   set->name, set->full->title, a.text);
}

/* ---- the members of dr_dataset ----------------------------------------------------------------------------------- */

void idx_dataset_close(void *self) { free_files(self); }

dr_status idx_dataset_info(void *self, dr_split split, dr_dataset_info *info)
{
    const idx_dataset *d = self;
    if (!d->folder) return dr_fail(DR_EINVAL, "data set: not open");
    if (split != DR_TRAIN && split != DR_TEST) return dr_fail(DR_EINVAL, "%s: no split %d", d->set->name, (int)split);
    const idx_file *images = &d->file[2 * split];
    *info = (dr_dataset_info){ .n = images->dim[0],
                               .channels = 1,
                               .height = images->dim[1],
                               .width = images->dim[2],
                               .classes = CLASSES,
                               .source = d->folder };
    memcpy(info->sha256, d->sha256[split], sizeof info->sha256);
    return DR_OK;
}

dr_status idx_dataset_read(void *self, dr_split split, int64_t index, float *image, int32_t *label)
{
    const idx_dataset *d = self;
    if (!d->folder) return dr_fail(DR_EINVAL, "data set: not open");
    if (split != DR_TRAIN && split != DR_TEST) return dr_fail(DR_EINVAL, "%s: no split %d", d->set->name, (int)split);
    const idx_file *images = &d->file[2 * split], *labels = &d->file[2 * split + 1];
    if (index < 0 || index >= images->dim[0])
        return dr_fail(DR_EINVAL, "%s: image %lld of %lld", d->set->name, (long long)index, (long long)images->dim[0]);
    const int64_t n = images->dim[1] * images->dim[2];
    const uint8_t *pixel = images->data + index * n;
    for (int64_t i = 0; i < n; i++) image[i] = (float)pixel[i] / 255.0f;
    *label = labels->data[index];
    return DR_OK;
}

const char *idx_dataset_class_name(void *self, int64_t label)
{
    const idx_dataset *d = self;
    return d->set && d->set->class_names && label >= 0 && label < CLASSES ? d->set->class_names[label] : NULL;
}
