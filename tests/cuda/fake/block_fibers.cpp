/* block_fibers.cpp: runs a kernel's blocks, one after another, each thread as a fiber with a stack of its own. A thread runs
 * until it ends or waits; the last one to come to a barrier lets the others go on. Threads that have ended count as
 * arrived, as on a GPU. If all wait and nothing can go on, or a barrier is reached in two places at once, that is reported
 * with the kernel's name. Fibers are kept and used again: a thread that waits for nothing costs two jumps. */
#include "emulated.h"
#include "fake.h"

#include <cstdlib>
#include <new>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#else
static void __sanitizer_start_switch_fiber(void **, const void *, size_t) { }
static void __sanitizer_finish_switch_fiber(void *, const void **, size_t *) { }
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

enum { STACK = 256 << 10, GUARD = 4096 };

enum thread_state { READY, AT_BARRIER, AT_WARP, ENDED };

typedef void *place[5]; /* of GCC's own jumps, which neither ask the system nor tell AddressSanitizer to clear stacks */

struct fiber {
    place at;
    void *stack, *shadow;
    bool entered;
};

struct thread {
    thread_state state;
    fiber *own; /* NULL: not begun */
    uint3 index;
    const char *file;
    int line, lane, warp;
    int predicate, all;
    dr_warp_operation operation;
    unsigned mask;
    int source;
    uint64_t value;
};

static struct {
    const char *kernel;
    void (*run)(const void *);
    const void *arguments;
    std::vector<thread> threads;
    void *shared;
    thread *now;
    int ended, at_barrier;
} block;

static place scheduler;
static void *scheduler_shadow;
static const void *scheduler_stack;
static size_t scheduler_bytes;
static std::vector<fiber *> idle;

/* ---- fibers ----------------------------------------------------------------------------------------------------------- */

__attribute__((noinline, no_sanitize("address"))) static void jump_to(place to) { __builtin_longjmp(to, 1); }
static void (*volatile jump)(place to) = jump_to; /* before a call that is seen to never return, stacks would be cleared */

__attribute__((noinline)) static void leave(fiber *f) /* to the scheduler; returns when the fiber is entered again */
{
    if (__builtin_setjmp(f->at) == 0) {
        __sanitizer_start_switch_fiber(&f->shadow, scheduler_stack, scheduler_bytes);
        jump(scheduler);
    }
    __sanitizer_finish_switch_fiber(f->shadow, &scheduler_stack, &scheduler_bytes);
}

static void thread_ended(thread *t);

static void fiber_main(void)
{
    __sanitizer_finish_switch_fiber(NULL, &scheduler_stack, &scheduler_bytes);
    for (;;) {
        thread *t = block.now;
        fiber *own = t->own;
        block.run(block.arguments);
        thread_ended(t);
        idle.push_back(own);
        leave(own);
    }
}

static fiber *new_fiber(void) /* it lies above its stack, below which is a page that may not be touched */
{
    char *memory = (char *)mmap(NULL, GUARD + STACK + GUARD, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) abort();
    mprotect(memory, GUARD, PROT_NONE);
    fiber *f = new (memory + GUARD + STACK) fiber();
    f->stack = memory + GUARD;
    return f;
}

static void enter_first(fiber *f)
{
    static ucontext_t context; /* read once, by the jump */
    f->entered = true;
    getcontext(&context);
    context.uc_stack.ss_sp = f->stack;
    context.uc_stack.ss_size = STACK;
    context.uc_link = NULL;
    makecontext(&context, fiber_main, 0);
    setcontext(&context);
}

__attribute__((noinline)) static void enter(thread *t)
{
    if (!t->own && idle.empty()) idle.push_back(new_fiber());
    if (!t->own) {
        t->own = idle.back();
        idle.pop_back();
    }
    block.now = t;
    threadIdx = t->index;
    if (__builtin_setjmp(scheduler) == 0) {
        __sanitizer_start_switch_fiber(&scheduler_shadow, t->own->stack, STACK);
        if (t->own->entered) jump(t->own->at);
        enter_first(t->own);
    }
    __sanitizer_finish_switch_fiber(scheduler_shadow, NULL, NULL);
}

/* ---- waiting ---------------------------------------------------------------------------------------------------------- */

static void misuse(const thread *a, const thread *b, const char *what)
{
    fake_violation("kernel %s, block (%u,%u,%u): thread (%u,%u,%u) is at %s:%d, thread (%u,%u,%u) at %s:%d: %s", block.kernel,
                   blockIdx.x, blockIdx.y, blockIdx.z, a->index.x, a->index.y, a->index.z, a->file, a->line, b->index.x,
                   b->index.y, b->index.z, b->file, b->line, what);
}

static void barrier_may_open(void)
{
    if (block.at_barrier == 0 || block.at_barrier + block.ended < (int)block.threads.size()) return;
    const thread *first = NULL;
    int yes = 0, here = 0;
    for (const thread &t : block.threads) {
        if (t.state == ENDED) continue;
        if (!first) first = &t;
        if (t.line != first->line || (t.file != first->file && strcmp(t.file, first->file) != 0)) {
            misuse(first, &t, "__syncthreads in two places at once");
        }
        yes += t.predicate != 0;
        here++;
    }
    block.at_barrier = 0;
    for (thread &t : block.threads) {
        if (t.state == ENDED) continue;
        t.state = READY;
        t.predicate = yes;
        t.all = here;
    }
}

