/* save.c: writes safetensors files, and any other file that must not be lost.
 * The same tensors give the same bytes: metadata sorted by key, wide dtypes first and then by name, so that each tensor
 * is aligned, and the header padded with spaces to a multiple of 8.
 * A file appears whole or not at all: it is written beside its place under another name, flushed to the disk (fsync),
 * renamed over the old one, and the folder flushed. Where any step fails, the old file stays as it was. */
#include <drift.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- careful files ----------------------------------------------------------------------------------------------- */

typedef struct piece {
    const void *data;
    size_t bytes;
} piece;

/* "cannot save runs/a/model.safetensors: write: no space left on device" */
static dr_status failed_step(const char *path, const char *step, int error)
{
    char why[128];
    snprintf(why, sizeof why, "%s", strerror(error));
    if (why[0] >= 'A' && why[0] <= 'Z' && !(why[1] >= 'A' && why[1] <= 'Z')) why[0] = (char)(why[0] - 'A' + 'a');
    return dr_fail(DR_EIO, "cannot save %s: %s: %s", path, step, why);
}

static bool write_all(int fd, const piece *p)
{
    const char *at = p->data;
    size_t left = p->bytes;
    while (left > 0) {
        ssize_t n = write(fd, at, left < (1u << 30) ? left : 1u << 30);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO;
        if (n <= 0) return false;
        at += n;
        left -= (size_t)n;
    }
    return true;
}

