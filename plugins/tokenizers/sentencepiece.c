/* sentencepiece.c: the vocabulary of a SentencePiece model, such as T5's spiece.model.     Kudo & Richardson 2018
 *   ids = argmax over all ways to cut the text into pieces of sum_i log p(piece_i)
 * after the text was normalised by the model's own rules (T5: NFKC, spaces as U+2581). All of it is the library's:
 * malformed UTF-8 becomes U+FFFD byte by byte, NUL is a control character like others, and "</s>" in a text is text, as
 * is every special piece. */
#include "vocabulary.h"

#include <stdlib.h>

typedef struct sentencepiece {
    const char *path;
    vocabulary vocabulary; /* from here on the component's own */
} sentencepiece;

static const dr_param params[] = {
    DR_STRING(sentencepiece, path, "", "the model's file, spiece.model"),
    DR_END
};

static dr_status open_model(void *self)
{
    sentencepiece *s = self;
    size_t bytes;
    char *model = vocabulary_read("sentencepiece", s->path, &bytes);
    if (!model) return dr_failed();
    const dr_status status = vocabulary_open(&s->vocabulary, s->path, model, bytes);
    free(model);
    return status;
}

static void close_model(void *self) { vocabulary_close(&((sentencepiece *)self)->vocabulary); }

static dr_status info(void *self, dr_tokenizer_info *i)
{
    return vocabulary_info(&((sentencepiece *)self)->vocabulary, i);
}

static const int32_t *encode(void *self, const char *text, size_t bytes, int64_t *n)
{
    return vocabulary_encode(&((sentencepiece *)self)->vocabulary, text, bytes, n);
}

static const char *decode(void *self, const int32_t *ids, int64_t n, size_t *bytes)
{
    return vocabulary_decode(&((sentencepiece *)self)->vocabulary, ids, n, bytes);
}

static const char *normalize(void *self, const char *text, size_t bytes, size_t *length)
{
    return vocabulary_normalize(&((sentencepiece *)self)->vocabulary, text, bytes, length);
}

DR_TOKENIZER(sentencepiece, "The vocabulary of a SentencePiece model (spiece.model)", params, .open = open_model,
             .close = close_model, .info = info, .encode = encode, .decode = decode, .normalize = normalize)
