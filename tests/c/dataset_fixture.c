/* dataset_fixture.c: see dataset_fixture.h. */
#include "dataset_fixture.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char noted[16384];
static char texts[1 << 20];
static size_t texts_used;

static void note(void *ctx, const char *line)
{
    (void)ctx;
    size_t n = strlen(noted);
    snprintf(noted + n, sizeof noted - n, "%s\n", line);
}

const char *notes(void) { return noted; }

void notes_clear(void) { noted[0] = '\0'; }

const char *text(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *made = texts + texts_used;
    int n = vsnprintf(made, sizeof texts - texts_used, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < sizeof texts - texts_used);
    texts_used += (size_t)n + 1;
    return made;
}

int dataset_registry_open(void **state)
{
    (void)state;
    const char *plugins = getenv("DRIFT_PLUGIN_DIR");
    dr_set_note_sink(note, NULL);
    if (!plugins || dr_registry_open() || dr_plugin_load(text("%s/datasets.so", plugins))) {
        fprintf(stderr, "%s\n", plugins ? dr_error_message() : "DRIFT_PLUGIN_DIR is not set");
        return 1;
    }
    return 0;
}

int dataset_registry_close(void **state)
{
    (void)state;
    dr_registry_close();
    return 0;
}

const dr_dataset *dataset_iface(const dr_instance *d) { return d->iface; }

dr_instance *dataset_open(const char *name, dr_args args, dr_status *status)
{
    dr_instance *d = dr_instance_new("dataset", name, args);
    *status = dr_failed();
    assert_true(d ? *status == DR_OK : *status != DR_OK);
    return d;
}

void dataset_close(dr_instance *d) { dr_instance_free(d); }

void dataset_refused(const char *name, dr_args args, dr_status status, ...)
{
    dr_status got;
    dr_instance *d = dataset_open(name, args, &got);
    if (d) dataset_close(d);
    if (d) fail_msg("dataset %s was opened, but should have been refused", name);
    const char *message = text("%s", dr_error_message());
    dr_error_clear();
    va_list parts;
    va_start(parts, status);
    for (const char *part; (part = va_arg(parts, const char *));)
        if (!strstr(message, part)) fail_msg("\"%s\" does not contain \"%s\"", message, part);
    va_end(parts);
    if (got != status) fail_msg("status %s, expected %s", dr_status_name(got), dr_status_name(status));
}

/* The test's work folder is new for each run, so what is here was made by this program. */
static void make_folder(const char *path)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST) fail_msg("mkdir %s: %s", path, strerror(errno));
}

const char *fresh_folder(const char *name)
{
    static int count;
    char here[PATH_MAX];
    assert_non_null(realpath(".", here));
    make_folder(text("%s/%d_%s", here, ++count, name));
    return text("%s/%d_%s", here, count, name);
}

void write_bytes(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f) fail_msg("%s: %s", path, strerror(errno));
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

uint8_t *read_bytes(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s: %s", path, strerror(errno));
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *bytes = malloc(*n + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *n, f), *n);
    fclose(f);
    return bytes;
}

void copy_file(const char *from, const char *to)
{
    size_t n;
    uint8_t *bytes = read_bytes(from, &n);
    write_bytes(to, bytes, n);
    free(bytes);
}

const char *test_data(const char *name)
{
    const char *root = getenv("DRIFT_TEST_DATA");
    assert_non_null(root);
    return text("%s/%s", root, name);
}
