/* image_folder.c: a folder of PNG and JPEG images. Its sub-folders are the classes, in the order of their names; a
 * folder that holds images and no sub-folders has no classes. Where it has the sub-folders train and test, those
 * are the splits; else every `test_every`-th image of a class (in the order of names) is for testing. Other files
 * and hidden names are passed by. */
#include "image_file.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

typedef struct image_entry {
    char *path;
    int32_t label;
} image_entry;

typedef struct image_list {
    image_entry *entry;
    int64_t n, room;
    uint8_t *pixel; /* [n, channels, size, size], or NULL where that is more than cache_mb */
    uint8_t sha256[32];
} image_list;

typedef struct name_list {
    char **name;
    int64_t n, room;
} name_list;

typedef struct image_folder {
    const char *path; /* parameters */
    int64_t size, color, test_every, cache_mb;
    image_list split[2]; /* from here on the component's own */
    name_list classes;
    _Bool open;
} image_folder;

enum { COLOR_RGB, COLOR_GRAY, MAX_CLASSES = 1 << 20 };

static const dr_param params[] = {
    DR_STRING(image_folder, path, "",
              "the folder: CLASS/IMAGE, or train/CLASS/IMAGE and test/CLASS/IMAGE, or just IMAGE"),
    DR_INT(image_folder, size, 64, 1, 4096, "images are cropped to the centred square and resampled to size x size"),
    DR_ENUM(image_folder, color, COLOR_RGB, "rgb|gray", "3 channels or 1"),
    DR_INT(image_folder, test_every, 10, 0, 1000000,
           "every n-th image of a class is for testing; 0: none. Without a folder test"),
    DR_INT(image_folder, cache_mb, 1024, 0, 1 << 20,
           "decoded images are kept in memory up to this size; else decoded when read"),
    DR_END
};

/* ---- names in a folder ------------------------------------------------------------------------------------------- */

static void names_free(name_list *l)
{
    for (int64_t i = 0; i < l->n; i++) free(l->name[i]);
    free(l->name);
    *l = (name_list){ .name = NULL };
}