int dr_emulated_barrier(int predicate, int *all, const char *file, int line)
{
    thread *t = block.now;
    t->state = AT_BARRIER;
    t->predicate = predicate;
    t->file = file;
    t->line = line;
    block.at_barrier++;
    barrier_may_open();
    if (t->state != READY) leave(t->own);
    *all = t->all;
    return t->predicate;
}

static uint64_t warp_result(const thread *warp, int lanes, const thread *t)
{
    if (t->operation == DR_WARP_SHUFFLE) {
        const bool there = t->source < lanes && (t->mask >> t->source & 1) && warp[t->source].state != ENDED;
        return there ? warp[t->source].value : ~(uint64_t)0; /* not a number, where nothing was promised */
    }
    uint64_t set = 0;
    for (int i = 0; i < lanes; i++) {
        if ((t->mask >> i & 1) && warp[i].state != ENDED && warp[i].value) set |= (uint64_t)1 << i;
    }
    return set;
}

/* Lets the lanes go on that wait for one another with `first`, if they are all there. */
static void warp_may_go_on(const thread *first)
{
    thread *warp = &block.threads[32 * (size_t)first->warp];
    const int rest = (int)block.threads.size() - 32 * first->warp, lanes = rest < 32 ? rest : 32;
    const unsigned mask = first->mask;
    for (int i = 0; i < lanes; i++) {
        if (!(mask >> i & 1) || warp[i].state == ENDED) continue;
        if (warp[i].state != AT_WARP || warp[i].mask != mask) return;
    }
    uint64_t result[32];
    for (int i = 0; i < lanes; i++) {
        if (!(mask >> i & 1) || warp[i].state == ENDED) continue;
        if (warp[i].line != first->line || warp[i].operation != first->operation)
            misuse(first, &warp[i], "lanes of one mask at different warp operations");
        result[i] = warp_result(warp, lanes, &warp[i]);
    }
    for (int i = 0; i < lanes; i++) {
        if (!(mask >> i & 1) || warp[i].state == ENDED) continue;
        warp[i].value = result[i];
        warp[i].state = READY;
    }
}

static void thread_ended(thread *t)
{
    t->state = ENDED;
    block.ended++;
    barrier_may_open();
    for (size_t i = 32 * (size_t)t->warp; i < block.threads.size() && i < 32 * (size_t)t->warp + 32; i++) {
        if (block.threads[i].state == AT_WARP) warp_may_go_on(&block.threads[i]);
    }
}

uint64_t dr_emulated_warp(dr_warp_operation operation, unsigned mask, uint64_t value, int source, const char *file, int line)
{
    thread *t = block.now;
    if (!(mask >> t->lane & 1)) {
        fake_violation("kernel %s: %s:%d: lane %d calls with the mask %08x, which lacks it", block.kernel, file, line,
                       t->lane, mask);
        return value;
    }
    t->operation = operation;
    t->mask = mask;
    t->value = value;
    t->source = source;
    t->file = file;
    t->line = line;
    t->state = AT_WARP;
    warp_may_go_on(t);
    if (t->state != READY) leave(t->own);
    return t->value;
}

int dr_emulated_lane(void) { return block.now->lane; }
void *dr_emulated_shared(void) { return block.shared; }

/* ---- blocks ----------------------------------------------------------------------------------------------------------- */

static bool backwards(void)
{
    static int order = -1;
    if (order < 0) {
        const char *asked = getenv("DRIFT_CUDA_EMULATED_ORDER");
        order = asked && strcmp(asked, "reverse") == 0;
    }
    return order != 0;
}

static void report_standstill(void)
{
    const thread *first = NULL, *other = NULL;
    for (const thread &t : block.threads) {
        if (t.state == ENDED) continue;
        if (!first) first = &t;
        if (t.state != first->state || t.line != first->line || t.mask != first->mask) other = &t;
    }
    misuse(first, other ? other : first, "they wait for one another for ever");
}

static bool run_block(void)
{
    const int n = (int)block.threads.size();
    block.ended = 0;
    block.at_barrier = 0;
    for (thread &t : block.threads) {
        t.state = READY;
        t.own = NULL;
    }
    while (block.ended < n) {
        bool ran = false;
        for (int k = 0; k < n; k++) {
            thread *t = &block.threads[backwards() ? n - 1 - k : k];
            if (t->state != READY) continue;
            enter(t);
            ran = true;
        }
        if (!ran) {
            report_standstill(); /* its fibers stay where they are: they are not used again */
            return false;
        }
    }
    return true;
}

static void make_threads(dim3 size)
{
    const int n = (int)(size.x * size.y * size.z);
    block.threads.assign((size_t)n, thread());
    for (int i = 0; i < n; i++) {
        thread *t = &block.threads[(size_t)i];
        t->index = make_uint3((unsigned)i % size.x, (unsigned)i / size.x % size.y, (unsigned)i / size.x / size.y);
        t->lane = i % 32;
        t->warp = i / 32;
    }
}

