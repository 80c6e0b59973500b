/* safetensors.c: reads checkpoint files, memory-mapped.
 *   8 bytes: length n of the header, little-endian | n bytes: a JSON object, from '{' on, padded with spaces | data
 *   {"__metadata__": {"key": "text", ..}, "NAME": {"dtype": "F32", "shape": [2,3], "data_offsets": [begin, end]}, ..}
 * A file may come from anywhere, so the whole header is checked when it is opened: the tensors must cover the data
 * without holes or overlap, and each range must be its shape times its dtype. Nothing is allocated for what a header
 * only claims. The one thing left to trust: that nobody shortens the file while it is mapped. */
#include <drift.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LENGTH_BYTES = 8, RANK_MAX = 8 };
static const uint64_t HEADER_MAX = 100 * 1000 * 1000; /* the format's own limit */

/* integer: how to_i64 reads it where dtype is -1; 0: it cannot be converted. */
typedef struct file_type {
    const char *name;
    int32_t bits, dtype;
    int32_t integer;
} file_type;
enum { SIGNED = 1, UNSIGNED };

static const file_type types[] = {
    { "F32", 32, DR_F32, 0 },  { "F16", 16, DR_F16, 0 }, { "BF16", 16, DR_BF16, 0 },  { "F64", 64, DR_F64, 0 },
    { "I64", 64, DR_I64, 0 },  { "I32", 32, DR_I32, 0 }, { "U8", 8, DR_U8, 0 },       { "BOOL", 8, DR_BOOL, 0 },
    { "I16", 16, -1, SIGNED }, { "I8", 8, -1, SIGNED },  { "U16", 16, -1, UNSIGNED }, { "U32", 32, -1, UNSIGNED },
    { "U64", 64, -1, 0 },      { "C64", 64, -1, 0 },     { "F8_E4M3", 8, -1, 0 },     { "F8_E5M2", 8, -1, 0 },
    { "F8_E8M0", 8, -1, 0 },   { "F6_E2M3", 6, -1, 0 },  { "F6_E3M2", 6, -1, 0 },     { "F4", 4, -1, 0 },
};

typedef struct tensor_entry {
    dr_file_entry file; /* first: what callers hold points here */
    const file_type *type;
    int64_t begin, end; /* in the data */
} tensor_entry;

struct dr_file {
    int64_t refs;
    char *path;
    const char *map;
    size_t size;
    json_t *header;      /* owns the names and the metadata's texts */
    json_t *metadata;    /* borrowed, or NULL */
    tensor_entry *entry; /* by offset */
    tensor_entry **by_name;
    int64_t count;
};

/* A name from a file, fit for a terminal: cut, and without control characters. Valid until three calls later. */
static const char *shown(const char *name)
{
    static _Thread_local char text[3][96];
    static _Thread_local int turn;
    turn = (turn + 1) % 3;
    char *out = text[turn];
    size_t n = 0;
    for (; name[n] && n < sizeof text[0] - 4; n++)
        out[n] = (unsigned char)name[n] < ' ' || name[n] == 127 ? '?' : name[n];
    while (name[n] && n > 0 && ((unsigned char)name[n] & 0xc0) == 0x80) n--; /* not within a character */
    strcpy(out + n, name[n] ? "..." : "");
    return out;
}

/* ---- the header's fields ----------------------------------------------------------------------------------------- */

/* "FILE: tensor 'NAME': FIELD must be ..." */
static dr_status bad_field(const dr_file *f, const char *name, const char *field, const char *must)
{
    return dr_fail(DR_EFORMAT, "%s: tensor '%s': %s %s", f->path, shown(name), field, must);
}

static dr_status read_type(const dr_file *f, const char *name, const json_t *value, tensor_entry *e)
{
    if (!json_is_string(value)) return bad_field(f, name, "dtype", value ? "must be a string" : "is missing");
    const char *text = json_string_value(value);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, text) == 0) e->type = &types[i];
    }
    if (!e->type) {
        return dr_fail(DR_EFORMAT, "%s: tensor '%s': dtype '%s' is not known", f->path, shown(name), shown(text));
    }
    e->file.dtype = e->type->dtype;
    e->file.type = e->type->name;
    return DR_OK;
}

