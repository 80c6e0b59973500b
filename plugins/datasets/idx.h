/* idx.h: IDX files, the form in which MNIST and its kin are published: two zero bytes, the type (8: unsigned byte), the
 * rank, the dimensions as big-endian 32-bit numbers, then the values in row-major order. Raw or gzip'd. */
#ifndef DATASETS_IDX_H
#define DATASETS_IDX_H

#include <drift/plugin.h>

enum { IDX_MAX_RANK = 3, IDX_SHA256_BYTES = 32 };

typedef struct idx_file {
    uint8_t *bytes;                   /* the whole unzipped file; idx_free gives it back */
    const uint8_t *data;              /* its values, [dim[0], ... dim[rank-1]] */
    int64_t dim[IDX_MAX_RANK];        /* each at least 1 */
    uint8_t sha256[IDX_SHA256_BYTES]; /* of the whole unzipped file */
} idx_file;

/* Why a file was refused. Kept apart from dr_fail, since a search goes on in the next folder. */
typedef struct idx_error {
    dr_status code;
    char text[1024];
} idx_error;

/* Records the reason and returns false. */
__attribute__((format(printf, 3, 4))) _Bool idx_refuse(idx_error *why, dr_status code, const char *format, ...);

/* True if FOLDER/NAME or FOLDER/NAME.gz exists. [any] */
_Bool idx_exists(const char *folder, const char *name);

/* Reads FOLDER/NAME, or else FOLDER/NAME.gz, which must be an IDX file of unsigned bytes of that rank, of exactly
 * the length that its header says. No more memory is taken than the file can fill. On failure *file is untouched.
 * [any] */
_Bool idx_read(const char *folder, const char *name, int rank, idx_file *file, idx_error *why);

/* NULL bytes are fine. */
void idx_free(idx_file *file);

#endif
