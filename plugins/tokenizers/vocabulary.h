/* vocabulary.h: an open vocabulary: what the components of this plugin share. */
#ifndef DRIFT_TOKENIZERS_VOCABULARY_H
#define DRIFT_TOKENIZERS_VOCABULARY_H

#include "library.h"

#include <drift/plugin.h>

typedef struct vocabulary {
    const char *path; /* of the file, for messages; borrowed */
    library_model *model;
    const char *normal; /* of the last text; the library's */
    size_t length;
} vocabulary;

enum { VOCABULARY_MAX_FILE = 64 << 20, VOCABULARY_MAX_TEXT = 1 << 20 }; /* bytes */

/* The whole of a file of at most VOCABULARY_MAX_FILE bytes, which the caller frees; NULL after dr_fail. */
char *vocabulary_read(const char *component, const char *path, size_t *bytes);

/* From a serialized ModelProto, which is checked first; path is what messages name. */
dr_status vocabulary_open(vocabulary *v, const char *path, const void *model, size_t bytes);
void vocabulary_close(vocabulary *v);

dr_status vocabulary_info(vocabulary *v, dr_tokenizer_info *info);
const int32_t *vocabulary_encode(vocabulary *v, const char *text, size_t bytes, int64_t *n);
const char *vocabulary_decode(vocabulary *v, const int32_t *ids, int64_t n, size_t *bytes);
const char *vocabulary_normalize(vocabulary *v, const char *text, size_t bytes, size_t *length);

#endif