/* Sets bytes: what the shape and the dtype need. */
static dr_status read_shape(const dr_file *f, const char *name, const json_t *value, tensor_entry *e, size_t *bytes)
{
    if (!json_is_array(value)) return bad_field(f, name, "shape", value ? "must be an array" : "is missing");
    const size_t rank = json_array_size(value);
    if (rank > RANK_MAX) {
        return dr_fail(DR_EUNSUPPORTED, "%s: tensor '%s': shape has %zu dimensions, at most %d can be read", f->path,
                       shown(name), rank, RANK_MAX);
    }
    e->file.rank = (int64_t)rank;
    for (size_t i = 0; i < rank; i++) {
        const json_t *dim = json_array_get(value, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0) {
            return bad_field(f, name, "shape", "must hold whole numbers from 0 on");
        }
        e->file.shape[i] = json_integer_value(dim);
    }
    char what[512];
    snprintf(what, sizeof what, "%.300s: tensor '%s'", f->path, shown(name));
    /* dr_checked_size takes tensors' ranks, so the axes go through it in two parts. */
    const int first = rank < DR_MAX_RANK ? (int)rank : DR_MAX_RANK;
    int64_t part[1 + RANK_MAX - DR_MAX_RANK], count;
    if (!dr_checked_size(what, DR_U8, first, e->file.shape, &part[0], NULL)) return dr_failed();
    memcpy(part + 1, e->file.shape + first, (rank - (size_t)first) * sizeof *part);
    if (!dr_checked_size(what, DR_U8, 1 + (int)rank - first, part, &count, NULL)) return dr_failed();
    const uint64_t bits = (uint64_t)count * (uint64_t)e->type->bits; /* below 2^54 */
    if (bits % 8 != 0) return bad_field(f, name, "shape", "does not fill whole bytes");
    *bytes = (size_t)(bits / 8);
    return DR_OK;
}

static dr_status read_offsets(const dr_file *f, const char *name, const json_t *value, tensor_entry *e, size_t bytes)
{
    if (!json_is_array(value)) return bad_field(f, name, "data_offsets", value ? "must be an array" : "is missing");
    const json_t *begin = json_array_get(value, 0), *end = json_array_get(value, 1);
    if (json_array_size(value) != 2 || !json_is_integer(begin) || !json_is_integer(end)) {
        return bad_field(f, name, "data_offsets", "must be two whole numbers");
    }
    e->begin = json_integer_value(begin);
    e->end = json_integer_value(end);
    if (e->begin < 0 || e->end < e->begin) return bad_field(f, name, "data_offsets", "must be begin <= end, from 0 on");
    if ((uint64_t)(e->end - e->begin) != bytes) {
        return dr_fail(DR_EFORMAT, "%s: tensor '%s': data_offsets span %lld bytes, its shape and dtype %s need %zu",
                       f->path, shown(name), (long long)(e->end - e->begin), e->type->name, bytes);
    }
    e->file.bytes = bytes;
    return DR_OK;
}

static dr_status read_entry(const dr_file *f, const char *name, const json_t *value, tensor_entry *e)
{
    size_t bytes = 0;
    e->file.name = name;
    if (!json_is_object(value)) return bad_field(f, name, "its entry", "must be an object");
    dr_status status = read_type(f, name, json_object_get(value, "dtype"), e);
    if (status == DR_OK) status = read_shape(f, name, json_object_get(value, "shape"), e, &bytes);
    if (status == DR_OK) status = read_offsets(f, name, json_object_get(value, "data_offsets"), e, bytes);
    return status;
}

static dr_status read_metadata(dr_file *f, json_t *value)
{
    if (!json_is_object(value)) return dr_fail(DR_EFORMAT, "%s: __metadata__ must be an object", f->path);
    const char *key;
    json_t *text;
    json_object_foreach(value, key, text)
    {
        if (!json_is_string(text)) {
            return dr_fail(DR_EFORMAT, "%s: __metadata__: '%s' must be a string", f->path, shown(key));
        }
    }
    f->metadata = value;
    return DR_OK;
}

/* ---- the header as a whole --------------------------------------------------------------------------------------- */

