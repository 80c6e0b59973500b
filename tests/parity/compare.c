/* compare.c: values of a file and what was computed. Shapes must agree; then max|c - ref| <= 10 tol over all elements,
 * tol being the file's own scalar tol.NAME. Integers have none and must be equal. */
#include "parity.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LENGTH = 512, SHOWN_FAILURES = 12 };

#define FORMAT_NAME(name, format) \
    char name[NAME_MAX_LENGTH]; \
    va_list args; \
    va_start(args, format); \
    vsnprintf(name, sizeof name, format, args); \
    va_end(args)

verdict parity_begin(parity *p, const dr_file *file, const char *path, const char *device)
{
    *p = (parity){ .file = file, .path = path, .device = device };
    p->seen = calloc((size_t)dr_file_count(file) + 1, sizeof *p->seen);
    if (!p->seen) return FAILED;
    return PASSED;
}

void parity_fail(parity *p, const char *format, ...)
{
    FORMAT_NAME(message, format);
    if (++p->failures <= SHOWN_FAILURES) {
        printf("FAIL %s on %s: %s%s%s\n", p->path, p->device, message, dr_failed() ? ": " : "", dr_error_message());
    }
    dr_error_clear();
}

static void mark(parity *p, const char *name)
{
    for (int64_t i = 0; i < dr_file_count(p->file); i++) {
        if (strcmp(dr_file_at(p->file, i)->name, name) == 0) p->seen[i] = true;
    }
}

bool parity_has(const parity *p, const char *format, ...)
{
    FORMAT_NAME(name, format);
    return dr_file_find(p->file, name) != NULL;
}

dr_tensor *parity_input(parity *p, const char *format, ...)
{
    FORMAT_NAME(name, format);
    const dr_file_entry *e = dr_file_find(p->file, name);
    const bool integer = e && (e->dtype == DR_I64 || e->dtype == DR_I32 || e->dtype == DR_U8);
    dr_tensor *t = dr_file_tensor(p->file, name, integer ? DR_I32 : DR_F32);
    if (!t) parity_fail(p, "input %s", name);
    mark(p, name);
    return t;
}

static bool same_shape(const dr_view *v, const dr_file_entry *e)
{
    if (v->rank != e->rank) return false;
    for (int i = 0; i < v->rank; i++) {
        if (v->shape[i] != e->shape[i]) return false;
    }
    return true;
}

/* tol.NAME, which is marked as seen; NAN and a failure where there is none that can be used. Integers: 0. */
static double tolerance(parity *p, const char *name, const dr_file_entry *e)
{
    if (e->dtype == DR_I64 || e->dtype == DR_I32 || e->dtype == DR_U8 || e->dtype == DR_BOOL) return 0.0;
    char tol_name[NAME_MAX_LENGTH + 8];
    snprintf(tol_name, sizeof tol_name, "tol.%s", name);
    const dr_file_entry *t = dr_file_find(p->file, tol_name);
    if (!t || t->bytes != dr_dtype_size((dr_dtype)t->dtype)) {
        parity_fail(p, "%s: the file has no scalar %s", name, tol_name);
        return NAN;
    }
    mark(p, tol_name);
    double tol;
    dr_convert(DR_F64, &tol, (dr_dtype)t->dtype, t->data, 1);
    if (isfinite(tol) && tol >= 0) return tol;
    parity_fail(p, "%s: %s is %g", name, tol_name, tol);
    return NAN;
}

/* got and ref: n numbers each. */
static void compare_values(parity *p, const char *name, const double *got, const double *ref, int64_t n, double tol)
{
    double largest = 0.0;
    int64_t at = -1;
    for (int64_t i = 0; i < n; i++) {
        const double d = got[i] == ref[i] ? 0.0 : fabs(got[i] - ref[i]);
        if (isnan(d) || d > largest) {
            largest = d;
            at = i;
        }
        if (isnan(d)) break;
    }
    const double times = largest == 0.0 ? 0.0 : largest / tol;
    if (times > p->worst) {
        p->worst = times;
        snprintf(p->worst_at, sizeof p->worst_at, "%.100s", name);
    }
    if (!(largest <= 10.0 * tol)) {
        parity_fail(p, "%s: max|c - ref| = %.3g is %.3g x tol; element %lld is %.9g, should be %.9g", name, largest,
                    times, (long long)at, got[at], ref[at]);
    }
}

void parity_compare(parity *p, dr_tensor *got, const char *format, ...)
{
    FORMAT_NAME(name, format);
    const dr_file_entry *e = dr_file_find(p->file, name);
    const dr_view *v = dr_tensor_view(got);
    char text[128];
    mark(p, name);
    p->compared++;
    if (!e || !v) {
        parity_fail(p, "%s: %s", name, e ? "nothing was computed" : "the file has no such value");
        return;
    }
    if (!same_shape(v, e)) {
        parity_fail(p, "%s: computed %s, which has another shape", name, dr_view_text(v, text, sizeof text));
        return;
    }
    const double tol = tolerance(p, name, e);
    if (isnan(tol)) return;
    int64_t n = 1;
    for (int i = 0; i < v->rank; i++) n *= v->shape[i];
    double *values = malloc(2 * (size_t)(n > 0 ? n : 1) * sizeof *values), *ref = values + n;
    if (!values || dr_tensor_read(got, DR_F64, values) != DR_OK) {
        parity_fail(p, "%s: cannot be read", name);
    } else {
        dr_convert(DR_F64, ref, (dr_dtype)e->dtype, e->data, n);
        compare_values(p, name, values, ref, n, tol);
    }
    free(values);
}

json_t *parity_json(parity *p, const char *key)
{
    const char *text = dr_file_metadata(p->file, key);
    json_t *value = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!value) parity_fail(p, "metadata `%s` is %s", key, text ? "not JSON" : "missing");
    return value;
}

verdict parity_end(parity *p)
{
    for (int64_t i = 0; i < dr_file_count(p->file); i++) {
        if (!p->seen[i]) parity_fail(p, "unchecked: %s", dr_file_at(p->file, i)->name);
    }
    if (p->failures > SHOWN_FAILURES)
        printf("FAIL %s on %s: ... and %d more\n", p->path, p->device, p->failures - SHOWN_FAILURES);
    free(p->seen);
    p->seen = NULL;
    return p->failures > 0 ? FAILED : PASSED;
}
