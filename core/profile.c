/* profile.c: what each kernel takes. A hook in launch.c times every launch; its sums are kept by op and shapes, and,
 * where a file is given, trace.c writes each launch and each phase of the host. The device is waited for before and
 * after each kernel, so that a step takes longer than it does without. While no profile is open none of this runs. */
#include "trace.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROWS = 2048, SLOTS = 4096, PHASES = 64, SHOWN = 12, REPEATS = 64 };

typedef struct phase {
    char name[64];
    double start;
} phase;

static struct profile {
    bool open;
    double start, seconds;
    int repeat;
    dr_profile_row *row; /* [ROWS]; the last one is for all others */
    int64_t n_rows;
    int32_t slot[SLOTS]; /* hash of op and shapes -> row + 1 */
    phase phases[PHASES];
    int depth;
} p;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* kernels may be launched beside the main thread */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- sums by op and shapes --------------------------------------------------------------------------------------- */
static size_t add_text(char *to, size_t size, size_t n, const char *text)
{
    if (n + 1 >= size) return n;
    snprintf(to + n, size - n, "%s", text);
    return n + strlen(to + n);
}

static size_t add_views(char *to, size_t size, size_t n, const dr_view *v, int count)
{
    enum { MOST = 6 }; /* an optimizer's step has hundreds */
    char text[128];
    for (int i = 0; i < count && i < MOST; i++) {
        n = add_text(to, size, n, n > 0 ? " " : "");
        n = add_text(to, size, n, v[i].rank < 0 ? "-" : dr_view_text(&v[i], text, sizeof text));
    }
    if (count <= MOST) return n;
    snprintf(text, sizeof text, " and %d more", count - MOST);
    return add_text(to, size, n, text);
}

static bool mutates(const char *op)
{
    const dr_component *c = dr_component_find("op", op);
    if (!c) dr_error_clear();
    return !c || (((const dr_op *)c->iface)->flags & DR_OP_MUTATES) != 0;
}

/* What chooses the kernel: x, or the output where there is no input. An optimizer's step begins with f64 scalars. */
static const char *dtype_of(const dr_kargs *a)
{
    const int first = a->n_in > 1 && mutates(a->op) ? 1 : 0;
    const dr_view *v = a->n_in > 0 ? &a->in[first] : a->n_out > 0 ? &a->out[0] : NULL;
    return v && v->rank >= 0 ? dr_dtype_name((dr_dtype)v->dtype) : "-";
}

static void describe(const dr_launch *l, dr_profile_row *row)
{
    const dr_kargs *a = &l->args;
    snprintf(row->op, sizeof row->op, "%s", a->op);
    row->shapes[0] = '\0';
    size_t n = add_views(row->shapes, sizeof row->shapes, 0, a->in, a->n_in);
    if (a->n_out > 0) {
        n = add_text(row->shapes, sizeof row->shapes, n, n > 0 ? " ->" : "->");
        add_views(row->shapes, sizeof row->shapes, n, a->out, a->n_out);
    }
    snprintf(row->dtype, sizeof row->dtype, "%s", dtype_of(a));
}

static uint32_t hash(uint32_t h, const char *text) /* FNV-1a */
{
    for (; *text; text++) h = (h ^ (unsigned char)*text) * 16777619u;
    return h;
}

static dr_profile_row *find_row(const dr_profile_row *like)
{
    uint32_t i = hash(hash(2166136261u, like->op), like->shapes) % SLOTS;
    for (; p.slot[i] > 0; i = (i + 1) % SLOTS) {
        dr_profile_row *row = &p.row[p.slot[i] - 1];
        if (strcmp(row->op, like->op) == 0 && strcmp(row->shapes, like->shapes) == 0) return row;
    }
    if (p.n_rows >= ROWS - 1) {
        p.n_rows = ROWS;
        dr_profile_row *row = &p.row[ROWS - 1];
        snprintf(row->op, sizeof row->op, "others");
        return row;
    }
    dr_profile_row *row = &p.row[p.n_rows++];
    p.slot[i] = (int32_t)p.n_rows;
    *row = *like;
    return row;
}

