/* charsmap_check.c: a normaliser's table, as bytes from outside:
 *   4 bytes: size of the trie, little-endian | the trie, units of 4 bytes | replacements, each ended by a NUL
 * The trie is a double array (Yata et al. 2007, in the form of darts-clone): from a place p with byte c one comes to
 * unit p ^ c, if that unit has c for its label, and from there to the place p ^ c ^ offset, whose unit holds a value if
 * the flag says so: where a replacement begins. The library follows all that without looking, and has room for 32
 * values on one way. So every way is walked here before: it must stay inside, and its values too. */
#include "model_check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VALUES = 32, ALPHABET = 256, MOST_UNITS = 1 << 20 /* a hundred times NFKC's */ };

typedef struct trie {
    const uint8_t *unit; /* little-endian */
    uint32_t n;
    size_t replacements; /* bytes */
    uint8_t *values;     /* by place: the most values on a way to it, plus 1; 0: not reached */
    uint32_t *waiting;   /* places whose ways on are not walked yet */
    int64_t count, room;
} trie;

static uint32_t little_endian(const uint8_t *b)
{
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static uint32_t label(uint32_t unit) { return unit & (0x80000000u | 0xFF); }
static bool has_value(uint32_t unit) { return unit >> 8 & 1; }
static uint32_t value(uint32_t unit) { return unit & 0x7FFFFFFFu; }
static uint32_t offset(uint32_t unit) { return unit >> 10 << ((unit & 0x200u) >> 6); }

static dr_status wait_at(trie *t, uint32_t place, int values)
{
    if (t->values[place] > values) return DR_OK; /* was walked with as many */
    if (t->count == t->room) {
        uint32_t *more = realloc(t->waiting, (size_t)(t->room = t->room ? 2 * t->room : 1024) * sizeof *more);
        if (!more) return dr_fail(DR_ENOMEM, "out of memory for a normaliser's table");
        t->waiting = more;
    }
    t->values[place] = (uint8_t)(values + 1);
    t->waiting[t->count++] = place;
    return DR_OK;
}

/* NULL: all right; else what is wrong. */
static const char *walk_from(trie *t, uint32_t place)
{
    const int values = t->values[place] - 1;
    for (uint32_t c = 0; c < ALPHABET; c++) {
        const uint32_t at = place ^ c;
        if (at >= t->n) return "leads out of it";
        const uint32_t unit = little_endian(t->unit + 4 * (size_t)at);
        if (label(unit) != c) continue;
        const uint32_t next = at ^ offset(unit);
        if (next >= t->n) return "leads out of it";
        if (has_value(unit)) {
            if (value(little_endian(t->unit + 4 * (size_t)next)) >= t->replacements)
                return "names a replacement that is not there";
            if (values + 1 > MOST_VALUES) return "has too many replacements for one text";
        }
        if (wait_at(t, next, values + has_value(unit)) != DR_OK) return "";
    }
    return NULL;
}

static const char *walk(trie *t)
{
    const uint32_t first = offset(little_endian(t->unit));
    if (first >= t->n) return "leads out of it";
    if (wait_at(t, first, 0) != DR_OK) return "";
    while (t->count > 0) {
        const char *wrong = walk_from(t, t->waiting[--t->count]);
        if (wrong) return wrong;
    }
    return NULL;
}

dr_status charsmap_check(const char *path, const void *map, size_t bytes)
{
    const uint8_t *data = map;
    const size_t size = bytes > 4 ? little_endian(data) : 0;
    const char *wrong = NULL;
    trie t = { .unit = data + 4, .n = (uint32_t)(size / 4), .replacements = bytes > 4 + size ? bytes - 4 - size : 0 };
    if (size == 0 || size % 4 != 0 || t.replacements == 0) {
        wrong = "is cut short";
    } else if (t.n > MOST_UNITS) {
        wrong = "is larger than any";
    } else if (data[bytes - 1] != 0) {
        wrong = "does not end its last replacement";
    } else {
        t.values = calloc(t.n, 1);
        if (!t.values) return dr_fail(DR_ENOMEM, "%s: out of memory for a normaliser's table", path);
        wrong = walk(&t);
    }
    free(t.values);
    free(t.waiting);
    if (dr_failed()) return dr_failed();
    return wrong ? dr_fail(DR_EFORMAT, "%s: the table of a normaliser (precompiled_charsmap) %s", path, wrong) : DR_OK;
}
