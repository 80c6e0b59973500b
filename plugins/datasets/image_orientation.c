/* image_orientation.c: how a camera was held. EXIF's tag 0x0112 in the first directory says which of the eight turns
 * and mirrorings the pixels need:
 *   1 as it is   2 mirrored   3 half a turn   4 upside down   5 transposed   6 a quarter clockwise   7 transverse
 *   8 a quarter anticlockwise
 * EXIF comes from anywhere: every offset is held against the block's end, and what makes no sense counts as 1. */
#include "image_file.h"

#include <stdlib.h>
#include <string.h>

enum { ORIENTATION_TAG = 0x0112, TYPE_SHORT = 3, ENTRY_BYTES = 12 };

static uint32_t read_number(const uint8_t *at, int bytes, _Bool little)
{
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++) v = v << 8 | at[little ? bytes - 1 - i : i];
    return v;
}

int image_orientation_of_exif(const uint8_t *data, size_t size)
{
    if (size < 8) return 1;
    const _Bool little = memcmp(data, "II*\0", 4) == 0;
    if (!little && memcmp(data, "MM\0*", 4) != 0) return 1;
    const size_t directory = read_number(data + 4, 4, little);
    if (directory > size - 2) return 1;
    const size_t entries = read_number(data + directory, 2, little);
    for (size_t i = 0; i < entries; i++) {
        const size_t at = directory + 2 + i * ENTRY_BYTES;
        if (at > size || size - at < ENTRY_BYTES) return 1;
        if (read_number(data + at, 2, little) != ORIENTATION_TAG) continue;
        const uint32_t type = read_number(data + at + 2, 2, little), count = read_number(data + at + 4, 4, little);
        const uint32_t value = read_number(data + at + 8, 2, little);
        return type == TYPE_SHORT && count == 1 && value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

/* A JPEG is a row of segments FF, marker, length; EXIF is an APP1 (E1) that begins with "Exif\0\0". */
int image_orientation_of_jpeg(const uint8_t *data, size_t size)
{
    enum { APP1 = 0xe1, START_OF_SCAN = 0xda, END = 0xd9 };
    for (size_t at = 2; at + 4 <= size && data[at] == 0xff;) {
        const uint8_t marker = data[at + 1];
        const size_t length = read_number(data + at + 2, 2, 0);
        if (marker == 0xff) { /* a fill byte */
            at++;
            continue;
        }
        if (marker == START_OF_SCAN || marker == END || length < 2 || length > size - at - 2) return 1;
        const uint8_t *content = data + at + 4;
        if (marker == APP1 && length >= 8 && memcmp(content, "Exif\0\0", 6) == 0)
            return image_orientation_of_exif(content + 6, length - 8);
        at += 2 + length;
    }
    return 1;
}

dr_status image_orient(image_rgb *image, int orientation)
{
    if (orientation <= 1 || orientation > 8) return DR_OK;
    const _Bool transposed = orientation >= 5;
    const int64_t H = transposed ? image->width : image->height, W = transposed ? image->height : image->width;
    /* where the pixel that goes to row y, column x lies: the row counts from the end, the column does */
    const _Bool flip_row = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
    const _Bool flip_column = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
    uint8_t *turned = malloc((size_t)(H * W) * 3);
    if (!turned)
        return dr_fail(DR_ENOMEM, "out of memory to turn a picture of %lldx%lld pixels", (long long)W, (long long)H);
    for (int64_t y = 0; y < H; y++)
        for (int64_t x = 0; x < W; x++) {
            const int64_t row = flip_row ? H - 1 - y : y, column = flip_column ? W - 1 - x : x;
            const int64_t from = transposed ? column * image->width + row : row * image->width + column;
            memcpy(turned + 3 * (y * W + x), image->pixel + 3 * from, 3);
        }
    free(image->pixel);
    *image = (image_rgb){ .pixel = turned, .height = H, .width = W };
    return DR_OK;
}