/* "-0" would pass as the integer 0, which it is not in JSON's view of whole numbers. Looks outside of strings only. */
static bool has_negative_zero(const char *text, size_t n)
{
    bool inside = false;
    for (size_t i = 0; i + 1 < n; i++) {
        if (inside && text[i] == '\\') {
            i++;
        } else if (text[i] == '"') {
            inside = !inside;
        } else if (!inside && text[i] == '-' && text[i + 1] == '0' &&
                   (i + 2 == n || !strchr("0123456789.eE", text[i + 2]))) {
            return true;
        }
    }
    return false;
}

static dr_status parse_header(dr_file *f, size_t *data_at)
{
    uint64_t n = 0;
    if (f->size < LENGTH_BYTES) {
        return dr_fail(DR_EFORMAT,
                       "%s: header length: the file has only %zu bytes; it is no safetensors file, or cut short",
                       f->path, f->size);
    }
    for (int i = 0; i < LENGTH_BYTES; i++) n |= (uint64_t)(unsigned char)f->map[i] << (8 * i);
    if (n > HEADER_MAX) {
        return dr_fail(DR_EFORMAT, "%s: header length: %llu is over the limit of 100 MB; this is no safetensors file",
                       f->path, (unsigned long long)n);
    }
    if (n > f->size - LENGTH_BYTES) {
        return dr_fail(DR_EFORMAT, "%s: header length: %llu reaches past the end of the file (%zu bytes)", f->path,
                       (unsigned long long)n, f->size);
    }
    const char *text = f->map + LENGTH_BYTES;
    if (n == 0 || text[0] != '{') return dr_fail(DR_EFORMAT, "%s: header must begin with '{'", f->path);
    json_error_t error;
    f->header = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (!f->header) {
        return dr_fail(json_error_code(&error) == json_error_out_of_memory ? DR_ENOMEM : DR_EFORMAT,
                       "%s: header is not valid JSON: %s (byte %d)", f->path, shown(error.text), error.position);
    }
    if (has_negative_zero(text, n)) return dr_fail(DR_EFORMAT, "%s: header holds the number -0", f->path);
    *data_at = LENGTH_BYTES + n;
    return DR_OK;
}

static int by_offset(const void *a, const void *b)
{
    const tensor_entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1; /* an empty tensor goes before what starts at its place */
    return strcmp(x->file.name, y->file.name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(tensor_entry *const *)a)->file.name, (*(tensor_entry *const *)b)->file.name);
}

/* Sorted by offset, each tensor must begin where the last one ends, and the last must end with the file. */
static dr_status place_entries(dr_file *f, size_t data_at)
{
    const int64_t size = (int64_t)(f->size - data_at);
    int64_t at = 0;
    if (f->count > 0) qsort(f->entry, (size_t)f->count, sizeof *f->entry, by_offset);
    for (int64_t i = 0; i < f->count; i++) {
        tensor_entry *e = &f->entry[i];
        const char *name = shown(e->file.name);
        if (e->begin < at) {
            return dr_fail(DR_EFORMAT, "%s: tensor '%s': data_offsets overlap those of '%s'", f->path, name,
                           shown(f->entry[i - 1].file.name));
        }
        if (e->begin > at) {
            return dr_fail(DR_EFORMAT, "%s: tensor '%s': data_offsets leave %lld bytes before it to no tensor", f->path,
                           name, (long long)(e->begin - at));
        }
        if (e->end > size) {
            return dr_fail(
                DR_EFORMAT,
                "%s: tensor '%s': data_offsets end at %lld, the file has %lld bytes of data: it is cut short", f->path,
                name, (long long)e->end, (long long)size);
        }
        e->file.data = f->map + data_at + e->begin;
        f->by_name[i] = e;
        at = e->end;
    }
    if (at != size) {
        return dr_fail(DR_EFORMAT, "%s: %lld bytes after the last tensor belong to none", f->path,
                       (long long)(size - at));
    }
    if (f->count > 0) qsort(f->by_name, (size_t)f->count, sizeof *f->by_name, by_name);
    return DR_OK;
}

static dr_status read_header(dr_file *f)
{
    size_t data_at = 0;
    dr_status status = parse_header(f, &data_at);
    if (status != DR_OK) return status;
    const size_t n = json_object_size(f->header);
    f->entry = calloc(n + 1, sizeof *f->entry);
    f->by_name = calloc(n + 1, sizeof *f->by_name);
    if (!f->entry || !f->by_name) return dr_fail(DR_ENOMEM, "%s: out of memory for %zu tensors", f->path, n);
    const char *name;
    json_t *value;
    json_object_foreach(f->header, name, value)
    {
        const bool metadata = strcmp(name, "__metadata__") == 0;
        status = metadata ? read_metadata(f, value) : read_entry(f, name, value, &f->entry[f->count]);
        if (status != DR_OK) return status;
        if (!metadata) f->count++;
    }
    return place_entries(f, data_at);
}

