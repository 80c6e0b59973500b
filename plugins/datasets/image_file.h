/* image_file.h: PNG and JPEG files, which may come from anywhere, to square pictures of one size. */
#ifndef DATASETS_IMAGE_FILE_H
#define DATASETS_IMAGE_FILE_H

#include <drift/plugin.h>

typedef struct image_rgb {
    uint8_t *pixel; /* [height, width, 3]; image_free gives it back */
    int64_t height, width;
} image_rgb;

/* Decodes a PNG (any form; transparency shows white) or a JPEG (not CMYK), told apart by content. Refuses with
 * dr_fail, naming the file, what is damaged, cut short, larger than 256 MB or 64 million pixels. sha256 [32] of the
 * file's bytes may be NULL. EXIF rotation is not applied. [any] */
dr_status image_read(const char *path, image_rgb *image, uint8_t *sha256);
void image_free(image_rgb *image);

/* The largest centred square of `image`, resampled to out [channels, size, size]. channels 3: RGB; 1: luma
 * (BT.601). [any] */
dr_status image_square(const image_rgb *image, int64_t size, int64_t channels, uint8_t *out);

#endif
