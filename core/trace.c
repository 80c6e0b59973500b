/* trace.c: a Chrome trace (chrome://tracing, ui.perfetto.dev; "Trace Event Format"): one complete event per launch of
 * a kernel and per phase of the host. Memory is bounded: events go to the file in blocks, and no more of them than a
 * limit. Each block is written together with the end of the document, which the next one overwrites, so the file is
 * valid JSON at any time, also where the process is killed. */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 1 << 16, LONGEST_EVENT = 4096, HOST_LANE = 1 };

static struct trace {
    int fd;
    double start;
    char *path, *text; /* text [BLOCK]: events that are not in the file yet */
    size_t n_text;
    off_t at; /* where the next block goes */
    bool any; /* events so far: a comma is due */
    int64_t events, limit, left_out;
    int lanes, error; /* errno of the first write that failed */
    int generation;   /* how many traces there were: a thread's lane is of one of them */
} t = { .fd = -1 };

static _Thread_local int lane, lane_generation; /* of this thread's kernels */

static void write_at(const char *text, size_t n, off_t at)
{
    while (n > 0 && !t.error) {
        const ssize_t done = pwrite(t.fd, text, n, at);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) {
            t.error = errno;
            return;
        }
        text += done;
        at += done;
        n -= (size_t)done;
    }
}

static void flush(void)
{
    static const char end[] = "\n]}\n";
    const size_t n = t.n_text;
    memcpy(t.text + n, end, sizeof end - 1);
    write_at(t.text, n + sizeof end - 1, t.at);
    t.at += (off_t)n;
    t.n_text = 0;
}

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void put(const char *format, ...)
{
    if (t.n_text + LONGEST_EVENT > BLOCK) flush();
    va_list arguments;
    va_start(arguments, format);
    const int n = vsnprintf(t.text + t.n_text, LONGEST_EVENT, format, arguments);
    va_end(arguments);
    if (n > 0 && n < LONGEST_EVENT) t.n_text += (size_t)n;
}

static const char *comma(void)
{
    const char *text = t.any ? ",\n" : "\n";
    t.any = true;
    return text;
}

static void name_lane(int number, const char *name)
{
    put("%s{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":1,\"tid\":%d,\"args\":{\"name\":\"%s\"}}", comma(), number,
        name);
}

static bool event_allowed(void)
{
    if (t.fd < 0) return false;
    if (t.events < t.limit) return ++t.events > 0;
    t.left_out++;
    return false;
}

static double micros(double time) { return 1e6 * (time - t.start); }

void dr_trace_kernel(const dr_trace_event *e)
{
    if (!event_allowed()) return;
    if (lane_generation != t.generation) { /* a thread's first kernel */
        lane_generation = t.generation;
        lane = HOST_LANE + ++t.lanes;
        name_lane(lane, t.lanes == 1 ? "kernels" : "kernels of another thread");
    }
    put("%s{\"ph\":\"X\",\"cat\":\"kernel\",\"name\":\"%s\",\"pid\":1,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,"
        "\"args\":{\"shapes\":\"%s\",\"dtype\":\"%s\",\"device\":\"%s\",\"flop\":%.0f,\"bytes\":%.0f}}",
        comma(), e->op, lane, micros(e->start), 1e6 * e->seconds, e->shapes, e->dtype, e->device, e->flop, e->bytes);
}

void dr_trace_phase(const char *name, double start, double end)
{
    if (!event_allowed()) return;
    json_t *text = json_string(name); /* NULL: not UTF-8 */
    char *quoted = text ? json_dumps(text, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) : NULL;
    put("%s{\"ph\":\"X\",\"cat\":\"host\",\"name\":%s,\"pid\":1,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f}", comma(),
        quoted ? quoted : "\"?\"", HOST_LANE, micros(start), 1e6 * (end - start));
    free(quoted);
    json_decref(text);
}

static void release(void)
{
    if (t.fd >= 0) close(t.fd);
    free(t.path);
    free(t.text);
    t = (struct trace){ .fd = -1, .generation = t.generation };
}

static dr_status failed(const char *path, int number)
{
    release();
    return dr_fail(DR_EIO, "profile: %s cannot be written: %s", path, strerror(number));
}

dr_status dr_trace_open(const char *path, int64_t events, double start)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return failed(path, errno);
    t = (struct trace){ .fd = fd, .start = start, .limit = events, .generation = t.generation + 1, .path = strdup(path),
                        .text = malloc(BLOCK + 16) };
    if (!t.path || !t.text) return failed(path, ENOMEM);
    put("{\"displayTimeUnit\":\"ms\",\"otherData\":{\"program\":\"drift %s\"},\"traceEvents\":[", DR_VERSION);
    put("%s{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":1,\"args\":{\"name\":\"drift\"}}", comma());
    name_lane(HOST_LANE, "host");
    flush();
    return t.error ? failed(path, t.error) : DR_OK;
}

dr_status dr_trace_close(double end)
{
    if (t.fd < 0) return DR_OK;
    if (t.left_out > 0) {
        put("%s{\"ph\":\"i\",\"s\":\"g\",\"cat\":\"host\",\"name\":\"%lld further events are left out\",\"pid\":1,"
            "\"tid\":%d,\"ts\":%.3f}",
            comma(), (long long)t.left_out, HOST_LANE, micros(end));
        dr_note("profile: %s has the first %lld events; %lld further ones count in the sums only", t.path,
                (long long)t.events, (long long)t.left_out);
    }
    flush();
    if (!t.error) {
        release();
        return DR_OK;
    }
    char path[512];
    snprintf(path, sizeof path, "%s", t.path);
    return failed(path, t.error);
}
