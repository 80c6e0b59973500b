/* files.c: kind `dtypes`: x.TYPE, converted to f32 on the device, equals expect.TYPE bit for bit. And malformed files:
 * the manifest.tsv of their folder says of each whether a reader must reject or accept it, or may do either. */
#include "parity.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

/* ---- dtypes ------------------------------------------------------------------------------------------------------ */

static bool shape_kept(dr_tensor *t, const dr_file_entry *e)
{
    const dr_view *v = dr_tensor_view(t);
    if (!v || v->rank != e->rank) return false;
    for (int i = 0; i < v->rank; i++) {
        if (v->shape[i] != e->shape[i]) return false;
    }
    return true;
}

/* t, read as f32, holds the bytes of expect. */
static bool equal_bits(dr_tensor *t, const dr_file_entry *expect)
{
    float *values = malloc(expect->bytes + 1);
    const bool equal = values && shape_kept(t, expect) && dr_tensor_read(t, DR_F32, values) == DR_OK &&
                       memcmp(values, expect->data, expect->bytes) == 0;
    free(values);
    return equal;
}

static void one_dtype(parity *p, int64_t i)
{
    const dr_file_entry *x = dr_file_at(p->file, i);
    char name[256];
    snprintf(name, sizeof name, "expect.%.240s", x->name + 2);
    const dr_file_entry *expect = dr_file_find(p->file, name);
    dr_tensor *as_f32 = dr_file_tensor(p->file, x->name, DR_F32);
    p->seen[i] = true;
    if (!as_f32 || !shape_kept(as_f32, x)) parity_fail(p, "%s: as f32", x->name);
    if (!expect) return;
    p->compared++;
    for (int64_t k = 0; k < dr_file_count(p->file); k++) p->seen[k] |= dr_file_at(p->file, k) == expect;
    if (expect->dtype != DR_F32) parity_fail(p, "%s is not F32", name);
    if (as_f32 && !equal_bits(as_f32, expect)) parity_fail(p, "%s: as f32 it is not %s", x->name, name);
    if (x->dtype < 0) return;
    dr_tensor *stored = dr_file_tensor(p->file, x->name, -1);
    if (!stored || !equal_bits(stored, expect))
        parity_fail(p, "%s: as stored and then read as f32 it is not %s", x->name, name);
}

void parity_dtypes(parity *p)
{
    dr_scope_open();
    for (int64_t i = 0; i < dr_file_count(p->file); i++) {
        if (strncmp(dr_file_at(p->file, i)->name, "x.", 2) == 0) one_dtype(p, i);
    }
    dr_scope_close();
    if (p->compared == 0) parity_fail(p, "nothing to compare");
}

/* ---- malformed files --------------------------------------------------------------------------------------------- */

/* Every tensor that Drift can hold is made; false where one cannot. */
static bool usable(const dr_file *f)
{
    dr_scope_open();
    for (int64_t i = 0; i < dr_file_count(f); i++) {
        const dr_file_entry *e = dr_file_at(f, i);
        if (e->dtype >= 0 && e->rank <= DR_MAX_RANK) dr_file_tensor(f, e->name, -1);
    }
    dr_scope_close();
    return dr_failed() == DR_OK;
}

static verdict one_file(const char *folder, const char *shown, const char *name, const char *expect)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *there = fopen(path, "rb");
    if (!there) {
        printf("FAIL %s/%s: the manifest names it, but it is not there\n", shown, name);
        return FAILED;
    }
    fclose(there);
    dr_file *f = dr_file_open(path);
    const bool accepted = f != NULL, explained = strstr(dr_error_message(), path) != NULL;
    bool right = accepted ? strcmp(expect, "reject") != 0 && dr_failed() == DR_OK && usable(f)
                          : strcmp(expect, "accept") != 0 && explained;
    right = right && (strcmp(expect, "reject") == 0 || strcmp(expect, "accept") == 0 || strcmp(expect, "either") == 0);
    if (!right) {
        printf("FAIL %s/%s: verdict %s, the reader %s it: %s\n", shown, name, expect, accepted ? "accepts" : "rejects",
               dr_error_message());
    }
    dr_error_clear();
    dr_file_close(f);
    return right ? PASSED : FAILED;
}

static bool listed(char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) return true;
    }
    return false;
}

/* A file beside the manifest that it does not name. */
static void unlisted(const char *folder, const char *shown, char *const *names, int n, int count[3])
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        const size_t length = strlen(e->d_name);
        if (length < 12 || strcmp(e->d_name + length - 12, ".safetensors") != 0 || listed(names, n, e->d_name))
            continue;
        printf("skip %s/%s: the manifest does not name it\n", shown, e->d_name);
        count[SKIPPED]++;
    }
    if (d) closedir(d);
}

void parity_bad_files(const char *folder, const char *shown, int count[3])
{
    enum { MAX_FILES = 1024 };
    static char *names[MAX_FILES];
    char path[4096], line[4096];
    int n = 0, passed = 0;
    snprintf(path, sizeof path, "%s/manifest.tsv", folder);
    FILE *manifest = fopen(path, "r");
    while (manifest && fgets(line, sizeof line, manifest) && n < MAX_FILES) {
        char *rest = line, *name = strsep(&rest, "\t"), *expect = strsep(&rest, "\t\n");
        if (!expect || strcmp(name, "file") == 0) continue;
        names[n++] = strdup(name);
        const verdict v = one_file(folder, shown, name, expect);
        count[v]++;
        passed += v == PASSED;
    }
    if (n == 0) {
        printf("FAIL %s/manifest.tsv: names no file\n", shown);
        count[FAILED]++;
    }
    if (manifest) fclose(manifest);
    printf("%s %s: %d of %d files are read as the manifest says\n", passed == n ? "pass" : "FAIL", shown, passed, n);
    unlisted(folder, shown, names, n, count);
    for (int i = 0; i < n; i++) free(names[i]);
}
