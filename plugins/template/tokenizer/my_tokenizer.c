/* my_tokenizer.c: a text's bytes are its pieces.     Xue et al. 2022 (ByT5)
 *   id = byte,  0..255;  256 pads, 257 ends a text */
#include <drift/plugin.h>
#include <stdlib.h>

enum { BYTES = 256, PAD = 256, EOS = 257, PIECES = 258 };

/* Parameters first: each is a field here and a row below. Then room for results, which hold until the next call. */
typedef struct {
    _Bool lower;
    int32_t *ids;
    char *text;
    size_t ids_room, text_room;
} my_tokenizer;

static const dr_param params[] = {
    DR_BOOL(my_tokenizer, lower, 0, "A to Z become a to z first"),
    DR_END
};

/* Here a vocabulary's file would be read and checked: it is from outside. */
static dr_status open_it(void *self)
{
    (void)self;
    return DR_OK;
}

static void close_it(void *self) /* also after an open that failed */
{
    my_tokenizer *t = self;
    free(t->ids);
    free(t->text);
    t->ids = NULL, t->text = NULL;
}

static dr_status info(void *self, dr_tokenizer_info *info)
{
    (void)self;
    *info = (dr_tokenizer_info){ .pieces = PIECES, .pad = PAD, .eos = EOS, .unk = -1 };
    return DR_OK;
}

static char *text_room(my_tokenizer *t, size_t bytes)
{
    if (t->text && bytes <= t->text_room) return t->text;
    char *grown = realloc(t->text, bytes + 1);
    if (!grown) {
        dr_fail(DR_ENOMEM, "tokenizer my_tokenizer: no memory for a text of %zu bytes", bytes);
        return NULL;
    }
    t->text = grown, t->text_room = bytes;
    return grown;
}

static int32_t *ids_room(my_tokenizer *t, size_t n)
{
    if (t->ids && n <= t->ids_room) return t->ids;
    int32_t *grown = realloc(t->ids, (n + 1) * sizeof *grown);
    if (!grown) {
        dr_fail(DR_ENOMEM, "tokenizer my_tokenizer: no memory for %zu ids", n);
        return NULL;
    }
    t->ids = grown, t->ids_room = n;
    return grown;
}

/* The text that is cut into pieces. Bytes may be anything: UTF-8, malformed UTF-8, zeros. */
static const char *normalize(void *self, const char *text, size_t bytes, size_t *length)
{
    my_tokenizer *t = self;
    char *to = text_room(t, bytes);
    for (size_t i = 0; to && i < bytes; i++) {
        to[i] = t->lower && text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
    }
    *length = bytes;
    return to;
}

/* The ids, without the one that ends a text: the host adds that, cuts and pads. NULL after dr_fail. */
static const int32_t *encode(void *self, const char *text, size_t bytes, int64_t *n)
{
    const char *normal = normalize(self, text, bytes, &bytes);
    int32_t *ids = normal ? ids_room(self, bytes) : NULL;
    for (size_t i = 0; ids && i < bytes; i++) ids[i] = (unsigned char)normal[i];
    *n = (int64_t)bytes;
    return ids;
}

/* The host has checked that ids are in range. */
static const char *decode(void *self, const int32_t *ids, int64_t n, size_t *bytes)
{
    char *to = text_room(self, (size_t)n);
    *bytes = 0;
    for (int64_t i = 0; to && i < n; i++) {
        if (ids[i] < BYTES) to[(*bytes)++] = (char)ids[i];
    }
    return to;
}

DR_TOKENIZER(my_tokenizer, "A text's bytes are its pieces", params, .open = open_it, .close = close_it, .info = info,
             .encode = encode, .decode = decode, .normalize = normalize)