static dr_status names_add(name_list *l, const char *name)
{
    if (l->n == l->room) {
        int64_t room = l->room ? 2 * l->room : 64;
        char **grown = realloc(l->name, (size_t)room * sizeof *grown);
        if (!grown) return dr_fail(DR_ENOMEM, "image_folder: out of memory for %lld names", (long long)room);
        l->name = grown;
        l->room = room;
    }
    l->name[l->n] = strdup(name);
    if (!l->name[l->n]) return dr_fail(DR_ENOMEM, "image_folder: out of memory");
    l->n++;
    return DR_OK;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static _Bool is_image_name(const char *name)
{
    static const char *const endings[] = { ".png", ".jpg", ".jpeg" };
    const char *ending = strrchr(name, '.');
    for (size_t i = 0; ending && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(ending, endings[i]) == 0) return 1;
    return 0;
}

static dr_status join(char path[PATH_MAX], const char *folder, const char *name)
{
    if (snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX) return DR_OK;
    return dr_fail(DR_EINVAL, "image_folder: %s/%s: the name is too long", folder, name);
}

/* Sub-folders and image files of `folder`, each sorted. Links are followed. */
static dr_status list_folder(const char *folder, name_list *folders, name_list *images)
{
    DIR *dir = opendir(folder);
    if (!dir) return dr_fail(errno == ENOENT ? DR_ENOTFOUND : DR_EIO, "image_folder: %s: %s", folder, strerror(errno));
    dr_status status = DR_OK;
    const struct dirent *item;
    while (!status && (item = readdir(dir))) {
        char path[PATH_MAX];
        struct stat st;
        if (item->d_name[0] == '.') continue;
        status = join(path, folder, item->d_name);
        if (status || stat(path, &st) != 0) continue; /* a dangling link is passed by */
        if (S_ISDIR(st.st_mode)) status = names_add(folders, item->d_name);
        if (S_ISREG(st.st_mode) && is_image_name(item->d_name)) status = names_add(images, item->d_name);
    }
    closedir(dir);
    if (folders->n) qsort(folders->name, (size_t)folders->n, sizeof *folders->name, by_name);
    if (images->n) qsort(images->name, (size_t)images->n, sizeof *images->name, by_name);
    return status;
}

/* ---- which images there are -------------------------------------------------------------------------------------- */

static dr_status list_add(image_list *l, const char *path, int32_t label)
{
    if (l->n == l->room) {
        int64_t room = l->room ? 2 * l->room : 256;
        image_entry *grown = realloc(l->entry, (size_t)room * sizeof *grown);
        if (!grown) return dr_fail(DR_ENOMEM, "image_folder: out of memory for %lld images", (long long)room);
        l->entry = grown;
        l->room = room;
    }
    l->entry[l->n] = (image_entry){ .path = strdup(path), .label = label };
    if (!l->entry[l->n].path) return dr_fail(DR_ENOMEM, "image_folder: out of memory");
    l->n++;
    return DR_OK;
}

/* The images of one class to their split. test_every 0: all to `split`. */
static dr_status add_images(image_folder *d, const char *folder, const name_list *images, int32_t label, int split,
                            int64_t test_every)
{
    for (int64_t i = 0; i < images->n; i++) {
        char path[PATH_MAX];
        dr_status status = join(path, folder, images->name[i]);
        int to = test_every && i % test_every == test_every - 1 ? DR_TEST : split;
        if (!status) status = list_add(&d->split[to], path, label);
        if (status) return status;
    }
    return DR_OK;
}

static dr_status add_class(image_folder *d, const char *root, const char *name, int32_t label, int split,
                           int64_t test_every)
{
    char folder[PATH_MAX];
    name_list folders = { .name = NULL }, images = { .name = NULL };
    dr_status status = join(folder, root, name);
    if (!status) status = list_folder(folder, &folders, &images);
    if (!status) status = add_images(d, folder, &images, label, split, test_every);
    names_free(&folders);
    names_free(&images);
    return status;
}

/* root/CLASS/IMAGE. The classes are those of the training images; a class that only the test images have is an
 * error. */
static dr_status add_classes(image_folder *d, const char *root, const name_list *folders, int split, int64_t test_every)
{
    if (folders->n > MAX_CLASSES)
        return dr_fail(DR_EINVAL, "image_folder: %s: more than %d classes", root, MAX_CLASSES);
    for (int64_t i = 0; i < folders->n; i++) {
        dr_status status = split == DR_TRAIN ? names_add(&d->classes, folders->name[i]) : DR_OK;
        if (status) return status;
        char **known = NULL;
        if (d->classes.n)
            known = bsearch(&folders->name[i], d->classes.name, (size_t)d->classes.n, sizeof *known, by_name);
        if (!known)
            return dr_fail(DR_EFORMAT, "image_folder: %s/%s: there is no class %s among the training images", root,
                           folders->name[i], folders->name[i]);
        status = add_class(d, root, folders->name[i], (int32_t)(known - d->classes.name), split, test_every);
        if (status) return status;
    }
    return DR_OK;
}

/* The images below `root`: by class, or without classes where there are no sub-folders. */
static dr_status add_split(image_folder *d, const char *root, int split, int64_t test_every)
{
    name_list folders = { .name = NULL }, images = { .name = NULL };
    dr_status status = list_folder(root, &folders, &images);
    if (!status && folders.n) status = add_classes(d, root, &folders, split, test_every);
    else if (!status && d->classes.n)
        status = dr_fail(DR_EFORMAT, "image_folder: %s: no sub-folders, but the training images have classes", root);
    else if (!status) status = add_images(d, root, &images, 0, split, test_every);
    names_free(&folders);
    names_free(&images);
    return status;
}

static dr_status find_images(image_folder *d)
{
    char train[PATH_MAX], test[PATH_MAX];
    struct stat st;
    dr_status status = join(train, d->path, "train");
    if (!status) status = join(test, d->path, "test");
    if (status) return status;
    if (stat(train, &st) != 0 || stat(test, &st) != 0) return add_split(d, d->path, DR_TRAIN, d->test_every);
    status = add_split(d, train, DR_TRAIN, 0);
    return status ? status : add_split(d, test, DR_TEST, 0);
}

/* ---- pixels ------------------------------------------------------------------------------------------------------ */

static int64_t channels_of(const image_folder *d) { return d->color == COLOR_GRAY ? 1 : 3; }

static int64_t bytes_of_one(const image_folder *d) { return channels_of(d) * d->size * d->size; }

static uint8_t to_byte(float v) { return (uint8_t)(fminf(fmaxf(v, 0.0f), 255.0f) + 0.5f); }

/* The largest centred square. out: [channels, size, size] */
static dr_status read_square(const image_folder *d, const image_entry *entry, uint8_t *out, uint8_t *sha256)
{
    image_rgb image;
    dr_status status = image_read(entry->path, &image, sha256);
    if (status) return status;
    const image_size size = { channels_of(d), d->size, d->size };
    float *value = malloc((size_t)bytes_of_one(d) * sizeof *value);
    status = value ? image_resize(&image, image_centre(&image, 1, 1), size, value)
                   : dr_fail(DR_ENOMEM, "image_folder: out of memory");
    for (int64_t i = 0; i < bytes_of_one(d) && !status; i++) out[i] = to_byte(value[i]);
    free(value);
    image_free(&image);
    return status;
}

/* Decodes a split, so that a broken file is told at the start. Its sum: that of the files' sums, in order. */
static dr_status fill_cache(const image_folder *d, image_list *l)
{
    if (!l->n) return DR_OK;
    uint8_t *sums = malloc((size_t)l->n * 32);
    l->pixel = malloc((size_t)(l->n * bytes_of_one(d)));
    dr_status status =
        sums && l->pixel ? DR_OK : dr_fail(DR_ENOMEM, "image_folder: out of memory for %lld images", (long long)l->n);
    for (int64_t i = 0; i < l->n && !status; i++)
        status = read_square(d, &l->entry[i], l->pixel + i * bytes_of_one(d), sums + 32 * i);
    if (!status) dr_sha256(sums, (size_t)l->n * 32, l->sha256);
    free(sums);
    return status;
}

static void close_image_folder(void *self)
{
    image_folder *d = self;
    for (int split = 0; split < 2; split++) {
        image_list *l = &d->split[split];
        for (int64_t i = 0; i < l->n; i++) free(l->entry[i].path);
        free(l->entry);
        free(l->pixel);
        *l = (image_list){ .entry = NULL };
    }
    names_free(&d->classes);
    d->open = 0;
}

static dr_status find_and_cache(image_folder *d)
{
    if (!d->path || !*d->path) return dr_fail(DR_EINVAL, "image_folder: the parameter `path` names no folder");
    dr_status status = find_images(d);
    if (status) return status;
    const int64_t n = d->split[DR_TRAIN].n + d->split[DR_TEST].n;
    if (!n)
        return dr_fail(DR_ENOTFOUND, "image_folder: %s: no image (.png, .jpg, .jpeg) in it or in its sub-folders",
                       d->path);
    if (n > (d->cache_mb << 20) / bytes_of_one(d)) return DR_OK;
    status = fill_cache(d, &d->split[DR_TRAIN]);
    return status ? status : fill_cache(d, &d->split[DR_TEST]);
}

/* ---- the members of dr_dataset ----------------------------------------------------------------------------------- */

static dr_status open_image_folder(void *self)
{
    image_folder *d = self;
    dr_status status = find_and_cache(d);
    d->open = status == DR_OK;
    if (status) close_image_folder(d);
    return status;
}

static dr_status info(void *self, dr_split split, dr_dataset_info *info)
{
    const image_folder *d = self;
    if (!d->open) return dr_fail(DR_EINVAL, "image_folder: not open");
    if (split != DR_TRAIN && split != DR_TEST) return dr_fail(DR_EINVAL, "image_folder: no split %d", (int)split);
    *info = (dr_dataset_info){ .n = d->split[split].n,
                               .channels = channels_of(d),
                               .height = d->size,
                               .width = d->size,
                               .classes = d->classes.n,
                               .source = d->path };
    memcpy(info->sha256, d->split[split].sha256, sizeof info->sha256);
    return DR_OK;
}

static dr_status read_image(void *self, dr_split split, int64_t index, float *image, int32_t *label)
{
    const image_folder *d = self;
    if (!d->open) return dr_fail(DR_EINVAL, "image_folder: not open");
    if (split != DR_TRAIN && split != DR_TEST) return dr_fail(DR_EINVAL, "image_folder: no split %d", (int)split);
    const image_list *l = &d->split[split];
    if (index < 0 || index >= l->n)
        return dr_fail(DR_EINVAL, "image_folder: image %lld of %lld", (long long)index, (long long)l->n);
    const int64_t n = bytes_of_one(d);
    uint8_t *decoded = l->pixel ? NULL : malloc((size_t)n);
    if (!l->pixel && !decoded) return dr_fail(DR_ENOMEM, "image_folder: out of memory");
    dr_status status = decoded ? read_square(d, &l->entry[index], decoded, NULL) : DR_OK;
    const uint8_t *pixel = decoded ? decoded : l->pixel + index * n;
    for (int64_t i = 0; i < n && !status; i++) image[i] = (float)pixel[i] / 255.0f;
    *label = l->entry[index].label;
    free(decoded);
    return status;
}

static const char *class_name(void *self, int64_t label)
{
    const image_folder *d = self;
    return label >= 0 && label < d->classes.n ? d->classes.name[label] : NULL;
}

DR_DATASET(image_folder, "a folder of PNG and JPEG images; sub-folders are classes", params, .open = open_image_folder,
           .close = close_image_folder, .info = info, .read = read_image, .class_name = class_name)
