/* unigram_json.c: tokenizer.json -> ModelProto, for files that do what SentencePiece does:
 *   model           Unigram, without byte fallback; vocab = [[piece, score], ..]
 *   normalizer      a table (Precompiled), and what makes runs of spaces one: Strip and Replace " {2,}", or the
 *   pre_tokenizer   WhitespaceSplit before Metaspace, which writes spaces as U+2581 and puts one in front
 *   post_processor  one special piece at the end, which is eos
 *   added_tokens    special ones: their pieces are control pieces, which no text can become
 * Settings of truncation and padding, and the decoder, change no id of a text. */
#include "unigram_json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Fields of sentencepiece_model.proto. */
enum { PIECES = 1, TRAINER = 2, NORMALIZER = 3 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, UNUSED = 5 };
enum { MODEL_TYPE = 3, VOCAB_SIZE = 4, UNK_PIECE = 45, EOS_PIECE = 47, PAD_PIECE = 48, UNIGRAM = 1 };
enum { NAME = 1, CHARSMAP = 2, ADD_DUMMY_PREFIX = 3, REMOVE_EXTRA_WHITESPACES = 4, ESCAPE_WHITESPACES = 5 };
static const char SPACE[] = "\xE2\x96\x81"; /* U+2581 */

typedef struct source {
    const char *path;
    const json_t *vocab;
    int64_t unk;
    uint8_t *special;          /* by id */
    const char *charsmap;      /* base64; NULL: texts are taken as they are */
    const char *eos, *pad;     /* pieces; NULL: none */
    bool strips, joins_spaces; /* the normalizer: spaces at the end go, runs of them become one */
    bool splits;               /* at white space, before Metaspace */
    bool within_words;         /* no piece reaches over a space */
    bool prefix;               /* a space is put in front */
} source;

static dr_status refuse(const source *s, const char *format, const char *what)
{
    char text[256];
    snprintf(text, sizeof text, format, what ? what : "(no name)");
    return dr_fail(
        DR_EUNSUPPORTED,
        "%s: %s; a tokenizer.json must do what SentencePiece does. spiece.model, beside it, needs no translation",
        s->path, text);
}

static dr_status malformed(const source *s, const char *what) { return dr_fail(DR_EFORMAT, "%s: %s", s->path, what); }

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}
static bool is_type(const json_t *object, const char *type)
{
    const char *t = text_of(object, "type");
    return t && strcmp(t, type) == 0;
}

/* ---- what must be as SentencePiece has it ------------------------------------------------------------------------ */

static dr_status read_normalizer(source *s, const json_t *n, bool inside)
{
    const json_t *pattern = json_object_get(n, "pattern");
    if (!n || json_is_null(n)) return DR_OK;
    if (is_type(n, "Precompiled") && !s->charsmap && !s->joins_spaces && !s->strips) {
        s->charsmap = text_of(n, "precompiled_charsmap");
        return s->charsmap ? DR_OK : malformed(s, "the normalizer Precompiled has no precompiled_charsmap");
    }
    if (is_type(n, "Strip")) {
        s->strips = json_is_true(json_object_get(n, "strip_right"));
        return DR_OK;
    }
    const char *regex = text_of(pattern, "Regex"), *content = text_of(n, "content");
    if (is_type(n, "Replace") && regex && content && strcmp(regex, " {2,}") == 0 &&
        (strcmp(content, SPACE) == 0 || strcmp(content, " ") == 0)) {
        s->joins_spaces = true;
        return DR_OK;
    }
    if (!is_type(n, "Sequence") || inside)
        return refuse(s, "its normalizer %s is not known, or not there", text_of(n, "type"));
    const json_t *list = json_object_get(n, "normalizers"), *each;
    size_t i;
    if (!json_is_array(list)) return malformed(s, "the normalizer Sequence has no list \"normalizers\"");
    json_array_foreach((json_t *)(uintptr_t)list, i, each) {
        if (read_normalizer(s, each, true) != DR_OK) return dr_failed();
    }
    return DR_OK;
}

static dr_status read_metaspace(source *s, const json_t *m)
{
    const json_t *old = json_object_get(m, "add_prefix_space"), *split = json_object_get(m, "split");
    const char *scheme = text_of(m, "prepend_scheme"), *replacement = text_of(m, "replacement");
    if (!replacement || strcmp(replacement, SPACE) != 0)
        return refuse(s, "Metaspace writes spaces as \"%s\", not as U+2581", replacement);
    s->within_words = !json_is_false(split);
    s->prefix = scheme ? strcmp(scheme, "never") != 0 : !json_is_false(old);
    if (scheme && strcmp(scheme, "always") != 0 && strcmp(scheme, "never") != 0 && strcmp(scheme, "first") != 0)
        return refuse(s, "Metaspace has the prepend_scheme \"%s\"", scheme);
    if (s->splits && (!s->prefix || (scheme && strcmp(scheme, "first") == 0)))
        return refuse(s, "WhitespaceSplit before a Metaspace that does not put a space before each word%s", "");
    return DR_OK;
}

