/* idx_dataset.h: a data set that is published as four IDX files: train and test, images [N,H,W] and labels [N]. */
#ifndef DATASETS_IDX_DATASET_H
#define DATASETS_IDX_DATASET_H

#include "idx.h"

enum { IDX_FILES = 4, IDX_SPLITS = 2 };

/* What a data set is known by: the sha256 of each raw file, in the order of idx_dataset.c's file_names. */
typedef struct idx_edition {
    const char *title; /* "MNIST" */
    const char *sha256[IDX_FILES];
} idx_edition;

/* A published data set: where to look for it and how to tell it from others. */
typedef struct idx_source {
    const char *name;         /* of the component, its cache folder and its folder in DRIFT_DATA */
    const char *fetch_script; /* below the home folder */
    const idx_edition *full;
    const idx_edition *subset;      /* the small one that comes with the program; NULL: none */
    const char *subset_folder;      /* below the home folder */
    const char *const *class_names; /* [10]; NULL: the numbers themselves */
} idx_source;

/* A component's struct: `typedef idx_dataset mnist;` */
typedef struct idx_dataset {
    const char *path; /* parameters */
    _Bool fetch;
    const idx_source *set; /* from here on the component's own */
    idx_file file[IDX_FILES];
    uint8_t sha256[IDX_SPLITS][IDX_SHA256_BYTES];
    char *folder; /* where it was found */
} idx_dataset;

extern const idx_edition idx_mnist, idx_mnist_subset, idx_fashion_mnist;

#define IDX_DATASET_PARAMS(T) \
    DR_STRING(T, path, "", \
              "folder with the four IDX files, raw or .gz; empty: look in DRIFT_DATA and the cache, then fetch"), \
        DR_BOOL(T, fetch, 1, "fetch the files into the cache when they are nowhere else")

/* Finds, reads and checks the four files: `path`; DRIFT_DATA/NAME and DRIFT_DATA; the cache; a fetch into the
 * cache; the subset. A folder that the user names may hold other data (a message says so); what was fetched must
 * have the known sums. Memory: the raw bytes (55 MB for MNIST), until idx_dataset_close. */
dr_status idx_dataset_open(idx_dataset *d, const idx_source *set);

/* The members of dr_dataset. read: image [1,H,W], v/255. */
void idx_dataset_close(void *self);
dr_status idx_dataset_info(void *self, dr_split split, dr_dataset_info *info);
dr_status idx_dataset_read(void *self, dr_split split, int64_t index, float *image, int32_t *label);
const char *idx_dataset_class_name(void *self, int64_t label);

#endif
