/* diff_devices.c: which layer is it in which two devices differ first? Each runs the same program in a process of its
 * own. The one tells the results of its ops, one after another, through a pipe; the other compares its own with them
 * and then takes over those that it was told. So every op gets the same inputs on both, nothing adds up, and what
 * differs by more than rounding differs in that op. How much rounding may do, of a result y of inputs x, by their
 * dtype:
 *
 *   |y - y'| <= share max|y|  +  8 eps sqrt(size of x / size of y) min over x of max|x|
 *
 * where the second term is for sums that come out small: a bias's gradient before a normalisation is nothing but
 * rounding. Whole numbers must be equal. */
#include "tensor.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAGIC = 0x44494646, SHOWN = 12 };
typedef enum message_kind { RESULT = 0, END } message_kind;

typedef struct message { /* what an op gave; then its tensors, each a shape and its elements, row-major */
    uint32_t magic;
    int32_t kind, tensors;
    char op[48], place[256];
} message;

typedef struct shape_on_pipe {
    int32_t dtype, rank;
    int64_t shape[DR_MAX_RANK];
    int64_t bytes;
} shape_on_pipe;

typedef struct difference {
    char op[48], place[256], what[160];
    double off, largest, allowed;
} difference;

static struct diff {
    bool tells, compares, ended, apart, alone; /* alone: the other process has ended too early */
    int fd;
    int64_t steps_left, steps, ops, results, differ;
    difference found[SHOWN], worst; /* worst: the largest part of what is allowed, of those within */
    char why[640];                  /* apart: what each ran */
} d;

/* ---- the pipe ---------------------------------------------------------------------------------------------------- */

