/* idx_set.c: see idx_set.h. */
#include "idx_set.h"

#include <string.h>

uint8_t pixel_of(int split, int i, int k) { return (uint8_t)(split * 100 + i * 8 + k); }

void put_32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(v >> (24 - 8 * i));
}

size_t image_bytes(int split, uint8_t *bytes)
{
    const int n = split ? TEST_N : TRAIN_N;
    put_32(bytes, 0x0803), put_32(bytes + 4, (uint32_t)n), put_32(bytes + 8, H), put_32(bytes + 12, W);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < H * W; k++) bytes[IMAGE_HEADER + i * H * W + k] = pixel_of(split, i, k);
    return IMAGE_HEADER + (size_t)n * H * W;
}

size_t label_bytes(int split, uint8_t *bytes)
{
    const int n = split ? TEST_N : TRAIN_N;
    put_32(bytes, 0x0801), put_32(bytes + 4, (uint32_t)n);
    for (int i = 0; i < n; i++) bytes[LABEL_HEADER + i] = (uint8_t)(9 - i);
    return LABEL_HEADER + (size_t)n;
}

static void put_little_32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(v >> 8 * i);
}

enum { GZ_BEFORE = 15, GZ_AFTER = 8 };

/* gzip with one stored block: header, "last block, stored", length and its complement, the bytes, CRC-32, length */
void write_gz(const char *path, const uint8_t *bytes, size_t n)
{
    uint8_t packed[1024] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1 };
    uint32_t crc = 0xffffffff;
    assert_true(n <= sizeof packed - GZ_BEFORE - GZ_AFTER);
    put_little_32(packed + 11, (uint32_t)n | ~(uint32_t)n << 16);
    memcpy(packed + GZ_BEFORE, bytes, n);
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    put_little_32(packed + GZ_BEFORE + n, ~crc);
    put_little_32(packed + GZ_BEFORE + n + 4, (uint32_t)n);
    write_bytes(path, packed, n + GZ_BEFORE + GZ_AFTER);
}

const char *write_set(const char *folder, bool gz)
{
    static const char *const names[] = { TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS };
    for (int i = 0; i < 4; i++) {
        uint8_t bytes[256];
        size_t n = i % 2 ? label_bytes(i / 2, bytes) : image_bytes(i / 2, bytes);
        if (gz) write_gz(text("%s/%s.gz", folder, names[i]), bytes, n);
        else write_bytes(text("%s/%s", folder, names[i]), bytes, n);
    }
    return folder;
}
