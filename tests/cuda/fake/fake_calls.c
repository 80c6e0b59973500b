/* fake_calls.c: the table of fake calls, the record of those made, failures on demand, and what was done wrong. When the
 * process ends, violations and what was not freed make its exit status 99. Environment: DRIFT_FAKE_FAIL_AT=n,
 * DRIFT_FAKE_LATE=1. */
#include "fake.h"
#include "cuda_calls.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REMEMBERED = 1 << 16, KINDS = 32 };

static const char *name_of[REMEMBERED]; /* string literals, the latest call of its number modulo the size */
static int64_t calls_made, fail_at;     /* fail_at counts as calls_made does */
static bool failed;
static int violations;
static struct {
    const char *what;
    int count;
} alive[KINDS];

/* ---- the table ------------------------------------------------------------------------------------------------------ */

static dr_cuda_calls table;

dr_cuda_calls *dr_cuda_calls_table(void)
{
    static bool filled;
    const char *n = getenv("DRIFT_FAKE_FAIL_AT");
    if (!filled && n) fake_fail_at(strtoll(n, NULL, 10));
    if (!filled) fake_runtime_calls(&table);
    if (!filled && getenv("DRIFT_FAKE_LATE")) fake_late(true);
    filled = true;
    return &table;
}

dr_status dr_cuda_open_libraries(dr_cuda_calls *calls)
{
    if (fake_call("dr_cuda_open_libraries")) return dr_fail(DR_EUNSUPPORTED, "backend cuda: libcudnn.so.9 is not there");
    if (fake_cudnn_calls) fake_cudnn_calls(calls);
    if (fake_cublaslt_calls) fake_cublaslt_calls(calls);
    return DR_OK;
}

/* ---- the record ------------------------------------------------------------------------------------------------------- */

bool fake_call(const char *name)
{
    name_of[calls_made++ % REMEMBERED] = name;
    if (fail_at == 0 || calls_made != fail_at) return false;
    failed = true;
    return true;
}

void fake_fail_at(int64_t n)
{
    fail_at = n > 0 ? calls_made + n : 0;
    failed = false;
}

bool fake_has_failed(void) { return failed; }
int64_t fake_count(void) { return calls_made; }

const char *fake_name_of(int64_t i)
{
    return i < 0 || i >= calls_made || i < calls_made - REMEMBERED ? NULL : name_of[i % REMEMBERED];
}

void fake_forget(void)
{
    calls_made = 0;
    fail_at = 0;
    failed = false;
    fake_make_sticky(cudaSuccess);
    (void)fake_last_error(true);
}

/* ---- what was done wrong ---------------------------------------------------------------------------------------------- */

void fake_violation(const char *format, ...)
{
    char text[800];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "fake CUDA: %s\n", text);
    violations++;
}

int fake_violations(void) { return violations; }
void fake_expect_violations(void) { violations = 0; }

void fake_alive(const char *what, int change)
{
    int i = 0;
    while (i < KINDS - 1 && alive[i].what && strcmp(alive[i].what, what) != 0) i++;
    alive[i].what = what;
    alive[i].count += change;
    if (alive[i].count < 0) fake_violation("more %ss destroyed than made", what);
}

int fake_leaks(void)
{
    int leaks = fake_memory_leaks();
    for (int i = 0; i < KINDS && alive[i].what; i++) {
        if (alive[i].count > 0) fprintf(stderr, "fake CUDA: never destroyed: %d of %s\n", alive[i].count, alive[i].what);
        leaks += alive[i].count > 0 ? alive[i].count : 0;
    }
    return leaks;
}

__attribute__((destructor)) static void report_at_end(void)
{
    if (fake_leaks() == 0 && violations == 0) return;
    fprintf(stderr, "fake CUDA: %d violations, or leaks: see above\n", violations);
    fflush(NULL);
    _exit(99);
}