static dr_status read_pre_tokenizer(source *s, const json_t *p)
{
    if (is_type(p, "Metaspace")) return read_metaspace(s, p);
    if (!is_type(p, "Sequence")) return refuse(s, "its pre_tokenizer is %s, not Metaspace", text_of(p, "type"));
    const json_t *list = json_object_get(p, "pretokenizers");
    const size_t n = json_array_size(list);
    s->splits = n == 2 && is_type(json_array_get(list, 0), "WhitespaceSplit");
    const json_t *last = json_array_get(list, s->splits ? 1 : 0);
    if (n != (s->splits ? 2u : 1u) || !is_type(last, "Metaspace"))
        return refuse(s, "its pre_tokenizer is a Sequence other than WhitespaceSplit, Metaspace%s", "");
    return read_metaspace(s, last);
}

/* single = [ { "Sequence": A }, { "SpecialToken": eos } ], or null. */
static dr_status read_post_processor(source *s, const json_t *p)
{
    if (!p || json_is_null(p)) {
        s->eos = "</s>";
        return DR_OK;
    }
    if (!is_type(p, "TemplateProcessing"))
        return refuse(s, "its post_processor is %s, not TemplateProcessing", text_of(p, "type"));
    const json_t *single = json_object_get(p, "single"), *last = json_array_get(single, 1);
    if (!json_object_get(json_array_get(single, 0), "Sequence") || json_array_size(single) > 2)
        return refuse(s, "its post_processor puts other pieces around a text than one at its end%s", "");
    s->eos = text_of(json_object_get(last, "SpecialToken"), "id");
    return s->eos || !last ? DR_OK : malformed(s, "the post_processor's last piece is no SpecialToken");
}

static dr_status read_model(source *s, const json_t *m)
{
    const json_t *unk = json_object_get(m, "unk_id");
    if (!json_is_object(m)) return malformed(s, "there is no object \"model\": it is no tokenizer.json");
    if (!is_type(m, "Unigram")) return refuse(s, "its model is %s, not Unigram", text_of(m, "type"));
    if (json_is_true(json_object_get(m, "byte_fallback"))) return refuse(s, "its model has byte_fallback%s", "");
    s->vocab = json_object_get(m, "vocab");
    if (!json_is_array(s->vocab) || json_array_size(s->vocab) == 0)
        return malformed(s, "the model's \"vocab\" is no list of pieces");
    s->unk = json_is_integer(unk) ? json_integer_value(unk) : -1;
    if (s->unk < 0 || s->unk >= (int64_t)json_array_size(s->vocab))
        return malformed(s, "the model's \"unk_id\" is no id of its vocab");
    return DR_OK;
}

static dr_status read_added(source *s, const json_t *list)
{
    const json_t *each;
    size_t i;
    s->special = calloc(json_array_size(s->vocab), 1);
    if (!s->special) return dr_fail(DR_ENOMEM, "%s: out of memory for its pieces", s->path);
    json_array_foreach((json_t *)(uintptr_t)list, i, each) {
        const json_t *id = json_object_get(each, "id");
        const char *content = text_of(each, "content");
        if (!json_is_integer(id) || json_integer_value(id) < 0 || !content)
            return malformed(s, "an added token has no id or no content");
        if (!json_is_true(json_object_get(each, "special")))
            return refuse(s, "its added token \"%s\" is not special", content);
        const size_t at = (size_t)json_integer_value(id);
        if (at >= json_array_size(s->vocab)) continue; /* no text can become it */
        const char *piece = json_string_value(json_array_get(json_array_get(s->vocab, at), 0));
        if (!piece || strcmp(piece, content) != 0) return malformed(s, "an added token is not the piece of its id");
        s->special[at] = 1;
        if (strcmp(content, "<pad>") == 0) s->pad = piece;
    }
    return DR_OK;
}

static dr_status read_source(source *s, const json_t *root)
{
    if (read_model(s, json_object_get(root, "model")) != DR_OK ||
        read_normalizer(s, json_object_get(root, "normalizer"), false) != DR_OK ||
        read_pre_tokenizer(s, json_object_get(root, "pre_tokenizer")) != DR_OK ||
        read_post_processor(s, json_object_get(root, "post_processor")) != DR_OK ||
        read_added(s, json_object_get(root, "added_tokens")) != DR_OK)
        return dr_failed();
    if (s->splits || (s->strips && s->joins_spaces)) return DR_OK;
    return refuse(s, "it keeps spaces that SentencePiece takes out: there is neither WhitespaceSplit nor %s",
                  "Strip and Replace \" {2,}\"");
}