static dr_status send(const void *data, size_t bytes)
{
    for (const char *at = data; bytes > 0;) {
        const ssize_t n = write(d.fd, at, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return dr_fail(DR_EIO, "diff-devices: the other device's process has ended");
        at += n;
        bytes -= (size_t)n;
    }
    return DR_OK;
}

static bool receive(void *data, size_t bytes) /* false: the other process has ended */
{
    for (char *at = data; bytes > 0;) {
        const ssize_t n = read(d.fd, at, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

/* ---- what an op gave --------------------------------------------------------------------------------------------- */

typedef struct given {
    dr_tensor *const *tensor;
    int n;
} given;

static given results_of(const dr_component *op, dr_tensor *const *in, int n_in, dr_tensor *const *out, int n_out)
{
    const bool mutates = (((const dr_op *)op->iface)->flags & DR_OP_MUTATES) != 0;
    return mutates ? (given){ in, n_in } : (given){ out, n_out };
}

static message message_of(message_kind kind, const char *op, int tensors)
{
    message m = { .magic = MAGIC, .kind = kind, .tensors = tensors };
    snprintf(m.op, sizeof m.op, "%s", op);
    snprintf(m.place, sizeof m.place, "%s", dr_error_place());
    return m;
}

static shape_on_pipe shape_of(const dr_tensor *t)
{
    shape_on_pipe s = { .rank = -1 };
    if (!t) return s;
    size_t bytes = 0;
    s.dtype = t->view.dtype;
    s.rank = t->view.rank;
    for (int i = 0; i < s.rank; i++) s.shape[i] = t->view.shape[i];
    dr_checked_size("a result", (dr_dtype)s.dtype, s.rank, s.shape, NULL, &bytes);
    s.bytes = (int64_t)bytes;
    return s;
}

static int64_t elements(const dr_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->view.rank; i++) n *= t->view.shape[i];
    return n;
}

/* ---- telling ----------------------------------------------------------------------------------------------------- */

static void tell(void *ctx, const dr_component *op, dr_tensor *const *in, int n_in, dr_tensor *const *out, int n_out)
{
    (void)ctx;
    const given g = results_of(op, in, n_in, out, n_out);
    const message m = message_of(RESULT, op->name, g.n);
    if (send(&m, sizeof m) != DR_OK) return;
    for (int i = 0; i < g.n && !dr_failed(); i++) {
        const shape_on_pipe s = shape_of(g.tensor[i]);
        void *data = malloc((size_t)s.bytes + 1);
        if (!data) dr_fail(DR_ENOMEM, "diff-devices: out of memory");
        if (data && s.bytes > 0) dr_tensor_read(g.tensor[i], (dr_dtype)s.dtype, data);
        if (!dr_failed()) send(&s, sizeof s);
        if (!dr_failed()) send(data, (size_t)s.bytes);
        free(data);
    }
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

/* The unit of the last place of a number near 1, and the share of the largest result that an op may be off by. */
static double eps_of(dr_dtype t)
{
    return t == DR_F32 ? 0x1p-23 : t == DR_F64 ? 0x1p-52 : t == DR_BF16 ? 0x1p-7 : t == DR_F16 ? 0x1p-10 : 0.0;
}

static double share_of(dr_dtype t)
{
    double tf32 = 0.0;
    if (t == DR_F32 && dr_device_option(dr_device_current(), "tf32", &tf32) && tf32 > 0.0) return 4e-3;
    return t == DR_F32 ? 2e-4 : t == DR_F64 ? 1e-9 : t == DR_BF16 || t == DR_F16 ? 4 * eps_of(t) : 0.0;
}

static double largest(const double *x, int64_t n)
{
    double most = 0.0;
    for (int64_t i = 0; i < n; i++) {
        if (fabs(x[i]) > most) most = fabs(x[i]);
    }
    return most;
}

static double *doubles_of(dr_tensor *t)
{
    double *x = malloc(((size_t)elements(t) + 1) * sizeof *x);
    if (!x) dr_fail(DR_ENOMEM, "diff-devices: out of memory");
    if (x && dr_tensor_read(t, DR_F64, x) == DR_OK) return x;
    free(x);
    return NULL;
}

/* What rounding may do to a sum of the inputs that comes out as nothing. */
static double floor_of(dr_tensor *const *in, int n_in, const dr_tensor *y)
{
    double least = INFINITY;
    int64_t most = 1;
    for (int i = 0; i < n_in && i < DR_OP_MAX_IN; i++) {
        if (!in[i] || eps_of((dr_dtype)in[i]->view.dtype) == 0.0) continue;
        double *x = doubles_of(in[i]);
        if (!x) return 0.0;
        const double size = largest(x, elements(in[i]));
        free(x);
        if (size < least) least = size;
        if (elements(in[i]) > most) most = elements(in[i]);
    }
    const double terms = elements(y) > 0 ? (double)most / (double)elements(y) : 1.0;
    return least < INFINITY ? 8 * eps_of((dr_dtype)y->view.dtype) * sqrt(terms > 1.0 ? terms : 1.0) * least : 0.0;
}

static double distance(double a, double b)
{
    if (a == b || (isnan(a) && isnan(b))) return 0.0;
    return isfinite(a) && isfinite(b) ? fabs(a - b) : INFINITY;
}

/* told[elements(t)]: what the other device has there. */
static difference compare(const message *m, dr_tensor *t, const double *told, dr_tensor *const *in, int n_in,
                          bool mutates)
{
    difference f = { 0 };
    char text[128];
    double *own = doubles_of(t);
    const int64_t n = elements(t);
    const dr_dtype type = (dr_dtype)t->view.dtype;
    for (int64_t i = 0; i < n && own; i++) {
        const double off = distance(own[i], told[i]);
        if (off > f.off) f.off = off;
    }
    f.largest = largest(told, n);
    f.allowed = share_of(type) * f.largest;
    if (f.off > f.allowed && own && !mutates) f.allowed += floor_of(in, n_in, t);
    snprintf(f.op, sizeof f.op, "%s", m->op);
    snprintf(f.place, sizeof f.place, "%s", m->place);
    snprintf(f.what, sizeof f.what, "%s", dr_view_text(&t->view, text, sizeof text));
    free(own);
    return f;
}

static void note(const difference *f)
{
    d.results++;
    if (f->off > f->allowed) {
        if (d.differ < SHOWN) d.found[d.differ] = *f;
        d.differ++;
    } else if (f->off * d.worst.allowed > d.worst.off * f->allowed || d.worst.op[0] == '\0') {
        d.worst = *f;
    }
}

static void go_apart(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void go_apart(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(d.why, sizeof d.why, format, args);
    va_end(args);
    d.apart = d.ended = true;
    dr_fail(DR_EINTERRUPTED, "diff-devices: %s", d.why);
}

static void go_on_alone(const char *op)
{
    d.alone = true;
    go_apart("the other device's process ended before %s at %s", op, dr_error_place());
}

static void compare_one(const message *m, dr_tensor *t, dr_tensor *const *in, int n_in, bool mutates)
{
    shape_on_pipe s;
    const shape_on_pipe own = shape_of(t);
    if (!receive(&s, sizeof s)) {
        go_on_alone(m->op);
        return;
    }
    if (memcmp(&s, &own, sizeof s) != 0) {
        go_apart("%s at %s has another shape on the other device", m->op, m->place);
        return;
    }
    if (s.bytes == 0) return;
    void *raw = malloc((size_t)s.bytes);
    double *told = malloc((size_t)elements(t) * sizeof *told);
    if (!raw || !told) dr_fail(DR_ENOMEM, "diff-devices: out of memory");
    else if (!receive(raw, (size_t)s.bytes)) go_on_alone(m->op);
    if (!dr_failed()) {
        dr_convert(DR_F64, told, (dr_dtype)s.dtype, raw, elements(t));
        const difference f = compare(m, t, told, in, n_in, mutates);
        note(&f);
        if (f.off > 0.0) dr_tensor_write(t, (dr_dtype)s.dtype, raw);
    }
    free(raw);
    free(told);
}

static void compare_all(void *ctx, const dr_component *op, dr_tensor *const *in, int n_in, dr_tensor *const *out,
                        int n_out)
{
    (void)ctx;
    const given g = results_of(op, in, n_in, out, n_out);
    message m;
    if (!receive(&m, sizeof m) || m.magic != MAGIC) {
        go_on_alone(op->name);
        return;
    }
    if (m.kind == END || strcmp(m.op, op->name) != 0 || m.tensors != g.n) {
        go_apart("op %lld is %s at %s here, and %s at %s on the other device", (long long)d.ops + 1, op->name,
                 dr_error_place(), m.kind == END ? "the end" : m.op, m.place);
        return;
    }
    d.ops++;
    for (int i = 0; i < g.n && !dr_failed(); i++) compare_one(&m, g.tensor[i], in, n_in, g.tensor == in);
}

/* ---- beginning and end ------------------------------------------------------------------------------------------- */

static dr_status begin(int fd, int64_t steps, dr_apply_hook hook)
{
    d = (struct diff){ .fd = fd, .steps_left = steps };
    dr_set_apply_hook(hook, NULL);
    return DR_OK;
}

dr_status dr_diff_tell(int fd, int64_t steps)
{
    begin(fd, steps, tell);
    d.tells = true;
    return DR_OK;
}

dr_status dr_diff_compare(int fd, int64_t steps)
{
    begin(fd, steps, compare_all);
    d.compares = true;
    return DR_OK;
}

bool dr_diff_ended(void) { return d.ended; }

dr_status dr_diff_count_step(void)
{
    if (!d.tells && !d.compares) return DR_OK;
    d.steps++;
    if (--d.steps_left > 0) return DR_OK;
    d.ended = true;
    return dr_fail(DR_EINTERRUPTED, "diff-devices: %lld steps have been compared", (long long)d.steps);
}

static void print_difference(FILE *to, const difference *f)
{
    fprintf(to, "%-44s %-24s %-24s %11.3g %11.3g %11.3g\n", f->place[0] ? f->place : "-", f->op, f->what, f->off,
            f->largest, f->allowed);
}

static void print_found(FILE *to, const char *device, const char *other)
{
    fprintf(to, "%s differs from %s in %lld of %lld results of %lld ops, each of the same inputs on both; first in these:\n",
            device, other, (long long)d.differ, (long long)d.results, (long long)d.ops);
    fprintf(to, "%-44s %-24s %-24s %11s %11s %11s\n", "layer", "op", "result", "off by", "of up to", "allowed");
    for (int64_t i = 0; i < d.differ && i < SHOWN; i++) print_difference(to, &d.found[i]);
    if (d.differ > SHOWN) fprintf(to, "and %lld more\n", (long long)(d.differ - SHOWN));
}

dr_diff_result dr_diff_finish(FILE *to, const char *device, const char *other)
{
    dr_diff_result result = DR_DIFF_SAME;
    dr_set_apply_hook(NULL, NULL);
    message m = message_of(END, "the end", 0);
    if (d.tells) {
        (void)!write(d.fd, &m, sizeof m); /* nobody may be there any more */
    } else {
        if (!d.apart && (!receive(&m, sizeof m) || m.kind != END)) {
            d.apart = true;
            snprintf(d.why, sizeof d.why, "the other device's process did more, or failed");
            d.alone = m.kind != RESULT;
        }
        if (d.differ > 0) print_found(to, device, other);
        if (d.apart) fprintf(to, "%s and %s do not run the same: %s\n", device, other, d.why);
        result = d.alone ? DR_DIFF_ALONE : d.apart ? DR_DIFF_APART : d.differ > 0 ? DR_DIFF_DIFFER : DR_DIFF_SAME;
    }
    if (d.compares && result == DR_DIFF_SAME) {
        fprintf(to, "%s and %s agree: %lld results of %lld ops, %lld steps\n", device, other, (long long)d.results,
                (long long)d.ops, (long long)d.steps);
        if (d.worst.off > 0.0) {
            fprintf(to, "nearest to what is allowed: %s at %s, %s off by %.3g of up to %.3g, %.3g allowed\n",
                    d.worst.op, d.worst.place[0] ? d.worst.place : "-", d.worst.what, d.worst.off, d.worst.largest,
                    d.worst.allowed);
        }
    }
    close(d.fd);
    d.tells = d.compares = false;
    return result;
}
