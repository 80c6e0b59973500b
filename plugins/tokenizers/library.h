/* library.h: the door to SentencePiece's C++ library, for C. Nothing is thrown across it: a function that fails returns
 * NULL or false, and writes why into a text of LIBRARY_WHY bytes. The model must have passed model_check: the library
 * follows offsets in a model without looking. */
#ifndef DRIFT_TOKENIZERS_LIBRARY_H
#define DRIFT_TOKENIZERS_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LIBRARY_WHY = 512 };

typedef struct library_model library_model;

library_model *library_open(const void *model, size_t bytes, char *why); /* a serialized ModelProto; it is copied */
void library_close(library_model *m);                                    /* NULL is fine */
void library_info(const library_model *m, int64_t *pieces, int64_t *pad, int64_t *eos, int64_t *unk); /* -1: none */

/* The results belong to the model and hold until the next call. normal: the text that was cut into pieces. */
bool library_encode(library_model *m, const char *text, size_t bytes, const int32_t **ids, int64_t *n,
                    const char **normal, size_t *length, char *why);
bool library_decode(library_model *m, const int32_t *ids, int64_t n, const char **text, size_t *bytes, char *why);

#ifdef __cplusplus
}
#endif
#endif