/* ---- launches ---------------------------------------------------------------------------------------------------- */
static bool writes_in_place(const dr_kargs *a)
{
    for (int i = 0; i < a->n_in; i++) {
        for (int j = 0; j < a->n_out; j++) {
            if (a->in[i].data == a->out[j].data) return true;
        }
    }
    return mutates(a->op);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A kernel is a function of its views, so it may run again: the median of its times, the first one with them. */
static double repeated(const dr_launch *l, double seconds, double *least)
{
    double t[REPEATS + 1] = { seconds };
    int n = 1;
    for (; n <= p.repeat; n++) {
        const double start = now();
        l->kernel(&l->args);
        dr_device_sync(l->device);
        t[n] = now() - start;
    }
    qsort(t, (size_t)n, sizeof *t, by_size);
    *least = t[0];
    return t[n / 2];
}

static void on_launch(void *ctx, const dr_launch *l, double start, double seconds)
{
    (void)ctx;
    if (dr_failed()) return;
    double least = seconds, counted = seconds;
    if (p.repeat > 0 && !writes_in_place(&l->args)) counted = repeated(l, seconds, &least);
    const double flop = dr_launch_flop(l), bytes = dr_launch_bytes(l);
    dr_profile_row like = { .least = 1e30 };
    describe(l, &like);
    pthread_mutex_lock(&lock);
    dr_profile_row *row = find_row(&like);
    row->calls++;
    row->seconds += counted;
    row->flop += flop;
    row->bytes += bytes;
    if (least < row->least) row->least = least;
    dr_trace_kernel(&(dr_trace_event){ .op = like.op, .shapes = like.shapes, .dtype = like.dtype,
                                       .device = dr_device_name(l->device), .start = start, .seconds = seconds,
                                       .flop = flop, .bytes = bytes });
    pthread_mutex_unlock(&lock);
}

/* ---- phases of the host ------------------------------------------------------------------------------------------ */
int dr_profile_begin(const char *name)
{
    if (!p.open) return -1;
    if (p.depth < PHASES) {
        snprintf(p.phases[p.depth].name, sizeof p.phases[0].name, "%s", name);
        p.phases[p.depth].start = now();
    }
    return p.depth++;
}

void dr_profile_end(int phase)
{
    if (!p.open || phase < 0) return;
    const double end = now();
    pthread_mutex_lock(&lock);
    while (p.depth > phase) {
        p.depth--;
        if (p.depth < PHASES) dr_trace_phase(p.phases[p.depth].name, p.phases[p.depth].start, end);
    }
    pthread_mutex_unlock(&lock);
}

/* ---- the profile ------------------------------------------------------------------------------------------------- */
dr_status dr_profile_open(const char *path, int64_t events)
{
    if (p.open) return dr_fail(DR_EINVAL, "profile: one is open");
    const double start = now();
    if (path && dr_trace_open(path, events, start) != DR_OK) return dr_failed();
    free(p.row);
    p = (struct profile){ .open = true, .start = start, .row = calloc(ROWS, sizeof *p.row) };
    if (!p.row) {
        p.open = false;
        dr_trace_close(start);
        return dr_fail(DR_ENOMEM, "profile: out of memory");
    }
    dr_set_launch_hook(on_launch, NULL);
    return DR_OK;
}

dr_status dr_profile_close(void)
{
    if (!p.open) return DR_OK;
    dr_profile_end(0);
    dr_set_launch_hook(NULL, NULL);
    p.open = false;
    const double end = now();
    p.seconds = end - p.start;
    return dr_trace_close(end);
}

bool dr_profile_is_open(void) { return p.open; }
void dr_profile_repeat(int times) { p.repeat = times < 0 ? 0 : times > REPEATS ? REPEATS : times; }
int64_t dr_profile_count(void) { return p.n_rows; }
const dr_profile_row *dr_profile_at(int64_t i) { return i >= 0 && i < p.n_rows ? &p.row[i] : NULL; }

/* ---- summary: by op ---------------------------------------------------------------------------------------------- */
static int by_seconds(const void *a, const void *b)
{
    const double x = ((const dr_profile_row *)a)->seconds, y = ((const dr_profile_row *)b)->seconds;
    return (x < y) - (x > y);
}

void dr_profile_summary(FILE *to)
{
    dr_profile_row *sum = calloc(ROWS, sizeof *sum);
    int64_t n = 0, calls = 0;
    double total = 0.0;
    for (int64_t i = 0; sum && i < p.n_rows; i++) {
        int64_t k = 0;
        while (k < n && strcmp(sum[k].op, p.row[i].op) != 0) k++;
        if (k == n) sum[n++] = (dr_profile_row){ 0 };
        memcpy(sum[k].op, p.row[i].op, sizeof sum[k].op);
        sum[k].calls += p.row[i].calls;
        sum[k].seconds += p.row[i].seconds;
        sum[k].flop += p.row[i].flop;
        sum[k].bytes += p.row[i].bytes;
        total += p.row[i].seconds;
        calls += p.row[i].calls;
    }
    if (!sum) return;
    qsort(sum, (size_t)n, sizeof *sum, by_seconds);
    const double seconds = p.open ? now() - p.start : p.seconds;
    fprintf(to, "profile: %lld launches took %.3f s of %.3f s (%.1f%%); the rest is the host's\n", (long long)calls,
            total, seconds, seconds > 0 ? 100 * total / seconds : 0);
    if (n > 0) fprintf(to, "%-26s %9s %11s %7s %9s %7s\n", "kernel", "calls", "ms", "share", "GFLOP/s", "GB/s");
    for (int64_t i = 0; i < n && i < SHOWN; i++) {
        const double s = sum[i].seconds > 0 ? sum[i].seconds : 1e-9;
        fprintf(to, "%-26s %9lld %11.1f %6.1f%% ", sum[i].op, (long long)sum[i].calls, 1e3 * sum[i].seconds,
                100 * s / (total > 0 ? total : 1));
        if (sum[i].flop > 0) {
            fprintf(to, "%9.0f ", 1e-9 * sum[i].flop / s);
        } else {
            fprintf(to, "%9s ", "");
        }
        fprintf(to, "%7.1f\n", 1e-9 * sum[i].bytes / s);
    }
    if (n > SHOWN) fprintf(to, "and %lld more\n", (long long)(n - SHOWN));
    free(sum);
}
