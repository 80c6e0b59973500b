/* weight_source.c: tensors by name, out of mapped files, that a network takes its weights from while it is built.
 * Nothing is drawn at random, and what is large is not copied:
 *   two axes or more: stays in the file, in the file's f32, f16 or bf16, and is frozen (in_place.c)
 *   none or one axis: an f32 copy; they are small, and ops want them so
 *   buffers: a copy in their own dtype, since training writes to them
 * A part of a tensor (rows that another release stores interleaved) is a copy as well. What does not fit is written
 * down and the build goes on with a stand-in, so that one message can name all of it. */
#include "module.h"
#include "tensor.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct source_entry {
    char *name;
    dr_file *file; /* retained */
    const dr_file_entry *from;
    dr_weight_part part;
    bool taken;
} source_entry;

struct dr_weights {
    source_entry *entry;
    int64_t n, capacity;
    bool sorted;    /* by name */
    bool trainable; /* what the network that is being built asked for */
    dr_misfit *misfit;
    int64_t misfits, misfit_capacity;
};

dr_weights *dr_weights_new(void)
{
    dr_weights *w = calloc(1, sizeof *w);
    if (!w) dr_fail(DR_ENOMEM, "out of memory for a list of weights");
    return w;
}

static void forget_misfits(dr_weights *w)
{
    for (int64_t i = 0; i < w->misfits; i++) free(w->misfit[i].text);
    w->misfits = 0;
}

void dr_weights_free(dr_weights *w)
{
    if (!w) return;
    for (int64_t i = 0; i < w->n; i++) {
        free(w->entry[i].name);
        dr_file_close(w->entry[i].file);
    }
    forget_misfits(w);
    free(w->misfit);
    free(w->entry);
    free(w);
}

/* ---- what there is ----------------------------------------------------------------------------------------------- */

/* Fills p: the shape that the network sees, which must hold as many elements as the rows of the file that are meant. */
static dr_status check_part(const dr_file *f, const dr_file_entry *e, const dr_weight_part *given, dr_weight_part *p)
{
    int64_t elements = 1, wanted = 1;
    *p = given ? *given : (dr_weight_part){ .rank = -1 };
    for (int64_t i = 0; i < e->rank; i++) elements *= e->shape[i]; /* checked when the file was opened */
    if (p->every != 0) {
        const int64_t rows = e->rank > 0 ? e->shape[0] : 0;
        const bool within = p->every >= 1 && p->first >= 0 && p->rows >= 1 && p->first <= p->every - p->rows;
        if (e->dtype < 0 || !within || rows % p->every != 0) {
            return dr_fail(DR_ESHAPE, "%s: tensor '%s' has %lld rows of %s: no rows [%lld, %lld) of each %lld",
                           dr_file_path(f), e->name, (long long)rows, e->type, (long long)p->first,
                           (long long)(p->first + p->rows), (long long)p->every);
        }
        elements = elements / p->every * p->rows;
    }
    if (p->rank >= 0) {
        if (!dr_checked_size(e->name, DR_F64, p->rank, p->shape, &wanted, NULL)) return dr_failed();
        if (wanted == elements) return DR_OK;
        return dr_fail(DR_ESHAPE, "%s: tensor '%s': %lld elements do not make a shape of %lld", dr_file_path(f),
                       e->name, (long long)elements, (long long)wanted);
    }
    if (e->rank > DR_MAX_RANK) { /* kept, so that it can be named; no network has such a weight */
        p->rank = DR_MAX_RANK;
        return DR_OK;
    }
    p->rank = (int)e->rank;
    for (int i = 0; i < p->rank; i++) p->shape[i] = e->shape[i];
    if (p->every != 0) p->shape[0] = e->shape[0] / p->every * p->rows;
    return DR_OK;
}

dr_status dr_weights_add(dr_weights *w, const char *name, dr_file *f, const char *in_file, const dr_weight_part *part)
{
    if (dr_failed()) return dr_failed();
    const dr_file_entry *e = dr_file_find(f, in_file);
    dr_weight_part p;
    if (!e) return dr_fail(DR_ENOTFOUND, "%s: has no tensor '%s'", dr_file_path(f), in_file);
    if (check_part(f, e, part, &p) != DR_OK) return dr_failed();
    if (w->n == w->capacity) {
        const int64_t capacity = w->capacity ? 2 * w->capacity : 256;
        source_entry *grown = realloc(w->entry, (size_t)capacity * sizeof *grown);
        if (!grown) return dr_fail(DR_ENOMEM, "out of memory for a list of weights");
        w->entry = grown;
        w->capacity = capacity;
    }
    char *copy = strdup(name);
    if (!copy) return dr_fail(DR_ENOMEM, "out of memory for a list of weights");
    w->entry[w->n++] = (source_entry){ .name = copy, .file = dr_file_retain(f), .from = e, .part = p };
    w->sorted = false;
    return DR_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const source_entry *)a)->name, ((const source_entry *)b)->name);
}

