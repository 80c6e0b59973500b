/* image_file.h: PNG and JPEG files, which may come from anywhere, to pictures of one size. */
#ifndef DATASETS_IMAGE_FILE_H
#define DATASETS_IMAGE_FILE_H

#include <drift/plugin.h>

typedef struct image_rgb {
    uint8_t *pixel; /* [height, width, 3]; image_free gives it back */
    int64_t height, width;
} image_rgb;
typedef struct image_box { int64_t top, left, height, width; } image_box; /* a part of a picture, in pixels */
typedef struct image_size { int64_t channels, height, width; } image_size;

/* Decodes a PNG (any form; transparency shows white, 16 bits become 8) or a JPEG (not CMYK), told apart by content, and
 * turns it as its EXIF orientation says. Refuses with dr_fail, naming the file, what is damaged, cut short, larger than
 * 256 MB or 64 million pixels. sha256 [32] of the file's bytes may be NULL. Colour profiles are not applied. [any] */
dr_status image_read(const char *path, image_rgb *image, uint8_t *sha256);
void image_free(image_rgb *image);

/* The EXIF orientation, 1 to 8, of a JPEG's bytes, or of a block of EXIF ("II*\0..." or "MM\0*...") alone; 1 where there
 * is none or it makes no sense. [any] */
int image_orientation_of_jpeg(const uint8_t *data, size_t size);
int image_orientation_of_exif(const uint8_t *data, size_t size);
/* Turns and mirrors the picture so that it stands as orientation 1 does. [any] */
dr_status image_orient(image_rgb *image, int orientation);

/* `box` of the image, resampled to out [channels,H,W], 0 to 255. channels 3: RGB; 1: luma (BT.601). [any] */
dr_status image_resize(const image_rgb *image, image_box box, image_size size, float *out);
/* The largest centred box of the proportions height : width, within a pixel. [any] */
image_box image_centre(const image_rgb *image, int64_t height, int64_t width);

#endif
