/* unigram_json.h: a tokenizer.json of Unigram type as the SentencePiece model that it stands for. */
#ifndef DRIFT_TOKENIZERS_UNIGRAM_JSON_H
#define DRIFT_TOKENIZERS_UNIGRAM_JSON_H

#include "proto_writer.h"

#include <drift/plugin.h>

/* A serialized ModelProto into *model, to be freed by the caller in any case; path is for messages. */
dr_status unigram_model(const char *path, const char *json, size_t bytes, proto *model);

#endif