struct recorded { /* and after it the arguments and the ranges */
    dr_emulated_launch_of launch;
    const char *kernel;
    size_t arguments, ranges; /* where they begin */
    int n_ranges;
};

static void run_blocks(const recorded *r)
{
    const dim3 grid = r->launch.grid;
    const int64_t blocks = (int64_t)grid.x * grid.y * grid.z;
    block.kernel = r->kernel;
    block.run = r->launch.thread;
    block.arguments = (const char *)r + r->arguments;
    blockDim = r->launch.block;
    gridDim = grid;
    make_threads(blockDim);
    for (int64_t k = 0; k < blocks; k++) {
        const int64_t i = backwards() ? blocks - 1 - k : k;
        blockIdx = make_uint3((unsigned)(i % grid.x), (unsigned)(i / grid.x % grid.y), (unsigned)(i / grid.x / grid.y));
        block.shared = r->launch.shared ? malloc(r->launch.shared) : NULL;
        if (block.shared) memset(block.shared, 0xff, r->launch.shared);
        const bool well = run_block();
        free(block.shared);
        if (well) continue;
        fake_make_sticky(cudaErrorLaunchFailure);
        return;
    }
}

static void run_grid(void *closure)
{
    const recorded *r = (const recorded *)closure;
    const fake_range *range = (const fake_range *)((const char *)r + r->ranges);
    fake_fence(range, r->n_ranges);
    run_blocks(r);
    fake_unfence(range, r->n_ranges);
}

static bool possible(const dr_emulated_launch_of *l)
{
    const dim3 g = l->grid, b = l->block;
    const bool blocks = g.x > 0 && g.y > 0 && g.z > 0 && g.x <= 0x7fffffffu && g.y <= 65535 && g.z <= 65535;
    const bool threads = b.x > 0 && b.y > 0 && b.z > 0 && b.x <= 1024 && b.y <= 1024 && b.z <= 64 &&
                         (uint64_t)b.x * b.y * b.z <= 1024;
    return blocks && threads && l->shared <= 232448;
}

/* From the first to the last byte that an element of the view lies in. */
static fake_range range_of(const dr_view *v)
{
    static const int64_t sizes[DR_DTYPE_COUNT] = { 4, 8, 2, 2, 4, 8, 1, 1 }; /* f32 f64 bf16 f16 i32 i64 u8 bool */
    int64_t first = 0, last = 0;
    for (int d = 0; d < v->rank; d++) {
        const int64_t step = (v->shape[d] - 1) * v->stride[d];
        if (v->shape[d] == 0) return fake_range{ NULL, NULL };
        first += step < 0 ? step : 0;
        last += step > 0 ? step : 0;
    }
    const char *data = (const char *)v->data;
    return fake_range{ data + first * sizes[v->dtype], data + (last + 1) * sizes[v->dtype] };
}

static recorded *record(const dr_kargs *a, const char *kernel, const dr_emulated_launch_of *launch, const void *arguments,
                        size_t bytes, size_t *all)
{
    const size_t unit = alignof(max_align_t), head = (sizeof(recorded) + unit - 1) / unit * unit;
    const size_t ranges = head + (bytes + unit - 1) / unit * unit;
    *all = ranges + (size_t)(a->n_in + a->n_out) * sizeof(fake_range);
    recorded *r = (recorded *)calloc(1, *all);
    if (!r) abort();
    *r = recorded{ *launch, kernel, head, ranges, 0 };
    memcpy((char *)r + head, arguments, bytes);
    fake_range *range = (fake_range *)((char *)r + ranges);
    for (int i = 0; i < a->n_in + a->n_out; i++) {
        const dr_view *v = i < a->n_in ? &a->in[i] : &a->out[i - a->n_in];
        if (v->rank < 0 || !v->data) continue;
        const fake_range of_view = range_of(v);
        if (of_view.from) range[r->n_ranges++] = of_view;
    }
    return r;
}

void dr_emulated_submit(const dr_kargs *a, const char *kernel, const dr_emulated_launch_of *launch, const void *arguments,
                        size_t bytes)
{
    if (fake_call(kernel)) {
        (void)fake_result(cudaErrorLaunchOutOfResources);
        return;
    }
    if (fake_sticky() != cudaSuccess) {
        (void)fake_result(fake_sticky());
        return;
    }
    if (!possible(launch)) {
        fake_violation("kernel %s: grid (%u,%u,%u), block (%u,%u,%u), %zu bytes of shared memory cannot be launched", kernel,
                       launch->grid.x, launch->grid.y, launch->grid.z, launch->block.x, launch->block.y, launch->block.z,
                       launch->shared);
        (void)fake_result(cudaErrorInvalidConfiguration);
        return;
    }
    size_t all;
    recorded *r = record(a, kernel, launch, arguments, bytes, &all);
    fake_submit(dr_cuda_stream(a), kernel, run_grid, r, all);
    free(r);
}
