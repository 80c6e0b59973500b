/* image_file.c: decodes PNG (libspng) and JPEG (libturbojpeg). Before a decoder may write a pixel, the size that
 * the file claims is held against fixed limits and against what so many bytes can be unpacked to. */
#include "image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <spng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <turbojpeg.h>
#include <unistd.h>

enum { MAX_SIDE = 32768, MAX_PIXELS = 1 << 26, MAX_FILE_BYTES = 1 << 28, MAX_CHUNK_BYTES = 1 << 24 };
enum { MAX_DEFLATE_RATIO = 1032 }; /* the most bytes that one byte of a PNG's pixel data can stand for */
static const uint8_t png_signature[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
static const uint8_t jpeg_signature[] = { 0xff, 0xd8, 0xff };

typedef struct file_bytes {
    uint8_t *data;
    size_t size;
} file_bytes;

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static dr_status read_open_file(int fd, const char *path, file_bytes *file)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return dr_fail(DR_EIO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return dr_fail(DR_EFORMAT, "%s: not a file", path);
    if (st.st_size == 0) return dr_fail(DR_EFORMAT, "%s: the file is empty", path);
    if (st.st_size > MAX_FILE_BYTES)
        return dr_fail(DR_EFORMAT, "%s: %lld bytes, more than %d", path, (long long)st.st_size, MAX_FILE_BYTES);
    file->size = (size_t)st.st_size;
    file->data = malloc(file->size);
    if (!file->data) return dr_fail(DR_ENOMEM, "%s: out of memory for %zu bytes", path, file->size);
    for (size_t have = 0; have < file->size;) {
        ssize_t got = read(fd, file->data + have, file->size - have);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            return dr_fail(DR_EIO, "%s: %s", path, got < 0 ? strerror(errno) : "became shorter while it was read");
        have += (size_t)got;
    }
    return DR_OK;
}

static dr_status read_file(const char *path, file_bytes *file)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not to wait where the name is a pipe */
    if (fd < 0) return dr_fail(errno == ENOENT ? DR_ENOTFOUND : DR_EIO, "%s: %s", path, strerror(errno));
    dr_status status = read_open_file(fd, path, file);
    close(fd);
    return status;
}

static _Bool starts_with(const file_bytes *file, const uint8_t *signature, size_t n)
{
    return file->size >= n && memcmp(file->data, signature, n) == 0;
}

/* Refuses a size; else allocates [height, width, bytes]. */
static dr_status make_room(const char *path, int64_t height, int64_t width, int64_t bytes, image_rgb *image)
{
    if (height < 1 || width < 1 || height > MAX_SIDE || width > MAX_SIDE || height * width > MAX_PIXELS)
        return dr_fail(DR_EFORMAT, "%s: %lldx%lld pixels; at most %d to a side and %d in all are read", path,
                       (long long)width, (long long)height, MAX_SIDE, MAX_PIXELS);
    image->pixel = malloc((size_t)(height * width * bytes));
    if (!image->pixel)
        return dr_fail(DR_ENOMEM, "%s: out of memory for %lldx%lld pixels", path, (long long)width, (long long)height);
    image->height = height;
    image->width = width;
    return DR_OK;
}

/* ---- PNG --------------------------------------------------------------------------------------------------------- */

/* RGBA [n,4] -> RGB over white [n,3], in place: what is written lies before all that is still to be read. */
static void lay_over_white(uint8_t *pixel, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < 3; c++) {
            unsigned alpha = pixel[4 * i + 3];
            pixel[3 * i + c] = (uint8_t)((pixel[4 * i + c] * alpha + 255 * (255 - alpha) + 127) / 255);
        }
}

