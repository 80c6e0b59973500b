/* pairs.c: images with the noise that each was made from, for training again on a model's own pairs.     Liu, Gong &
 * Liu 2023 (reflow)
 *   a safetensors file: images [N,C,H,W], noise [N,C,H,W], labels [N] (may be left out); lua/drift/reflow_pairs.lua
 *   makes one.   (noise, image) = (z, ODE(z)): a coupling whose straight lines cross less
 * All pairs are for training. Rows are read from the memory-mapped file when they are asked for. */
#include <drift/plugin.h>
#include <math.h>
#include <stddef.h>

enum { MAX_RANK = 8, MAX_CLASSES = 1 << 20 };

typedef struct pairs {
    const char *path; /* parameters */
    int64_t classes;
    dr_file *file; /* from here on the component's own */
    int64_t n, shape[3]; /* C,H,W */
    _Bool labelled;
} pairs;

static const dr_param params[] = {
    DR_STRING(pairs, path, "", "the file: images, noise and labels"),
    DR_INT(pairs, classes, 0, 0, MAX_CLASSES, "number of classes; 0: the largest label and 1 more"),
    DR_END
};

static int64_t pixels_of(const pairs *d) { return d->shape[0] * d->shape[1] * d->shape[2]; }

static _Bool is_float(int32_t dtype)
{
    return dtype == DR_F32 || dtype == DR_F64 || dtype == DR_BF16 || dtype == DR_F16;
}

static dr_status need(const pairs *d, const char *name, int32_t rank, int64_t shape[MAX_RANK])
{
    int32_t dtype, r;
    if (!dr_file_shape(d->file, name, &dtype, &r, shape))
        return dr_fail(DR_EFORMAT, "pairs: %s: has no tensor '%s'", d->path, name);
    if (r != rank)
        return dr_fail(DR_ESHAPE, "pairs: %s: '%s' has %d dimensions, expected %d (%s)", d->path, name, r, rank,
                       rank == 4 ? "[N,C,H,W]" : "[N]");
    const _Bool fits = rank == 4 ? is_float(dtype) : dtype == DR_I32 || dtype == DR_I64 || dtype == DR_U8;
    if (!fits)
        return dr_fail(DR_EFORMAT, "pairs: %s: '%s' should hold %s", d->path, name,
                       rank == 4 ? "floats" : "whole numbers (I64, I32 or U8)");
    return DR_OK;
}

static dr_status check_images(pairs *d)
{
    int64_t images[MAX_RANK], noise[MAX_RANK];
    dr_status status = need(d, "images", 4, images);
    if (!status) status = need(d, "noise", 4, noise);
    if (status) return status;
    for (int i = 0; i < 4; i++)
        if (images[i] != noise[i])
            return dr_fail(DR_ESHAPE,
                           "pairs: %s: images [%lld,%lld,%lld,%lld] and noise [%lld,%lld,%lld,%lld] are not alike", d->path,
                           (long long)images[0], (long long)images[1], (long long)images[2],
                           (long long)images[3], (long long)noise[0], (long long)noise[1], (long long)noise[2],
                           (long long)noise[3]);
    d->n = images[0];
    for (int i = 0; i < 3; i++) d->shape[i] = images[1 + i];
    if (d->n > 0 && pixels_of(d) > 0) return DR_OK;
    return dr_fail(DR_EFORMAT, "pairs: %s: holds no images", d->path);
}

static dr_status label_of(const pairs *d, int64_t index, int64_t *label)
{
    return dr_file_read(d->file, "labels", index, 1, DR_I64, label);
}

static dr_status check_labels(pairs *d)
{
    int64_t shape[MAX_RANK], largest = -1;
    int32_t dtype, rank;
    d->labelled = dr_file_shape(d->file, "labels", &dtype, &rank, shape);
    if (!d->labelled && d->classes > 0)
        return dr_fail(DR_EFORMAT, "pairs: %s: has no labels, but classes = %lld", d->path, (long long)d->classes);
    if (!d->labelled) return DR_OK;
    dr_status status = need(d, "labels", 1, shape);
    if (status) return status;
    if (shape[0] != d->n)
        return dr_fail(DR_ESHAPE, "pairs: %s: %lld labels for %lld images", d->path, (long long)shape[0],
                       (long long)d->n);
    const int64_t limit = d->classes > 0 ? d->classes : MAX_CLASSES;
    for (int64_t i = 0; i < d->n; i++) {
        int64_t label = 0;
        status = label_of(d, i, &label);
        if (status) return status;
        if (label < 0 || label >= limit)
            return dr_fail(DR_EFORMAT, "pairs: %s: label %lld is %lld, outside [0, %lld)", d->path, (long long)i,
                           (long long)label, (long long)limit);
        if (label > largest) largest = label;
    }
    if (d->classes == 0) d->classes = largest + 1;
    return DR_OK;
}

static void close_pairs(void *self)
{
    pairs *d = self;
    dr_file_close(d->file);
    d->file = NULL;
}

static dr_status open_pairs(void *self)
{
    pairs *d = self;
    if (!d->path || !*d->path) return dr_fail(DR_EINVAL, "pairs: the parameter `path` names no file");
    d->file = dr_file_open(d->path);
    if (!d->file) return dr_failed();
    dr_status status = check_images(d);
    if (!status) status = check_labels(d);
    if (status) close_pairs(d);
    return status;
}

static dr_status info(void *self, dr_split split, dr_dataset_info *info)
{
    const pairs *d = self;
    if (split != DR_TRAIN && split != DR_TEST) return dr_fail(DR_EINVAL, "pairs: no split %d", (int)split);
    *info = (dr_dataset_info){ .n = split == DR_TRAIN ? d->n : 0, .channels = d->shape[0], .height = d->shape[1],
                               .width = d->shape[2], .classes = d->classes, .source = d->path };
    return DR_OK;
}

/* A number that is none would spoil the weights without a word, so each row is looked at. */
static dr_status read_row(const pairs *d, dr_split split, const char *name, int64_t index, float *row)
{
    const int64_t pixels = pixels_of(d), n = split == DR_TRAIN ? d->n : 0;
    if (index < 0 || index >= n)
        return dr_fail(DR_EINVAL, "pairs: image %lld of %lld", (long long)index, (long long)n);
    const dr_status status = dr_file_read(d->file, name, index * pixels, pixels, DR_F32, row);
    for (int64_t i = 0; i < pixels && !status; i++)
        if (!isfinite(row[i]))
            return dr_fail(DR_EFORMAT, "pairs: %s: '%s' %lld holds a number that is not finite", d->path, name,
                           (long long)index);
    return status;
}

static dr_status read_image(void *self, dr_split split, int64_t index, float *image, int32_t *label)
{
    const pairs *d = self;
    int64_t wide = 0;
    dr_status status = read_row(d, split, "images", index, image);
    if (!status && d->labelled) status = label_of(d, index, &wide);
    *label = (int32_t)wide;
    return status;
}

static dr_status read_noise(void *self, dr_split split, int64_t index, float *noise)
{
    return read_row(self, split, "noise", index, noise);
}

DR_DATASET(pairs, "Images with the noise that each was made from, in a safetensors file", params, .open = open_pairs,
           .close = close_pairs, .info = info, .read = read_image, .noise = read_noise)
