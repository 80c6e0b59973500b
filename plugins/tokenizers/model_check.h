/* model_check.h: is this a SentencePiece model that the library can be trusted with? */
#ifndef DRIFT_TOKENIZERS_MODEL_CHECK_H
#define DRIFT_TOKENIZERS_MODEL_CHECK_H

#include <drift/plugin.h>

/* Walks a serialized ModelProto: its messages, pieces, and the tables of its normalisers. path is for messages. */
dr_status model_check(const char *path, const void *model, size_t bytes);

/* A table of normalisation ("precompiled_charsmap"), alone. */
dr_status charsmap_check(const char *path, const void *map, size_t bytes);

#endif
