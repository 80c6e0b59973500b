/* resident.h: a data set's images in a device's memory, for loader.c. Private. */
#ifndef DRIFT_RESIDENT_H
#define DRIFT_RESIDENT_H

#include "drift.h"

typedef struct dr_resident dr_resident;

/* The first `rows` samples, on the current device. NULL, without an error: they do not live there, and batches are read
 * on the host: its memory is the device's, they are too many bytes, have noise of their own, or one cannot be read. */
dr_resident *dr_resident_new(dr_instance *dataset, dr_split split, const dr_dataset_info *info, int64_t rows);
void dr_resident_free(dr_resident *r); /* NULL is fine */
dr_device *dr_resident_device(const dr_resident *r);

/* Samples order[start .. start + size), as the host would have uploaded them: image and label of *out. The order [rows]
 * is uploaded where `number` is another one than before. */
dr_status dr_resident_batch(dr_resident *r, const int64_t *order, int64_t number, int64_t start, int64_t size,
                            dr_batch *out);

#endif