/* ---- opening and looking ----------------------------------------------------------------------------------------- */

static dr_status map_file(dr_file *f)
{
    int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not make us wait for its other end */
    if (fd < 0) {
        return dr_fail(errno == ENOENT ? DR_ENOTFOUND : DR_EIO, "%s: cannot open: %s", f->path, strerror(errno));
    }
    struct stat st;
    dr_status status = DR_OK;
    if (fstat(fd, &st) != 0) {
        status = dr_fail(DR_EIO, "%s: cannot stat: %s", f->path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        status = dr_fail(DR_EIO, "%s: is not a regular file", f->path);
    } else if (st.st_size > 0) {
        void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            status = dr_fail(DR_EIO, "%s: cannot map: %s", f->path, strerror(errno));
        } else {
            f->map = map;
            f->size = (size_t)st.st_size;
        }
    }
    close(fd);
    return status;
}

/* NULL on failure. The caller closes it; everything that it hands out lives until then. */
dr_file *dr_file_open(const char *path)
{
    dr_file *f = calloc(1, sizeof *f);
    if (f) f->path = strdup(path);
    if (f) f->refs = 1;
    if (!f || !f->path) {
        dr_fail(DR_ENOMEM, "%s: out of memory", path);
        free(f);
        return NULL;
    }
    if (map_file(f) != DR_OK || read_header(f) != DR_OK) {
        dr_file_close(f);
        return NULL;
    }
    return f;
}

dr_file *dr_file_retain(dr_file *f)
{
    if (f) f->refs++;
    return f;
}

void dr_file_close(dr_file *f)
{
    if (!f || --f->refs > 0) return;
    if (f->map) munmap((void *)(uintptr_t)f->map, f->size);
    json_decref(f->header);
    free(f->by_name);
    free(f->entry);
    free(f->path);
    free(f);
}

int64_t dr_file_count(const dr_file *f) { return f->count; }
const char *dr_file_path(const dr_file *f) { return f->path; }

const dr_file_entry *dr_file_at(const dr_file *f, int64_t i)
{
    return i >= 0 && i < f->count ? &f->entry[i].file : NULL;
}

static const tensor_entry *find(const dr_file *f, const char *name)
{
    tensor_entry key = { .file = { .name = name } }, *k = &key;
    if (f->count == 0) return NULL;
    tensor_entry **found = bsearch(&k, f->by_name, (size_t)f->count, sizeof *f->by_name, by_name);
    return found ? *found : NULL;
}

const dr_file_entry *dr_file_find(const dr_file *f, const char *name)
{
    const tensor_entry *e = find(f, name);
    return e ? &e->file : NULL;
}

const char *dr_file_metadata(const dr_file *f, const char *key)
{
    return json_string_value(json_object_get(f->metadata, key));
}

int64_t dr_file_metadata_count(const dr_file *f) { return (int64_t)json_object_size(f->metadata); }

const char *dr_file_metadata_key(const dr_file *f, int64_t i)
{
    void *at = json_object_iter(f->metadata);
    for (; at && i > 0; i--) at = json_object_iter_next(f->metadata, at);
    return at && i == 0 ? json_object_iter_key(at) : NULL;
}

/* ---- tensors out of a file --------------------------------------------------------------------------------------- */

/* The small integers that Drift has no tensors of, widened; n of them, n > 0. The caller frees. */
static int64_t *to_i64(const tensor_entry *e, int64_t n)
{
    int64_t *wide = calloc((size_t)n, sizeof *wide);
    if (!wide) return NULL;
    const size_t size = (size_t)e->type->bits / 8;
    for (int64_t i = 0; i < n; i++) {
        uint64_t u = 0;
        memcpy(&u, (const char *)e->file.data + (size_t)i * size, size); /* little-endian, as the machine */
        const uint64_t sign = (uint64_t)1 << (e->type->bits - 1);
        wide[i] = e->type->integer == SIGNED ? (int64_t)(u ^ sign) - (int64_t)sign : (int64_t)u;
    }
    return wide;
}

