/* model_check.c: a SentencePiece model as bytes from outside. The library parses the protocol buffer with care, but of
 * a vocabulary it only expects that it is one, and of user-defined pieces that few begin with each other. So all of
 * that is looked at before the library sees the model. Fields are numbered as in sentencepiece_model.proto. */
#include "model_check.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES = 1, TRAINER = 2, NORMALIZER = 3, DENORMALIZER = 5 }; /* of ModelProto */
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };          /* of a piece */
enum { CHARSMAP = 2 };                                             /* of NormalizerSpec */
enum { TYPE_USER_DEFINED = 4, TYPE_LAST = 6 };
enum { MOST_NESTED = 64 }; /* the library has room for so many user-defined pieces that begin at one place */

typedef struct span {
    const uint8_t *at, *end;
} span;

typedef struct field {
    uint32_t number;
    uint64_t value; /* of a number */
    span bytes;     /* of a text or message; empty otherwise */
    int wire;       /* 0 varint, 1 and 5 fixed, 2 bytes */
} field;

static bool read_varint(span *s, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 64 && s->at < s->end; shift += 7) {
        const uint8_t byte = *s->at++;
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

static bool read_fixed(span *s, int bytes, uint64_t *value)
{
    *value = 0;
    if (s->end - s->at < bytes) return false;
    for (int i = 0; i < bytes; i++) *value |= (uint64_t)*s->at++ << (8 * i);
    return true;
}

/* The next field of a message; false at what is no field. */
static bool read_field(span *s, field *f)
{
    uint64_t key, length;
    *f = (field){ 0 };
    if (!read_varint(s, &key) || key >> 3 == 0 || key >> 3 > 0x1FFFFFFF) return false;
    f->number = (uint32_t)(key >> 3);
    f->wire = (int)(key & 7);
    if (f->wire == 0) return read_varint(s, &f->value);
    if (f->wire == 1) return read_fixed(s, 8, &f->value);
    if (f->wire == 5) return read_fixed(s, 4, &f->value);
    if (f->wire != 2 || !read_varint(s, &length) || length > (uint64_t)(s->end - s->at)) return false;
    f->bytes = (span){ s->at, s->at + length };
    s->at += length;
    return true;
}

static dr_status broken(const char *path, const char *where)
{
    return dr_fail(DR_EFORMAT, "%s is not a SentencePiece model, or it is cut short or altered: %s", path, where);
}

/* ---- pieces ------------------------------------------------------------------------------------------------------ */

typedef struct pieces {
    const char *path;
    int64_t n, users;
    span *user; /* the texts of user-defined pieces */
} pieces;

static dr_status check_piece(pieces *p, span s)
{
    field f;
    span text = { 0 };
    uint64_t type = 1;
    uint32_t bits = 0;
    float score;
    while (s.at < s.end) {
        if (!read_field(&s, &f)) return broken(p->path, "a piece is no message");
        if (f.number == PIECE_TEXT && f.wire == 2) text = f.bytes;
        if (f.number == PIECE_SCORE && f.wire == 5) bits = (uint32_t)f.value;
        if (f.number == PIECE_TYPE && f.wire == 0) type = f.value;
    }
    memcpy(&score, &bits, sizeof score);
    const long long id = (long long)p->n++;
    if (text.at == text.end) return dr_fail(DR_EFORMAT, "%s: piece %lld is empty", p->path, id);
    if (memchr(text.at, 0, (size_t)(text.end - text.at)))
        return dr_fail(DR_EFORMAT, "%s: piece %lld has a NUL in it", p->path, id);
    if (!isfinite(score)) return dr_fail(DR_EFORMAT, "%s: the score of piece %lld is not a finite number", p->path, id);
    if (type < 1 || type > TYPE_LAST)
        return dr_fail(DR_EFORMAT, "%s: piece %lld has the unknown type %llu", p->path, id, (unsigned long long)type);
    if (type != TYPE_USER_DEFINED) return DR_OK;
    if ((p->users & (p->users - 1)) == 0) { /* room is a power of two */
        span *more = realloc(p->user, (size_t)(p->users ? 2 * p->users : 1) * sizeof *more);
        if (!more) return dr_fail(DR_ENOMEM, "%s: out of memory for its pieces", p->path);
        p->user = more;
    }
    p->user[p->users++] = text;
    return DR_OK;
}

static int by_text(const void *a, const void *b)
{
    const span *x = a, *y = b;
    const ptrdiff_t n = x->end - x->at, m = y->end - y->at;
    const int c = memcmp(x->at, y->at, (size_t)(n < m ? n : m));
    return c ? c : n < m ? -1 : n > m;
}

/* In order, those that begin with each other follow each other. */
static dr_status check_nesting(const pieces *p)
{
    span open[MOST_NESTED];
    int depth = 0;
    if (p->users > 0) qsort(p->user, (size_t)p->users, sizeof *p->user, by_text);
    for (int64_t i = 0; i < p->users; i++) {
        const span u = p->user[i];
        while (depth > 0) {
            const span o = open[depth - 1];
            if (u.end - u.at >= o.end - o.at && memcmp(u.at, o.at, (size_t)(o.end - o.at)) == 0) break;
            depth--;
        }
        if (depth == MOST_NESTED)
            return dr_fail(DR_EFORMAT, "%s: more than %d user-defined pieces begin with each other", p->path,
                           MOST_NESTED);
        open[depth++] = u;
    }
    return DR_OK;
}

/* ---- the model --------------------------------------------------------------------------------------------------- */

static dr_status check_normalizer(const char *path, span s)
{
    field f;
    while (s.at < s.end) {
        if (!read_field(&s, &f)) return broken(path, "a normalizer is no message");
        if (f.number != CHARSMAP || f.wire != 2 || f.bytes.at == f.bytes.end) continue;
        if (charsmap_check(path, f.bytes.at, (size_t)(f.bytes.end - f.bytes.at)) != DR_OK) return dr_failed();
    }
    return DR_OK;
}

static dr_status check_fields(pieces *p, span s)
{
    field f;
    bool has[DENORMALIZER + 1] = { false };
    while (s.at < s.end) {
        if (!read_field(&s, &f)) return broken(p->path, "what follows the last whole part is none");
        dr_status status = DR_OK;
        if (f.number <= DENORMALIZER && f.wire == 2) has[f.number] = true;
        if (f.number == PIECES && f.wire == 2) status = check_piece(p, f.bytes);
        if ((f.number == NORMALIZER || f.number == DENORMALIZER) && f.wire == 2)
            status = check_normalizer(p->path, f.bytes);
        if (status != DR_OK) return status;
    }
    if (p->n == 0) return dr_fail(DR_EFORMAT, "%s: a vocabulary without a piece", p->path);
    if (!has[TRAINER] || !has[NORMALIZER])
        return broken(p->path, "its settings, which follow the pieces, are not there");
    return check_nesting(p);
}

dr_status model_check(const char *path, const void *model, size_t bytes)
{
    pieces p = { .path = path };
    if (bytes == 0) return dr_fail(DR_EFORMAT, "%s is empty", path);
    const dr_status status = check_fields(&p, (span){ model, (const uint8_t *)model + bytes });
    free(p.user);
    return status;
}