/* The folder of path, with its last slash; "" for the current one. The caller frees; NULL: out of memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
}

/* A new file FOLDER.drift-PID-N.tmp, with the rights that any new file gets; fills name. -1 and errno on failure. */
static int open_temporary(const char *folder, char *name, size_t size)
{
    int fd = -1;
    for (int n = 0; n < 1000; n++) {
        if ((size_t)snprintf(name, size, "%s.drift-%ld-%d.tmp", folder, (long)getpid(), n) >= size) {
            errno = ENAMETOOLONG;
            return -1;
        }
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

/* Makes a rename in it last. Some file systems cannot do this for a folder, and say EINVAL. */
static bool flush_folder(const char *folder)
{
    int fd = open(folder[0] ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno == EACCES; /* a folder that may be written but not read: nothing more can be done */
    bool flushed = fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP;
    const int error = errno;
    close(fd);
    errno = error;
    return flushed;
}

/* Fills, flushes and closes fd. NULL, or the step that failed, with its errno. */
static const char *fill(int fd, const piece *pieces, int64_t n)
{
    const char *step = NULL;
    for (int64_t i = 0; i < n && !step; i++) step = write_all(fd, &pieces[i]) ? NULL : "write";
    if (!step && fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP) step = "fsync";
    const int error = errno;
    if (close(fd) != 0 && !step) return "close";
    errno = error;
    return step;
}

static dr_status write_in(const char *folder, const char *path, const piece *pieces, int64_t n)
{
    char temporary[4096];
    int fd = open_temporary(folder, temporary, sizeof temporary);
    if (fd < 0) return failed_step(path, "create a temporary file beside it", errno);
    const char *step = fill(fd, pieces, n);
    if (!step && rename(temporary, path) != 0) step = "rename";
    if (step) {
        const int error = errno;
        unlink(temporary);
        return failed_step(path, step, error);
    }
    if (!flush_folder(folder)) return failed_step(path, "fsync of its folder (the file itself is in place)", errno);
    return DR_OK;
}

static dr_status write_pieces(const char *path, const piece *pieces, int64_t n)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        return dr_fail(DR_EIO, "cannot save %s: it exists and is not a regular file", path);
    }
    char *folder = folder_of(path);
    if (!folder) return dr_fail(DR_ENOMEM, "cannot save %s: out of memory", path);
    dr_status status = write_in(folder, path, pieces, n);
    free(folder);
    return status;
}

/* Puts `bytes` bytes at path: afterwards it holds them all, or what it held before. DR_EIO names the step and why. */
dr_status dr_write_file(const char *path, const void *data, size_t bytes)
{
    return write_pieces(path, &(piece){ data, bytes }, 1);
}

/* ---- a safetensors file being put together ----------------------------------------------------------------------- */

typedef struct saved {
    char *name;
    dr_dtype dtype;
    int rank;
    int64_t shape[DR_MAX_RANK];
    void *data; /* row-major */
    size_t bytes;
} saved;

struct dr_save {
    json_t *metadata;
    saved *tensor;
    int64_t n, capacity;
    json_t *names;   /* those given so far */
    dr_status fault; /* the first failure: an incomplete file is never written */
};

static const char *const file_type[DR_DTYPE_COUNT] = {
    [DR_F32] = "F32", [DR_F64] = "F64", [DR_BF16] = "BF16", [DR_F16] = "F16",
    [DR_I32] = "I32", [DR_I64] = "I64", [DR_U8] = "U8",     [DR_BOOL] = "BOOL",
};

/* The caller ends it with dr_save_commit or dr_save_abandon. NULL: out of memory. */
dr_save *dr_save_begin(void)
{
    dr_save *s = calloc(1, sizeof *s);
    if (s) {
        s->metadata = json_object();
        s->names = json_object();
    }
    if (s && s->metadata && s->names) return s;
    dr_save_abandon(s);
    dr_fail(DR_ENOMEM, "out of memory for a file to save");
    return NULL;
}

void dr_save_abandon(dr_save *s)
{
    if (!s) return;
    for (int64_t i = 0; i < s->n; i++) {
        free(s->tensor[i].name);
        free(s->tensor[i].data);
    }
    free(s->tensor);
    json_decref(s->metadata);
    json_decref(s->names);
    free(s);
}

/* value: UTF-8. A key that was given before is an error. */
dr_status dr_save_metadata(dr_save *s, const char *key, const char *value)
{
    if (!s) return dr_failed() ? dr_failed() : dr_fail(DR_EINVAL, "no file to save metadata in");
    if (s->fault) return s->fault;
    if (json_object_get(s->metadata, key))
        return s->fault = dr_fail(DR_EINVAL, "save: metadata '%s' is given twice", key);
    if (json_object_set_new(s->metadata, key, json_string(value)) != 0) {
        return s->fault = dr_fail(DR_EINVAL, "save: metadata '%s' is not UTF-8 text, or memory is out", key);
    }
    return DR_OK;
}

/* Space for one more tensor, with its name, type and shape checked and copied, which counts once n is raised. NULL on
 * failure. */
static saved *next_tensor(dr_save *s, const char *name, dr_dtype dtype, int rank, const int64_t *shape)
{
    size_t bytes;
    if ((int)dtype < 0 || dtype >= DR_DTYPE_COUNT) {
        dr_fail(DR_EINVAL, "save: tensor '%s': dtype %d is not known", name, (int)dtype);
        return NULL;
    }
    if (!dr_checked_size(name, dtype, rank, shape, NULL, &bytes)) return NULL;
    if (strcmp(name, "__metadata__") == 0 || json_object_get(s->names, name)) {
        dr_fail(DR_EINVAL, "save: tensor '%s' %s", name, name[0] == '_' ? "cannot have this name" : "is given twice");
        return NULL;
    }
    if (json_object_set_new(s->names, name, json_true()) != 0) {
        dr_fail(DR_EINVAL, "save: tensor '%s': its name is not UTF-8, or memory is out", name);
        return NULL;
    }
    if (s->n == s->capacity) {
        const int64_t capacity = s->capacity ? 2 * s->capacity : 64;
        saved *grown = realloc(s->tensor, (size_t)capacity * sizeof *grown);
        if (!grown) {
            dr_fail(DR_ENOMEM, "save: tensor '%s': out of memory", name);
            return NULL;
        }
        s->tensor = grown;
        s->capacity = capacity;
    }
    saved *t = &s->tensor[s->n];
    *t = (saved){
        .name = strdup(name), .dtype = dtype, .rank = rank, .data = malloc(bytes ? bytes : 1), .bytes = bytes
    };
    if (!t->name || !t->data) {
        free(t->name);
        free(t->data);
        dr_fail(DR_ENOMEM, "save: tensor '%s': out of memory for %zu bytes", name, bytes);
        return NULL;
    }
    for (int i = 0; i < rank; i++) t->shape[i] = shape[i];
    return t;
}

/* A tensor of any layout, read from its device at once, in its own dtype. */
dr_status dr_save_tensor(dr_save *s, const char *name, dr_tensor *t)
{
    const dr_view *v = dr_tensor_view(t);
    if (!s) return dr_failed() ? dr_failed() : dr_fail(DR_EINVAL, "save: no file for '%s'", name);
    if (s->fault) return s->fault;
    if (!v) return s->fault = dr_failed() ? dr_failed() : dr_fail(DR_EINVAL, "save: no tensor for '%s'", name);
    saved *to = next_tensor(s, name, (dr_dtype)v->dtype, v->rank, v->shape);
    if (!to) return s->fault = dr_failed();
    s->n++;
    return s->fault = dr_tensor_read(t, to->dtype, to->data);
}

/* Row-major data in host memory; it is copied. */
dr_status dr_save_data(dr_save *s, const char *name, dr_dtype dtype, int rank, const int64_t *shape, const void *data)
{
    if (!s) return dr_failed() ? dr_failed() : dr_fail(DR_EINVAL, "save: no file for '%s'", name);
    if (s->fault) return s->fault;
    saved *to = next_tensor(s, name, dtype, rank, shape);
    if (!to) return s->fault = dr_failed();
    if (to->bytes > 0) memcpy(to->data, data, to->bytes);
    s->n++;
    return DR_OK;
}

static int file_order(const void *a, const void *b)
{
    const saved *x = a, *y = b;
    const size_t x_size = dr_dtype_size(x->dtype), y_size = dr_dtype_size(y->dtype);
    if (x_size != y_size) return x_size > y_size ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int text_order(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* A copy of an object of strings, its keys sorted. NULL: out of memory. */
static json_t *sorted(json_t *object)
{
    const size_t n = json_object_size(object);
    const char **keys = malloc((n + 1) * sizeof *keys), *key;
    json_t *copy = json_object(), *value;
    size_t i = 0;
    if (keys) {
        json_object_foreach(object, key, value) keys[i++] = key;
        qsort(keys, n, sizeof *keys, text_order);
    }
    for (i = 0; keys && i < n; i++) json_object_set(copy, keys[i], json_object_get(object, keys[i]));
    if (!keys || json_object_size(copy) != n) {
        json_decref(copy);
        copy = NULL;
    }
    free(keys);
    return copy;
}

/* The 8 bytes of length and the header; the tensors are in file order. The caller frees; NULL: out of memory. */
static char *header_of(const dr_save *s, size_t *bytes)
{
    json_t *header = json_object();
    bool complete = header != NULL;
    int64_t at = 0;
    if (json_object_size(s->metadata) > 0)
        complete = json_object_set_new(header, "__metadata__", sorted(s->metadata)) == 0;
    for (int64_t i = 0; i < s->n && complete; i++) {
        const saved *t = &s->tensor[i];
        json_t *shape = json_array();
        for (int k = 0; k < t->rank; k++)
            complete = complete && json_array_append_new(shape, json_integer(t->shape[k])) == 0;
        json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", file_type[t->dtype], "shape", shape, "data_offsets",
                                  (json_int_t)at, (json_int_t)at + (json_int_t)t->bytes);
        complete = complete && json_object_set_new(header, t->name, entry) == 0;
        at += (int64_t)t->bytes;
    }
    /* json_dumps() drops a key that it has no memory for, and goes on; json_dumpb() needs none. */
    const size_t length = complete ? json_dumpb(header, NULL, 0, JSON_COMPACT) : 0, padded = (length + 7) / 8 * 8;
    char *out = length > 0 ? malloc(8 + padded) : NULL;
    if (out) {
        for (int i = 0; i < 8; i++) out[i] = (char)(padded >> (8 * i) & 0xff);
        memset(out + 8, ' ', padded);
        complete = json_dumpb(header, out + 8, length, JSON_COMPACT) == length;
        *bytes = 8 + padded;
    }
    json_decref(header);
    if (complete) return out;
    free(out);
    return NULL;
}

/* Writes the file at path and frees s, also where it fails: then path holds what it held before. */
dr_status dr_save_commit(dr_save *s, const char *path)
{
    if (!s) return dr_failed() ? dr_failed() : dr_fail(DR_EINVAL, "cannot save %s: nothing was put together", path);
    dr_status status = s->fault;
    if (status == DR_OK) {
        size_t header_bytes = 0;
        if (s->n > 0) qsort(s->tensor, (size_t)s->n, sizeof *s->tensor, file_order);
        char *header = header_of(s, &header_bytes);
        piece *pieces = calloc((size_t)s->n + 1, sizeof *pieces);
        if (header && pieces) {
            pieces[0] = (piece){ header, header_bytes };
            for (int64_t i = 0; i < s->n; i++) pieces[i + 1] = (piece){ s->tensor[i].data, s->tensor[i].bytes };
            status = write_pieces(path, pieces, s->n + 1);
        } else {
            status = dr_fail(DR_ENOMEM, "cannot save %s: out of memory", path);
        }
        free(pieces);
        free(header);
    }
    dr_save_abandon(s);
    return status;
}
