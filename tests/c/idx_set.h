/* idx_set.h: a small data set of our own in MNIST's form: 5 training and 3 test images of 2x4 pixels. */
#ifndef TESTS_IDX_SET_H
#define TESTS_IDX_SET_H

#include "dataset_fixture.h"

#define TRAIN_IMAGES "train-images-idx3-ubyte"
#define TRAIN_LABELS "train-labels-idx1-ubyte"
#define TEST_IMAGES "t10k-images-idx3-ubyte"
#define TEST_LABELS "t10k-labels-idx1-ubyte"

enum { TRAIN_N = 5, TEST_N = 3, H = 2, W = 4, IMAGE_HEADER = 16, LABEL_HEADER = 8 };

/* What our own set holds: labels are 9 - i. */
uint8_t pixel_of(int split, int i, int k);
/* Its files; return their length, at most 64 bytes. */
size_t image_bytes(int split, uint8_t *bytes);
size_t label_bytes(int split, uint8_t *bytes);
/* All four in `folder`, raw or as NAME.gz. Returns folder. */
const char *write_set(const char *folder, bool gz);

void put_32(uint8_t *at, uint32_t v); /* big-endian */
void write_gz(const char *path, const uint8_t *bytes, size_t n);

#endif