static source_entry *find(dr_weights *w, const char *name)
{
    const source_entry key = { .name = (char *)(uintptr_t)name };
    if (w->n == 0) return NULL;
    if (!w->sorted) qsort(w->entry, (size_t)w->n, sizeof *w->entry, by_name);
    w->sorted = true;
    return bsearch(&key, w->entry, (size_t)w->n, sizeof *w->entry, by_name);
}

/* ---- its values -------------------------------------------------------------------------------------------------- */

static void *aligned(size_t bytes) { return aligned_alloc(64, (bytes + 63) / 64 * 64 + (bytes == 0 ? 64 : 0)); }

/* The entry's rows, dense and at a whole element, in the file's dtype: the caller frees. */
static void *gathered(const source_entry *s)
{
    const dr_file_entry *e = s->from;
    const int64_t rows = e->rank > 0 ? e->shape[0] : 1;
    const size_t row = rows > 0 ? e->bytes / (size_t)rows : 0;
    const int64_t every = s->part.every ? s->part.every : rows > 0 ? rows : 1;
    const int64_t take = s->part.every ? s->part.rows : rows;
    const int64_t groups = rows / every;
    const size_t bytes = row * (size_t)(groups * take);
    char *to = aligned(bytes);
    if (!to) {
        dr_fail(DR_ENOMEM, "%s: tensor '%s': out of memory for %zu bytes of it", dr_file_path(s->file), e->name, bytes);
        return NULL;
    }
    for (int64_t g = 0; g < groups && bytes > 0; g++) {
        const char *from = (const char *)e->data + row * (size_t)(g * every + s->part.first);
        memcpy(to + row * (size_t)(g * take), from, row * (size_t)take);
    }
    return to;
}

static bool as_it_lies(const source_entry *s)
{
    return s->part.every == 0 && (uintptr_t)s->from->data % dr_dtype_size((dr_dtype)s->from->dtype) == 0;
}

/* A tensor of its own, on the current device, in the current scope. */
static dr_tensor *copied(const source_entry *s, dr_dtype dtype)
{
    dr_tensor *t = dr_tensor_new(dtype, s->part.rank, s->part.shape, DR_LAYOUT_ROW);
    if (!t) return NULL;
    void *rows = as_it_lies(s) ? NULL : gathered(s);
    const void *data = rows ? rows : s->from->data;
    const bool written = !dr_failed() && dr_tensor_write(t, (dr_dtype)s->from->dtype, data) == DR_OK;
    free(rows);
    return written ? t : NULL;
}

static void file_gone(void *file) { dr_file_close(file); }
static void file_packed(void *file, const void *data, size_t bytes) { dr_file_unread(file, data, bytes); }

static dr_tensor *in_place(const source_entry *s)
{
    dr_view v = { .dtype = s->from->dtype, .rank = s->part.rank };
    for (int i = 0; i < v.rank; i++) v.shape[i] = s->part.shape[i];
    dr_view_lay(&v, DR_LAYOUT_ROW);
    if (as_it_lies(s) && s->from->bytes > 0) {
        v.data = (void *)(uintptr_t)s->from->data; /* nobody writes to what is frozen */
        const dr_memory_keeper keeper = { .gone = file_gone, .packed = file_packed, .ctx = dr_file_retain(s->file) };
        return dr_tensor_in_place(&v, &keeper);
    }
    v.data = gathered(s);
    return v.data ? dr_tensor_in_place(&v, &(dr_memory_keeper){ .gone = free, .ctx = v.data }) : NULL;
}

dr_tensor *dr_weights_tensor(dr_weights *w, const char *name, int as_dtype)
{
    if (dr_failed()) return NULL;
    const source_entry *s = find(w, name);
    if (!s) {
        dr_fail(DR_ENOTFOUND, "there is no weight '%s'", name);
        return NULL;
    }
    if (s->from->dtype < 0 || s->from->rank > DR_MAX_RANK) { /* says why not */
        return dr_file_tensor(s->file, s->from->name, as_dtype);
    }
    return copied(s, as_dtype < 0 ? (dr_dtype)s->from->dtype : (dr_dtype)as_dtype);
}

/* ---- what does not fit ------------------------------------------------------------------------------------------- */

static const char *shape_text(int64_t rank, const int64_t *shape, char *text, size_t room)
{
    size_t n = (size_t)snprintf(text, room, "[");
    for (int64_t i = 0; i < rank && n < room; i++) {
        n += (size_t)snprintf(text + n, room - n, "%s%lld", i > 0 ? "," : "", (long long)shape[i]);
    }
    if (n < room) snprintf(text + n, room - n, "]");
    return text;
}

