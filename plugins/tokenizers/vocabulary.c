/* vocabulary.c: see vocabulary.h. The special ids must be the ones that the file says: -1 where it has none. */
#include "vocabulary.h"
#include "model_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *vocabulary_read(const char *component, const char *path, size_t *bytes)
{
    if (!path[0]) {
        dr_fail(DR_EINVAL, "tokenizer %s needs the path of its file", component);
        return NULL;
    }
    FILE *f = fopen(path, "rb");
    if (!f) {
        dr_fail(DR_EIO, "tokenizer %s: %s cannot be opened: %s", component, path, strerror(errno));
        return NULL;
    }
    size_t room = 1 << 20, n = 0;
    char *data = malloc(room);
    while (data) { /* not by the size that the file system claims: pipes and folders have none */
        n += fread(data + n, 1, room - n, f);
        if (n < room || room > VOCABULARY_MAX_FILE) break;
        char *more = realloc(data, room *= 2);
        if (!more) free(data);
        data = more;
    }
    const int error = ferror(f) ? errno : 0;
    fclose(f);
    if (!data) {
        dr_fail(DR_ENOMEM, "tokenizer %s: out of memory for %s", component, path);
    } else if (error) {
        dr_fail(DR_EIO, "tokenizer %s: %s cannot be read: %s", component, path, strerror(error));
    } else if (n > VOCABULARY_MAX_FILE) {
        dr_fail(DR_EFORMAT, "tokenizer %s: %s is larger than %d MB, so it is no vocabulary", component, path,
                VOCABULARY_MAX_FILE >> 20);
    } else {
        *bytes = n;
        return data;
    }
    free(data);
    return NULL;
}

dr_status vocabulary_open(vocabulary *v, const char *path, const void *model, size_t bytes)
{
    char why[LIBRARY_WHY];
    v->path = path;
    if (model_check(path, model, bytes) != DR_OK) return dr_failed();
    v->model = library_open(model, bytes, why);
    if (v->model) return DR_OK;
    if (strstr(why, "ParseFromArray"))
        snprintf(why, sizeof why, "is not a SentencePiece model, or it is cut short or altered");
    return dr_fail(DR_EFORMAT, "%s: %s", path, why);
}

void vocabulary_close(vocabulary *v)
{
    library_close(v->model);
    v->model = NULL;
}

dr_status vocabulary_info(vocabulary *v, dr_tokenizer_info *info)
{
    library_info(v->model, &info->pieces, &info->pad, &info->eos, &info->unk);
    return DR_OK;
}

const int32_t *vocabulary_encode(vocabulary *v, const char *text, size_t bytes, int64_t *n)
{
    char why[LIBRARY_WHY];
    const int32_t *ids;
    if (bytes > VOCABULARY_MAX_TEXT) {
        dr_fail(DR_EINVAL, "a text of %zu bytes: a tokenizer takes %d at most", bytes, VOCABULARY_MAX_TEXT);
        return NULL;
    }
    if (library_encode(v->model, text, bytes, &ids, n, &v->normal, &v->length, why)) return ids;
    dr_fail(DR_EINTERNAL, "%s: a text of %zu bytes cannot be encoded: %s", v->path, bytes, why);
    return NULL;
}

const char *vocabulary_decode(vocabulary *v, const int32_t *ids, int64_t n, size_t *bytes)
{
    char why[LIBRARY_WHY];
    const char *text;
    if (library_decode(v->model, ids, n, &text, bytes, why)) return text;
    dr_fail(DR_EINVAL, "%s: %lld ids cannot be decoded: %s", v->path, (long long)n, why);
    return NULL;
}

const char *vocabulary_normalize(vocabulary *v, const char *text, size_t bytes, size_t *length)
{
    int64_t n;
    if (!vocabulary_encode(v, text, bytes, &n)) return NULL;
    *length = v->length;
    return v->normal;
}
