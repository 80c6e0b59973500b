/* idx.c: reads IDX files, raw or gzip'd, taking nothing that their headers say on trust.
 * http://yann.lecun.com/exdb/mnist */
#include "idx.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { IDX_UNSIGNED_BYTE = 8, READ_AT_ONCE = 1 << 26 };
static const int64_t max_count = 1 << 27, max_side = 4096, max_bytes = INT64_C(1) << 31;
static const int64_t max_deflate_ratio = 1032; /* the most that a byte of gzip can stand for */

_Bool idx_refuse(idx_error *why, dr_status code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    why->code = code;
    return 0;
}

/* path: [PATH_MAX]. Returns -1 and leaves errno where neither file can be opened. */
static int open_raw_or_gz(const char *folder, const char *name, char *path)
{
    static const char *const endings[] = { "", ".gz" };
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (snprintf(path, PATH_MAX, "%s/%s%s", folder, name, endings[i]) >= PATH_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not to wait where the name is a pipe */
        if (fd >= 0 || errno != ENOENT) return fd;
    }
    return -1;
}

_Bool idx_exists(const char *folder, const char *name)
{
    char path[PATH_MAX];
    int fd = open_raw_or_gz(folder, name, path);
    if (fd < 0) return errno != ENOENT && errno != ENOTDIR;
    close(fd);
    return 1;
}

/* Reads exactly n bytes. A gzip stream that is cut short or damaged is told apart from a short file. */
static _Bool read_exactly(gzFile gz, const char *path, uint8_t *to, int64_t n, idx_error *why)
{
    int64_t have = 0;
    while (have < n) {
        int64_t want = n - have < READ_AT_ONCE ? n - have : READ_AT_ONCE;
        int got = gzread(gz, to + have, (unsigned)want);
        if (got <= 0) break;
        have += got;
    }
    int problem = Z_OK;
    const char *text = gzerror(gz, &problem);
    if (problem == Z_ERRNO) return idx_refuse(why, DR_EIO, "%s: cannot be read: %s", path, strerror(errno));
    if (problem != Z_OK && problem != Z_BUF_ERROR)
        return idx_refuse(why, DR_EFORMAT, "%s: damaged gzip data: %s", path, text);
    if (have < n || problem == Z_BUF_ERROR)
        return idx_refuse(why, DR_EFORMAT, "%s: the file is cut short (%lld of %lld bytes could be read)", path,
                          (long long)have, (long long)n);
    return 1;
}

static int64_t big_endian_32(const uint8_t *p)
{
    return (int64_t)p[0] << 24 | (int64_t)p[1] << 16 | (int64_t)p[2] << 8 | p[3];
}

/* header: [4 + 4 rank]. Fills dim and the number of values. */
static _Bool read_header(const uint8_t *header, const char *path, int rank, int64_t *dim, int64_t *values,
                         idx_error *why)
{
    if (header[0] || header[1] || header[2] != IDX_UNSIGNED_BYTE || header[3] != rank)
        return idx_refuse(why, DR_EFORMAT,
                          "%s: not an IDX file of bytes with %d dimension%s: it starts with %02x%02x%02x%02x, "
                          "expected 0000%02x%02x",
                          path, rank, rank == 1 ? "" : "s", header[0], header[1], header[2], header[3],
                          IDX_UNSIGNED_BYTE, rank);
    *values = 1;
    for (int i = 0; i < rank; i++) {
        dim[i] = big_endian_32(header + 4 + 4 * i);
        int64_t limit = i == 0 ? max_count : max_side;
        if (dim[i] < 1 || dim[i] > limit)
            return idx_refuse(why, DR_EFORMAT, "%s: dimension %d is %lld, outside [1, %lld]", path, i,
                              (long long)dim[i], (long long)limit);
        *values *= dim[i]; /* at most 2^27 2^12 2^12 */
    }
    if (*values > max_bytes)
        return idx_refuse(why, DR_EFORMAT, "%s: its header asks for %lld bytes, more than %lld", path,
                          (long long)*values, (long long)max_bytes);
    return 1;
}

static _Bool read_open_file(gzFile gz, int64_t file_bytes, const char *path, int rank, idx_file *file, idx_error *why)
{
    uint8_t header[4 + 4 * IDX_MAX_RANK];
    const int64_t header_bytes = 4 + 4 * rank;
    int64_t values = 0;
    idx_file found = { .bytes = NULL };
    if (!read_exactly(gz, path, header, header_bytes, why)) return 0;
    if (!read_header(header, path, rank, found.dim, &values, why)) return 0;

    const int64_t total = header_bytes + values;
    if (gzdirect(gz) ? file_bytes != total : file_bytes * max_deflate_ratio < total)
        return idx_refuse(why, DR_EFORMAT, "%s: the file is %s: it has %lld bytes%s, but its header asks for %lld",
                          path, file_bytes > total ? "too long" : "cut short", (long long)file_bytes,
                          gzdirect(gz) ? "" : " of gzip", (long long)total);
    found.bytes = malloc((size_t)total);
    if (!found.bytes) return idx_refuse(why, DR_ENOMEM, "%s: out of memory for %lld bytes", path, (long long)total);
    memcpy(found.bytes, header, (size_t)header_bytes);
    uint8_t beyond;
    if (!read_exactly(gz, path, found.bytes + header_bytes, values, why)) {
        free(found.bytes);
        return 0;
    }
    if (gzread(gz, &beyond, 1) > 0) { /* this call also makes zlib check the sum at the end */
        free(found.bytes);
        return idx_refuse(why, DR_EFORMAT, "%s: the file goes on after the %lld bytes that its header asks for", path,
                          (long long)total);
    }
    if (!read_exactly(gz, path, NULL, 0, why)) {
        free(found.bytes);
        return 0;
    }
    found.data = found.bytes + header_bytes;
    dr_sha256(found.bytes, (size_t)total, found.sha256);
    *file = found;
    return 1;
}

_Bool idx_read(const char *folder, const char *name, int rank, idx_file *file, idx_error *why)
{
    char path[PATH_MAX];
    int fd = open_raw_or_gz(folder, name, path);
    if (fd < 0) {
        dr_status code = errno == ENOENT || errno == ENOTDIR ? DR_ENOTFOUND : DR_EIO;
        return idx_refuse(why, code, "%s/%s (or .gz): %s", folder, name, strerror(errno));
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return idx_refuse(why, DR_EFORMAT, "%s: not a file", path);
    }
    gzFile gz = gzdopen(fd, "rb"); /* reads raw files as they are */
    if (!gz) {
        close(fd);
        return idx_refuse(why, DR_ENOMEM, "%s: out of memory", path);
    }
    _Bool done = read_open_file(gz, st.st_size, path, rank, file, why);
    gzclose_r(gz);
    return done;
}

void idx_free(idx_file *file)
{
    free(file->bytes);
    *file = (idx_file){ .bytes = NULL };
}