__attribute__((format(printf, 3, 4))) static void note_misfit(dr_weights *w, dr_misfit_kind kind, const char *format,
                                                              ...)
{
    char text[1400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (w->misfits == w->misfit_capacity) {
        const int64_t capacity = w->misfit_capacity ? 2 * w->misfit_capacity : 64;
        dr_misfit *grown = realloc(w->misfit, (size_t)capacity * sizeof *grown);
        if (!grown) {
            dr_fail(DR_ENOMEM, "out of memory; %s", text);
            return;
        }
        w->misfit = grown;
        w->misfit_capacity = capacity;
    }
    char *copy = strdup(text);
    if (copy) w->misfit[w->misfits++] = (dr_misfit){ kind, copy };
    else dr_fail(DR_ENOMEM, "out of memory; %s", text);
}

/* One element seen as all: to build on with, and to be freed with the network that cannot be. */
static dr_tensor *stand_in(dr_dtype dtype, int rank, const int64_t *shape)
{
    dr_tensor *one = dr_tensor_full(dtype, 0, NULL, 0.0);
    if (!one) return NULL;
    dr_view v = { .data = one->view.data, .dtype = (int32_t)dtype, .rank = rank };
    for (int i = 0; i < rank; i++) v.shape[i] = shape[i];
    return dr_tensor_wrap(&v, one->storage);
}

static bool is_float(int32_t dtype)
{
    return dtype == DR_F32 || dtype == DR_F16 || dtype == DR_BF16 || dtype == DR_F64;
}

static bool fits(dr_weights *w, const source_entry *s, const char *path, int rank, const int64_t *shape, bool is_buffer)
{
    char is[160], wanted[160];
    const int64_t is_rank = s->from->rank > DR_MAX_RANK ? s->from->rank : s->part.rank;
    const int64_t *is_shape = s->from->rank > DR_MAX_RANK ? s->from->shape : s->part.shape;
    if (is_rank != rank || (rank > 0 && memcmp(is_shape, shape, (size_t)rank * sizeof *shape) != 0)) {
        note_misfit(w, DR_MISFIT_SHAPE, "%s is %s, expected %s", path, shape_text(is_rank, is_shape, is, sizeof is),
                    shape_text(rank, shape, wanted, sizeof wanted));
        return false;
    }
    if (is_buffer ? s->from->dtype >= 0 : is_float(s->from->dtype)) return true;
    note_misfit(w, DR_MISFIT_TYPE, "%s is %s, expected %s", path, s->from->type,
                is_buffer ? "numbers" : "F32, F16 or BF16");
    return false;
}

/* ---- building ---------------------------------------------------------------------------------------------------- */

dr_tensor *dr_weights_take(dr_module *root, const char *path, dr_dtype dtype, int rank, const int64_t *shape,
                           bool is_buffer)
{
    dr_weights *w = root->weights;
    char wanted[160];
    if (!dr_checked_size(path, dtype, rank, shape, NULL, NULL)) return NULL;
    source_entry *s = find(w, path);
    if (!s) note_misfit(w, DR_MISFIT_MISSING, "%s %s", path, shape_text(rank, shape, wanted, sizeof wanted));
    if (s) s->taken = true;
    if (!s || !fits(w, s, path, rank, shape, is_buffer)) return dr_keep(stand_in(dtype, rank, shape));
    const bool stays = !is_buffer && !w->trainable && rank >= 2 && s->from->dtype != DR_F64;
    return dr_keep(stays ? in_place(s) : copied(s, dtype));
}

void dr_module_take_weights(dr_module *root, dr_weights *w, bool trainable)
{
    root = root->root;
    root->weights = w;
    root->frozen = !trainable;
    w->trainable = trainable;
    forget_misfits(w);
    for (int64_t i = 0; i < w->n; i++) w->entry[i].taken = false;
}

dr_status dr_module_weights_taken(dr_module *root)
{
    dr_weights *w = root->root->weights;
    char is[160];
    root->root->weights = NULL;
    for (int64_t i = 0; w && i < w->n; i++) {
        const source_entry *s = &w->entry[i];
        if (s->taken) continue;
        note_misfit(w, DR_MISFIT_EXTRA, "%s %s", s->name, shape_text(s->part.rank, s->part.shape, is, sizeof is));
    }
    return dr_failed();
}

bool dr_module_is_frozen(const dr_module *m) { return m->root->frozen; }
int64_t dr_weights_misfit_count(const dr_weights *w) { return w->misfits; }

const dr_misfit *dr_weights_misfit_at(const dr_weights *w, int64_t i)
{
    return i >= 0 && i < w->misfits ? &w->misfit[i] : NULL;
}