/* ---- the model --------------------------------------------------------------------------------------------------- */

static int digit(char c)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(DIGITS, c) : NULL;
    return at ? (int)(at - DIGITS) : -1;
}

/* base64, with its padding -> bytes, to be freed; NULL where it is none. */
static uint8_t *decode_base64(const char *text, size_t *bytes)
{
    const size_t n = strlen(text);
    size_t end = n;
    while (end > 0 && n - end < 2 && text[end - 1] == '=') end--;
    uint8_t *data = n % 4 == 0 ? malloc(n / 4 * 3 + 1) : NULL;
    uint32_t bits = 0;
    *bytes = 0;
    for (size_t i = 0; data && i < end; i++) {
        const int value = digit(text[i]);
        bits = bits << 6 | (uint32_t)value;
        if (value < 0) {
            free(data);
            data = NULL;
        } else if (i % 4 != 0) {
            data[(*bytes)++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
        }
    }
    return data;
}

static int type_of(const source *s, size_t id, const char *piece)
{
    if ((int64_t)id == s->unk) return UNKNOWN;
    if (s->special[id]) return CONTROL;
    const bool never = s->within_words && strstr(piece + 1, SPACE); /* words are cut before pieces are looked for */
    return never ? UNUSED : NORMAL;
}

static dr_status write_pieces(const source *s, proto *model)
{
    const json_t *entry;
    proto piece = { 0 };
    size_t id;
    json_array_foreach((json_t *)(uintptr_t)s->vocab, id, entry) {
        const json_t *text = json_array_get(entry, 0), *score = json_array_get(entry, 1);
        if (json_array_size(entry) != 2 || json_string_length(text) == 0 || !json_is_number(score)) {
            proto_free(&piece);
            return dr_fail(DR_EFORMAT, "%s: piece %zu of the model's vocab is not [\"text\", score]", s->path, id);
        }
        proto_clear(&piece);
        proto_bytes(&piece, PIECE_TEXT, json_string_value(text), json_string_length(text));
        proto_float(&piece, PIECE_SCORE, (float)json_number_value(score));
        proto_number(&piece, PIECE_TYPE, (uint64_t)type_of(s, id, json_string_value(text)));
        proto_message(model, PIECES, &piece);
    }
    proto_free(&piece);
    return DR_OK;
}

static void write_trainer(const source *s, proto *model)
{
    proto trainer = { 0 };
    const char *unk = json_string_value(json_array_get(json_array_get(s->vocab, (size_t)s->unk), 0));
    proto_number(&trainer, MODEL_TYPE, UNIGRAM);
    proto_number(&trainer, VOCAB_SIZE, json_array_size(s->vocab));
    proto_bytes(&trainer, UNK_PIECE, unk, strlen(unk));
    if (s->eos) proto_bytes(&trainer, EOS_PIECE, s->eos, strlen(s->eos));
    if (s->pad) proto_bytes(&trainer, PAD_PIECE, s->pad, strlen(s->pad));
    proto_message(model, TRAINER, &trainer);
    proto_free(&trainer);
}

static dr_status write_normalizer(const source *s, proto *model)
{
    proto normalizer = { 0 };
    size_t bytes = 0;
    uint8_t *map = s->charsmap ? decode_base64(s->charsmap, &bytes) : NULL;
    if (s->charsmap && !map) return malformed(s, "precompiled_charsmap is not base64");
    proto_bytes(&normalizer, NAME, "tokenizer.json", 14);
    if (bytes > 0) proto_bytes(&normalizer, CHARSMAP, map, bytes);
    proto_number(&normalizer, ADD_DUMMY_PREFIX, s->prefix);
    proto_number(&normalizer, REMOVE_EXTRA_WHITESPACES, 1);
    proto_number(&normalizer, ESCAPE_WHITESPACES, 1);
    proto_message(model, NORMALIZER, &normalizer);
    proto_free(&normalizer);
    free(map);
    return DR_OK;
}

dr_status unigram_model(const char *path, const char *json, size_t bytes, proto *model)
{
    json_error_t error;
    json_t *root = json_loadb(json, bytes, 0, &error);
    source s = { .path = path };
    if (!root) return dr_fail(DR_EFORMAT, "%s is not JSON: %s (line %d)", path, error.text, error.line);
    if (read_source(&s, root) == DR_OK && write_pieces(&s, model) == DR_OK) {
        write_trainer(&s, model);
        write_normalizer(&s, model);
    }
    free(s.special);
    json_decref(root);
    if (model->failed && !dr_failed()) dr_fail(DR_ENOMEM, "%s: out of memory for its pieces", path);
    return dr_failed();
}
