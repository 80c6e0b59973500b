/* memory.c: of every component: a use of it leaves nothing behind, neither tensors nor blocks of malloc nor open
 * files; and where memory runs out, the device's or its own, it says so or works. */
#include "memory.h"

#include "kinds.h"
#include "tensor.h"

#include <fcntl.h>
#include <math.h>
#include <time.h>

const check_memory *check_memory_of;

/* Garbage goes, and what the device keeps of freed tensors for others. */
static void settle(void)
{
    if (check_collected_bytes) check_collected_bytes();
    dr_device_trim(dr_device_current());
}

static size_t device_bytes(void)
{
    size_t in_use = 0;
    if (check_collected_bytes) check_collected_bytes(); /* garbage may hold tensors */
    dr_device_memory(dr_device_current(), &in_use, NULL, NULL);
    return in_use;
}

static int64_t open_files(void)
{
    int64_t n = 0;
    for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void use_and_forget(const dr_component *c)
{
    use_results out;
    use_or_skip(c, &out);
    use_results_free(&out);
}

static int64_t blocks_left(const dr_component *c, char *text, size_t bytes)
{
    check_memory_of->watch(true);
    use_and_forget(c);
    settle();
    const int64_t left = check_memory_of->left();
    if (text) check_memory_of->describe(text, bytes);
    check_memory_of->watch(false);
    return left;
}

/* Tables of a collected language grow in jumps: many uses tell them from what each use leaves. */
static void check_collected(const dr_component *c)
{
    enum { USES = 12, JUMP = 512 };
    use_and_forget(c);
    const int64_t before = check_collected_bytes();
    for (int k = 0; k < USES; k++) use_and_forget(c);
    const int64_t left = check_collected_bytes() - before;
    expect(left <= JUMP,
           "each use leaves about %lld bytes behind that are no garbage: what keeps values of an earlier call?",
           (long long)left / USES);
}

/* The first uses may make what lasts: tables, caches. */
void check_nothing_left(const dr_component *c)
{
    enum { CYCLES = 3 };
    use_and_forget(c);
    use_and_forget(c);
    settle();
    const size_t before = device_bytes();
    const int64_t files = open_files();
    for (int k = 0; k < CYCLES; k++) use_and_forget(c);
    settle();
    const size_t after = device_bytes();
    expect(after <= before, "each use leaves %.1f KiB of tensors behind: is there a dr_keep without its dr_release?",
           (double)(after - before) / 1024.0 / CYCLES);
    expect(open_files() <= files, "each use leaves files open");
    if (check_collected_bytes) {
        check_collected(c);
        return;
    }
    if (!check_memory_of) return;
    char text[1024] = "";
    settle();
    if (blocks_left(c, NULL, 0) == 0) return;
    const int64_t left = blocks_left(c, text, sizeof text);
    expect(left == 0, "each use leaves memory behind: %s", text);
}

/* ---- out of memory ----------------------------------------------------------------------------------------------- */

static void *(*real_alloc)(void *self, size_t bytes);
static int64_t allocations, refused_from; /* 0: none */

static void *short_alloc(void *self, size_t bytes)
{
    if (++allocations >= refused_from && refused_from > 0) return NULL;
    return real_alloc(self, bytes);
}

/* Right, or an error that says so. */
static void expect_honest(const dr_component *c, const use_results *right, const use_results *now, const char *what,
                          int64_t nth)
{
    const int64_t at = now->status ? -1 : use_first_difference(right, now, 0.0);
    (void)c;
    if (now->status) {
        expect(dr_error_message()[0] != '\0', "where %s %lld is refused there is an error without a message", what,
               (long long)nth);
        dr_error_clear();
        return;
    }
    expect(at < 0, "where %s %lld is refused it goes on with wrong numbers, and says nothing", what, (long long)nth);
}

/* Of n allocations as many are refused, one at a time, as there is time for: a data set may take long to open. */
enum { TRIES = 60, FEW_TRIES = 6, SECONDS = 4 };
static double seconds_of_a_use;

static double now_in_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int64_t stride_of(int64_t n)
{
    const double most = check_in_own_process ? TRIES : FEW_TRIES;
    const int64_t tries = (int64_t)fmax(1.0, fmin(most, SECONDS / fmax(1e-6, seconds_of_a_use)));
    return n <= tries ? 1 : (n + tries - 1) / tries;
}

static void device_runs_out(const dr_component *c, const use_results *right)
{
    dr_device *d = dr_device_current();
    use_results now;
    real_alloc = d->api_read.alloc;
    d->api_read.alloc = short_alloc;
    dr_device_trim(d);
    allocations = refused_from = 0;
    component_use(c, &now);
    use_results_free(&now);
    const int64_t n = allocations;
    const size_t before = device_bytes();
    for (int64_t k = 1; k <= n; k += stride_of(n)) {
        dr_device_trim(d);
        allocations = 0, refused_from = k;
        component_use(c, &now);
        refused_from = 0;
        expect_honest(c, right, &now, "the device's allocation", k);
        use_results_free(&now);
        expect(device_bytes() <= before,
               "where the device's allocation %lld is refused, %.1f KiB of tensors are left behind", (long long)k,
               (double)(device_bytes() - before) / 1024.0);
    }
    d->api_read.alloc = real_alloc;
}

static void plugin_runs_out(const dr_component *c, const use_results *right)
{
    use_results now;
    char text[1024];
    check_memory_of->refuse(0);
    component_use(c, &now);
    use_results_free(&now);
    const int64_t n = check_memory_of->asked();
    for (int64_t k = 1; k <= n; k += stride_of(n)) {
        for (int twice = 0; twice < 2; twice++) { /* what the first leaves behind may be what lasts */
            check_memory_of->watch(true);
            check_memory_of->refuse(k);
            component_use(c, &now);
            check_memory_of->refuse(0);
            expect_honest(c, right, &now, "its malloc", k);
            use_results_free(&now);
        }
        settle();
        const int64_t left = check_memory_of->left();
        check_memory_of->describe(text, sizeof text);
        check_memory_of->watch(false);
        expect(left == 0, "where its malloc %lld is refused, memory is left behind: %s", (long long)k, text);
    }
}

void check_out_of_memory(const dr_component *c)
{
    use_results right;
    use_or_skip(c, &right);
    const double start = now_in_seconds();
    use_and_forget(c);
    seconds_of_a_use = now_in_seconds() - start;
    device_runs_out(c, &right);
    if (check_memory_of) plugin_runs_out(c, &right);
    use_results now;
    use_or_skip(c, &now);
    const int64_t at = use_first_difference(&right, &now, 0.0);
    expect(at < 0, "after memory had run out its numbers are others");
    use_results_free(&now);
    use_results_free(&right);
}
