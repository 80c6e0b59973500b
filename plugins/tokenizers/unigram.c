/* unigram.c: a Hugging Face tokenizer.json of Unigram type (T5's, mT5's) -> the same vocabulary, score by score, as the
 * SentencePiece model that it was made from:  ids = argmax sum_i log p(piece_i) over all ways to cut a text.
 * A SentencePiece model is put together in memory (unigram_json.c) and given to SentencePiece's library, so ids are
 * those of sentencepiece, to the last one: special pieces in a text are text. What would tokenize differently (other
 * models, normalizers, pre-tokenizers) is refused by its name. */
#include "unigram_json.h"
#include "vocabulary.h"

#include <stdlib.h>

typedef struct unigram {
    const char *path;
    vocabulary vocabulary; /* from here on the component's own */
} unigram;

static const dr_param params[] = {
    DR_STRING(unigram, path, "", "the file, tokenizer.json"),
    DR_END
};

static dr_status open_json(void *self)
{
    unigram *u = self;
    size_t bytes;
    proto model = { 0 };
    char *text = vocabulary_read("unigram", u->path, &bytes);
    if (!text) return dr_failed();
    if (unigram_model(u->path, text, bytes, &model) == DR_OK)
        vocabulary_open(&u->vocabulary, u->path, model.data, model.n);
    proto_free(&model);
    free(text);
    return dr_failed();
}

static void close_json(void *self) { vocabulary_close(&((unigram *)self)->vocabulary); }

static dr_status info(void *self, dr_tokenizer_info *i) { return vocabulary_info(&((unigram *)self)->vocabulary, i); }

static const int32_t *encode(void *self, const char *text, size_t bytes, int64_t *n)
{
    return vocabulary_encode(&((unigram *)self)->vocabulary, text, bytes, n);
}

static const char *decode(void *self, const int32_t *ids, int64_t n, size_t *bytes)
{
    return vocabulary_decode(&((unigram *)self)->vocabulary, ids, n, bytes);
}

static const char *normalize(void *self, const char *text, size_t bytes, size_t *length)
{
    return vocabulary_normalize(&((unigram *)self)->vocabulary, text, bytes, length);
}

DR_TOKENIZER(unigram, "The vocabulary of a Hugging Face tokenizer.json of Unigram type", params, .open = open_json,
             .close = close_json, .info = info, .encode = encode, .decode = decode, .normalize = normalize)
