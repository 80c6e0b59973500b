/* registry.c: what is there: the core's own components and those of loaded plugins, found by kind and name. The core
 * registers its ops through the same structs, by the same function, as any plugin. */
#include "registry.h"

#include <stdlib.h>
#include <string.h>

typedef struct entry {
    const dr_component *component;
    const dr_plugin_info *plugin;
} entry;

static entry *sorted; /* by kind, then name */
static int64_t count, capacity;

/* "op/1" and "op" name the same kind */
static int compare_kind(const char *a, const char *b)
{
    const size_t na = strcspn(a, "/"), nb = strcspn(b, "/");
    const int c = strncmp(a, b, na < nb ? na : nb);
    return c ? c : (na > nb) - (na < nb);
}

static int compare(const char *kind_a, const char *name_a, const char *kind_b, const char *name_b)
{
    const int c = compare_kind(kind_a, kind_b);
    return c ? c : strcmp(name_a, name_b);
}

static int64_t place_of(const char *kind, const char *name)
{
    int64_t low = 0, high = count;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        const dr_component *c = sorted[middle].component;
        if (compare(c->kind, c->name, kind, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

dr_status dr_registry_add(const dr_component *c, const dr_plugin_info *plugin)
{
    if (dr_component_check(c, plugin) != DR_OK) return dr_failed();
    const int64_t i = place_of(c->kind, c->name);
    if (i < count && sorted[i].plugin == plugin && compare(sorted[i].component->kind, sorted[i].component->name, c->kind, c->name) == 0) {
        return dr_fail(DR_EINVAL, "plugin %s: it has two components %.*s %s; give one another name", plugin->path[0] ? plugin->path : plugin->id,
                       (int)strcspn(c->kind, "/"), c->kind, c->name);
    }
    if (i < count && compare(sorted[i].component->kind, sorted[i].component->name, c->kind, c->name) == 0) {
        return dr_fail(DR_EINVAL, "plugin %s: %.*s %s is already registered by plugin %s: it is in %s and in %s; take one of the two out "
                       "of the folders where plugins are found, or give its component another name", plugin->path[0] ? plugin->path : plugin->id,
                       (int)strcspn(c->kind, "/"), c->kind, c->name, sorted[i].plugin->id,
                       sorted[i].plugin->path[0] ? sorted[i].plugin->path : "the program itself", plugin->path);
    }
    if (count == capacity) {
        const int64_t wanted = capacity ? 2 * capacity : 256;
        entry *grown = realloc(sorted, (size_t)wanted * sizeof *grown);
        if (!grown) return dr_fail(DR_ENOMEM, "out of memory for the registry");
        sorted = grown;
        capacity = wanted;
    }
    memmove(sorted + i + 1, sorted + i, (size_t)(count - i) * sizeof *sorted);
    sorted[i] = (entry){ c, plugin };
    count++;
    return DR_OK;
}

void dr_registry_remove_plugin(const dr_plugin_info *plugin)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        if (sorted[i].plugin != plugin) sorted[kept++] = sorted[i];
    }
    count = kept;
}

void dr_registry_remove(const dr_component *c)
{
    const int64_t i = place_of(c->kind, c->name);
    if (i >= count || sorted[i].component != c) return;
    memmove(sorted + i, sorted + i + 1, (size_t)(count - i - 1) * sizeof *sorted);
    count--;
}

void dr_registry_clear(void)
{
    free(sorted);
    sorted = NULL;
    count = capacity = 0;
}

struct dr_registry_copy {
    int64_t count;
    entry entries[];
};

dr_registry_copy *dr_registry_copy_new(void)
{
    dr_registry_copy *copy = malloc(sizeof *copy + (size_t)count * sizeof *copy->entries);
    if (!copy) {
        dr_fail(DR_ENOMEM, "out of memory for the registry");
        return NULL;
    }
    copy->count = count;
    if (count > 0) memcpy(copy->entries, sorted, (size_t)count * sizeof *sorted);
    return copy;
}

void dr_registry_copy_restore(dr_registry_copy *copy)
{
    count = copy->count; /* the list never becomes shorter, so there is room */
    if (count > 0) memcpy(sorted, copy->entries, (size_t)count * sizeof *sorted);
}

void dr_registry_copy_free(dr_registry_copy *copy) { free(copy); }

int64_t dr_component_count(void) { return count; }
const dr_component *dr_component_at(int64_t i) { return i >= 0 && i < count ? sorted[i].component : NULL; }

const dr_plugin_info *dr_component_plugin(const dr_component *c)
{
    const int64_t i = place_of(c->kind, c->name);
    return i < count && sorted[i].component == c ? sorted[i].plugin : NULL;
}

/* ---- did you mean? --------------------------------------------------------------------------------------------------- */

static int least(int a, int b, int c)
{
    const int ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein distance of short names. */
static int distance(const char *a, const char *b)
{
    enum { LONGEST = 64 };
    const int na = (int)strlen(a), nb = (int)strlen(b);
    if (na >= LONGEST || nb >= LONGEST) return LONGEST;
    int row[LONGEST];
    for (int j = 0; j <= nb; j++) row[j] = j;
    for (int i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            const int above = row[j];
            row[j] = least(row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[nb];
}

/* One is in the other, and no mere syllable of it: `heun` and `heun_karras`, not `ve` and `improved`. */
static bool is_part(const char *a, const char *b)
{
    const size_t na = strlen(a), nb = strlen(b);
    return na >= 3 && nb >= 3 && 3 * na >= nb && 3 * nb >= na && (strstr(a, b) || strstr(b, a));
}

const char *dr_nearest(const char *name, const char *const *known, int64_t n)
{
    const char *best = NULL;
    int best_distance = 0;
    for (int64_t i = 0; i < n; i++) {
        int d = distance(name, known[i]);
        if (is_part(name, known[i])) d = d < 2 ? d : 2;
        if (!best || d < best_distance) {
            best = known[i];
            best_distance = d;
        }
    }
    return best && best_distance <= 1 + (int)strlen(name) / 3 ? best : NULL;
}

static void fail_unknown(const char *kind, const char *name)
{
    enum { NAMES = 512 };
    const char *known[NAMES];
    int64_t n = 0;
    bool kind_exists = false;
    for (int64_t i = 0; i < count && n < NAMES; i++) {
        if (compare_kind(sorted[i].component->kind, kind) != 0) continue;
        kind_exists = true;
        known[n++] = sorted[i].component->name;
    }
    if (!kind_exists) {
        dr_fail(DR_ENOTFOUND, "there is no kind '%s' (see: drift list)", kind);
        return;
    }
    const char *near = dr_nearest(name, known, n), *why, *left_out = dr_plugin_missing(name, &why);
    if (left_out) {
        dr_fail(DR_ENOTFOUND, "there is no %s '%s'; plugin %s, which may have it, is left out: %s", kind, name, left_out, why);
    } else if (near) {
        dr_fail(DR_ENOTFOUND, "there is no %s '%s'; did you mean '%s'?", kind, name, near);
    } else {
        dr_fail(DR_ENOTFOUND, "there is no %s '%s' (see: drift list %s)", kind, name, kind);
    }
}

const dr_component *dr_component_find(const char *kind, const char *name)
{
    const int64_t i = place_of(kind, name);
    if (i < count && compare(sorted[i].component->kind, sorted[i].component->name, kind, name) == 0) return sorted[i].component;
    fail_unknown(kind, name);
    return NULL;
}