static dr_status decode_png_with(spng_ctx *png, const char *path, const file_bytes *file, image_rgb *image)
{
    struct spng_ihdr header;
    size_t packed_rows, bytes;
    int problem = spng_set_image_limits(png, MAX_SIDE, MAX_SIDE);
    if (!problem) problem = spng_set_chunk_limits(png, MAX_CHUNK_BYTES, 4 * MAX_CHUNK_BYTES);
    if (!problem) problem = spng_set_png_buffer(png, file->data, file->size);
    if (!problem) problem = spng_get_ihdr(png, &header);
    if (problem == SPNG_EUSER_WIDTH || problem == SPNG_EUSER_HEIGHT)
        return dr_fail(DR_EFORMAT, "%s: more than %d pixels to a side", path, MAX_SIDE);
    if (!problem) problem = spng_decoded_image_size(png, SPNG_FMT_PNG, &packed_rows);
    if (!problem) problem = spng_decoded_image_size(png, SPNG_FMT_RGBA8, &bytes);
    if (problem) return dr_fail(DR_EFORMAT, "%s: a damaged PNG: %s", path, spng_strerror(problem));
    if (packed_rows / MAX_DEFLATE_RATIO > file->size)
        return dr_fail(DR_EFORMAT, "%s: a damaged PNG: it claims %ux%u pixels, which %zu bytes cannot hold", path,
                       header.width, header.height, file->size);

    dr_status status = make_room(path, header.height, header.width, 4, image);
    if (status) return status;
    problem = spng_decode_image(png, image->pixel, bytes, SPNG_FMT_RGBA8, SPNG_DECODE_TRNS);
    if (problem) return dr_fail(DR_EFORMAT, "%s: a damaged PNG: %s", path, spng_strerror(problem));
    lay_over_white(image->pixel, bytes / 4);
    struct spng_exif exif = { .length = 0 };
    if (spng_get_exif(png, &exif) != 0) return DR_OK;
    return image_orient(image, image_orientation_of_exif((const uint8_t *)exif.data, exif.length));
}

static dr_status decode_png(const char *path, const file_bytes *file, image_rgb *image)
{
    spng_ctx *png = spng_ctx_new(0);
    if (!png) return dr_fail(DR_ENOMEM, "%s: out of memory", path);
    dr_status status = decode_png_with(png, path, file, image);
    spng_ctx_free(png);
    return status;
}

/* ---- JPEG -------------------------------------------------------------------------------------------------------- */

static dr_status decode_jpeg_with(tjhandle jpeg, const char *path, const file_bytes *file, image_rgb *image)
{
    int width = 0, height = 0, subsampling = 0, colours = 0;
    if (tjDecompressHeader3(jpeg, file->data, (unsigned long)file->size, &width, &height, &subsampling, &colours))
        return dr_fail(DR_EFORMAT, "%s: a damaged JPEG: %s", path, tjGetErrorStr2(jpeg));
    if (!width || !height) return dr_fail(DR_EFORMAT, "%s: a damaged JPEG: there is no picture in it", path);
    if (colours == TJCS_CMYK || colours == TJCS_YCCK)
        return dr_fail(DR_EUNSUPPORTED, "%s: a CMYK JPEG; convert it to RGB", path);
    dr_status status = make_room(path, height, width, 3, image);
    if (status) return status;
    /* What is only a warning to the library is a picture with missing parts to us. LIMITSCANS: a progressive file
     * may not keep the decoder busy for hours. */
    if (tjDecompress2(jpeg, file->data, (unsigned long)file->size, image->pixel, width, 0, height, TJPF_RGB,
                      TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS))
        return dr_fail(DR_EFORMAT, "%s: a damaged JPEG: %s", path, tjGetErrorStr2(jpeg));
    return image_orient(image, image_orientation_of_jpeg(file->data, file->size));
}

static dr_status decode_jpeg(const char *path, const file_bytes *file, image_rgb *image)
{
    tjhandle jpeg = tjInitDecompress();
    if (!jpeg) return dr_fail(DR_ENOMEM, "%s: out of memory", path);
    dr_status status = decode_jpeg_with(jpeg, path, file, image);
    tjDestroy(jpeg);
    return status;
}

/* ---- either ------------------------------------------------------------------------------------------------------ */

static dr_status decode(const char *path, const file_bytes *file, image_rgb *image)
{
    if (starts_with(file, png_signature, sizeof png_signature)) return decode_png(path, file, image);
    if (starts_with(file, jpeg_signature, sizeof jpeg_signature)) return decode_jpeg(path, file, image);
    return dr_fail(DR_EFORMAT, "%s: neither a PNG nor a JPEG by its content", path);
}

dr_status image_read(const char *path, image_rgb *image, uint8_t *sha256)
{
    file_bytes file = { .data = NULL };
    image_rgb decoded = { .pixel = NULL };
    dr_status status = read_file(path, &file);
    if (!status) status = decode(path, &file, &decoded);
    if (!status && sha256) dr_sha256(file.data, file.size, sha256);
    free(file.data);
    if (status) image_free(&decoded);
    else *image = decoded;
    return status;
}

void image_free(image_rgb *image)
{
    free(image->pixel);
    *image = (image_rgb){ .pixel = NULL };
}