/* as_dtype: a dr_dtype, or -1 as stored. A copy on the current device, in the current scope; NULL on failure. I8, I16,
 * U16 and U32 can be had in another dtype only. */
dr_tensor *dr_file_tensor(const dr_file *f, const char *name, int as_dtype)
{
    const tensor_entry *e = find(f, name);
    if (!e) {
        dr_fail(DR_ENOTFOUND, "%s: has no tensor '%s'", f->path, shown(name));
        return NULL;
    }
    if (e->file.dtype < 0 && (as_dtype < 0 || !e->type->integer)) {
        dr_fail(DR_EUNSUPPORTED, "%s: tensor '%s' is %s, which Drift has no tensor of%s", f->path, shown(name),
                e->type->name, e->type->integer ? ": name a dtype to convert it to" : "");
        return NULL;
    }
    if (e->file.rank > DR_MAX_RANK) {
        dr_fail(DR_EUNSUPPORTED, "%s: tensor '%s' has %lld dimensions, tensors have at most %d", f->path, shown(name),
                (long long)e->file.rank, DR_MAX_RANK);
        return NULL;
    }
    const dr_dtype dtype = as_dtype < 0 ? (dr_dtype)e->file.dtype : (dr_dtype)as_dtype;
    dr_tensor *t = dr_tensor_new(dtype, (int)e->file.rank, e->file.shape, DR_LAYOUT_ROW);
    if (!t || e->file.bytes == 0) return t;
    if (e->file.dtype >= 0) return dr_tensor_write(t, (dr_dtype)e->file.dtype, e->file.data) == DR_OK ? t : NULL;
    int64_t *wide = to_i64(e, (int64_t)(e->file.bytes / ((size_t)e->type->bits / 8)));
    if (!wide) {
        dr_fail(DR_ENOMEM, "%s: tensor '%s': out of memory", f->path, shown(name));
        return NULL;
    }
    const dr_status status = dr_tensor_write(t, DR_I64, wide);
    free(wide);
    return status == DR_OK ? t : NULL;
}

/* Whole pages in these bytes of the map are given back; they are read from the file again where somebody looks. */
void dr_file_unread(const dr_file *f, const void *data, size_t bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), map = (uintptr_t)f->map;
    const uintptr_t from = ((uintptr_t)data + page - 1) / page * page, to = ((uintptr_t)data + bytes) / page * page;
    if (from >= map && from < to && to <= map + f->size) madvise((void *)from, to - from, MADV_DONTNEED);
}

/* ---- parts of tensors, for plugins ------------------------------------------------------------------------------- */

_Bool dr_file_shape(const dr_file *f, const char *name, int32_t *dtype, int32_t *rank, int64_t shape[8])
{
    const tensor_entry *e = f ? find(f, name) : NULL;
    if (!e) return false;
    *dtype = e->file.dtype;
    *rank = (int32_t)e->file.rank;
    for (int64_t i = 0; i < e->file.rank; i++) shape[i] = e->file.shape[i];
    return true;
}

dr_status dr_file_read(const dr_file *f, const char *name, int64_t first, int64_t count, dr_dtype as, void *to)
{
    if (!f) return dr_failed() ? dr_failed() : dr_fail(DR_EINVAL, "no file to read '%s' from", name);
    const tensor_entry *e = find(f, name);
    if (!e) return dr_fail(DR_ENOTFOUND, "%s: has no tensor '%s'", f->path, shown(name));
    if (e->file.dtype < 0) {
        return dr_fail(DR_EUNSUPPORTED, "%s: tensor '%s' is %s, which cannot be read in parts", f->path, shown(name),
                       e->type->name);
    }
    const size_t size = dr_dtype_size((dr_dtype)e->file.dtype);
    const int64_t elements = (int64_t)(e->file.bytes / size);
    if (first < 0 || count < 0 || first > elements || count > elements - first) {
        return dr_fail(DR_EINVAL, "%s: tensor '%s' has %lld elements, not %lld from %lld on", f->path, shown(name),
                       (long long)elements, (long long)count, (long long)first);
    }
    const char *from = (const char *)e->file.data + (size_t)first * size;
    if (count > 0) dr_convert(as, to, (dr_dtype)e->file.dtype, from, count);
    return DR_OK;
}
