/* check.c: the running of one check, and how it says that a promise is broken, see check.h. */
#include "check.h"
#include "tensor.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

static jmp_buf leave_check;
static bool in_check;
static check_outcome outcome;
static char why[CHECK_TEXT];
void (*check_note_sink)(const char *line);
bool check_in_own_process;
const char *check_folder = ".";
int64_t (*check_collected_bytes)(void);

const char *check_file(const char *name)
{
    static char path[4096 + 64];
    snprintf(path, sizeof path, "%s/%s", check_folder, name);
    return path;
}

static _Noreturn void leave(check_outcome o, const char *format, va_list args)
{
    outcome = o;
    vsnprintf(why, sizeof why, format, args);
    if (in_check) longjmp(leave_check, 1);
    fprintf(stderr, "%s\n", why); /* a check's part outside of one: a mistake of the tests */
    abort();
}

void check_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    leave(CHECK_FAILED, format, args);
}

void check_skip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    leave(CHECK_SKIPPED, format, args);
}

void expect(bool holds, const char *format, ...)
{
    if (holds) return;
    char text[CHECK_TEXT - 512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (dr_failed()) check_fail("%s (%s)", text, dr_error_message());
    check_fail("%s", text);
}

void expect_ok(const char *what)
{
    if (dr_failed()) check_fail("%s: %s", what, dr_error_message());
}

void expect_error(const char *part)
{
    if (!dr_failed()) check_fail("there is no error where one with '%s' belongs", part);
    if (!strstr(dr_error_message(), part))
        check_fail("the error should say '%s', and is: %s", part, dr_error_message());
    dr_error_clear();
}

void *expect_made(void *made, const char *what)
{
    expect_ok(what);
    expect(made != NULL, "%s gave nothing, and no error", what);
    return made;
}

void check_note(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (check_note_sink) check_note_sink(line);
}

/* How many scopes are open: 0 where there is no device. */
static int scope_depth(void)
{
    const dr_tensor *t = dr_device_current() ? dr_tensor_full(DR_F32, 0, NULL, 0.0) : NULL;
    return t ? t->scope : 0;
}

check_outcome check_run(const check *what, const dr_component *c, char text[CHECK_TEXT])
{
    text[0] = '\0';
    outcome = CHECK_OK;
    why[0] = '\0';
    in_check = true;
    const int depth = scope_depth();
    dr_scope_open();
    if (setjmp(leave_check) == 0) {
        what->run(c);
        expect_ok("an error was left pending");
    }
    in_check = false;
    dr_error_clear();
    while (scope_depth() > depth) dr_scope_close(); /* also those that a check has left open */
    dr_error_clear();
    snprintf(text, CHECK_TEXT, "%s", why);
    return outcome;
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

dr_tensor *noise(dr_dtype dtype, int rank, const int64_t *shape, uint32_t stream)
{
    const dr_rng rng = { .seed = 7, .purpose = dr_purpose("test"), .step = stream };
    return dr_rand_normal(dtype, rank, shape, &rng);
}

double max_difference(dr_tensor *a, dr_tensor *b)
{
    const dr_view *u = dr_tensor_view(a), *v = dr_tensor_view(b);
    if (!u || !v || u->rank != v->rank) return 1e300;
    for (int i = 0; i < u->rank; i++) {
        if (u->shape[i] != v->shape[i]) return 1e300;
    }
    dr_tensor *distance = dr_amax(dr_abs(dr_sub(a, b)), 0, NULL, false);
    const double d = dr_tensor_item(distance);
    return isnan(d) ? 1e300 : d;
}

const char *shape_text(dr_tensor *t)
{
    static char text[4][96];
    static int turn;
    const dr_view *v = dr_tensor_view(t);
    char *at = text[turn++ % 4];
    if (!v) return "nothing";
    return dr_view_text(v, at, sizeof text[0]);
}

void expect_finite(dr_tensor *t, const char *what)
{
    expect_made(t, what);
    const dr_view *v = dr_tensor_view(t);
    if (v->dtype > DR_F16) return; /* whole numbers are */
    int64_t n = 1;
    for (int i = 0; i < v->rank; i++) n *= v->shape[i];
    double *x = malloc((size_t)(n > 0 ? n : 1) * sizeof *x);
    int64_t bad = 0;
    if (x && dr_tensor_read(t, DR_F64, x) == DR_OK) {
        while (bad < n && isfinite(x[bad])) bad++;
    }
    const double value = x && bad < n ? x[bad] : 0.0;
    free(x);
    expect_ok(what);
    expect(bad >= n, "%s: element %lld of %s is %s", what, (long long)bad, shape_text(t),
           isnan(value) ? "nan, not a number"
           : value > 0  ? "inf"
                        : "-inf");
}

void expect_shape_of(dr_tensor *t, dr_tensor *like, const char *what)
{
    const dr_view *u = dr_tensor_view(t), *v = dr_tensor_view(like);
    expect_made(t, what);
    bool same = u && v && u->rank == v->rank;
    for (int i = 0; same && i < u->rank; i++) same = u->shape[i] == v->shape[i];
    expect(same, "%s is %s where %s belongs", what, shape_text(t), shape_text(like));
}
