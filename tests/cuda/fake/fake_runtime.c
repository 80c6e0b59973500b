/* fake_runtime.c: CUDA's runtime without a GPU: a device, copies, streams, events, graphs. A stream does its work at once;
 * while it is captured, work becomes nodes of a graph. A stream that waits for an event of the capture joins it. Each launch
 * does the nodes in the order that differs most from that of the capture, of those that streams and events allow: what
 * relies on more than these is found by its numbers. A node remembers which allocations it was made with: a launch after
 * one was freed is a violation. */
#include "fake.h"
#include "cuda_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM = 0x57524541, EVENT = 0x45564e54, GRAPH = 0x47524146, EXEC = 0x45584543 };

enum { TAIL = 64, JOINED = 32 };

struct node;
typedef struct tail { /* the nodes that what comes next on a stream, or waits for an event, follows */
    struct node *v[TAIL];
    int n;
} tail;

typedef struct node {
    const char *name;
    tail after;
    bool done; /* while nodes are put in order */
    void (*run)(void *closure);
    void *closure;
    int uses;
    int64_t *serial; /* [uses] */
    struct node *next;
} node;

struct CUgraph_st {
    int magic;
    node *first, **last;
    int nodes, owners; /* a graph and each of its executables */
};
struct CUgraphExec_st {
    int magic;
    cudaGraph_t graph;
    node **order; /* [graph->nodes] */
};
struct CUstream_st {
    int magic;
    cudaGraph_t capturing;
    enum cudaStreamCaptureMode mode;
    bool ruined; /* something was called that may not be while it is captured */
    tail tail;
};
struct CUevent_st {
    int magic;
    bool recorded, captured, timed;
    tail tail;
};

static cudaStream_t captured;         /* at most one at a time */
static cudaStream_t joined[JOINED];   /* those that have joined it, and the graph that all make */
static int joined_count;
static cudaError_t last_error, sticky;
static int devices = 1, devices_error, driver_version = 13000;

/* ---- errors ----------------------------------------------------------------------------------------------------------- */

cudaError_t fake_result(cudaError_t error)
{
    if (error != cudaSuccess) last_error = error;
    return error;
}

cudaError_t fake_last_error(bool clear)
{
    const cudaError_t error = sticky != cudaSuccess ? sticky : last_error;
    if (clear) last_error = cudaSuccess;
    return error;
}

cudaError_t fake_sticky(void) { return sticky; }
void fake_make_sticky(cudaError_t error) { sticky = error; }

static cudaError_t wrong(const char *call, const char *what) /* a violation, as an error */
{
    fake_violation("%s: %s", call, what);
    return fake_result(cudaErrorInvalidValue);
}

/* What each call begins with: the error that it returns at once, if it does. */
static cudaError_t begin(const char *call, cudaError_t if_chosen)
{
    if (fake_call(call)) return fake_result(if_chosen);
    return sticky;
}

#define BEGIN(if_chosen) \
    const cudaError_t first = begin(__func__ + 5, if_chosen); \
    if (first != cudaSuccess) return first

/* While a stream is captured in the global mode, these may not be called: they would wait for it. */
static cudaError_t not_while_capturing(const char *call)
{
    if (!captured || captured->mode == cudaStreamCaptureModeRelaxed) return cudaSuccess;
    captured->ruined = true;
    fake_violation("%s while a stream is captured", call);
    return fake_result(cudaErrorStreamCaptureUnsupported);
}

static cudaError_t fake_cudaGetLastError(void) { return fake_last_error(true); }
static cudaError_t fake_cudaPeekAtLastError(void) { return fake_last_error(false); }

static const char *fake_cudaGetErrorName(cudaError_t error)
{
    switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorLaunchOutOfResources: return "cudaErrorLaunchOutOfResources";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    default: return "cudaErrorUnknown";
    }
}

static const char *fake_cudaGetErrorString(cudaError_t error) { return fake_cudaGetErrorName(error); }

/* ---- the device --------------------------------------------------------------------------------------------------------- */

void fake_devices(int n, int error, int driver)
{
    devices = n;
    devices_error = error;
    driver_version = driver;
}

static cudaError_t fake_cudaGetDeviceCount(int *n)
{
    BEGIN(cudaErrorNoDevice);
    *n = devices_error ? 0 : devices;
    return fake_result((cudaError_t)devices_error);
}

static cudaError_t fake_cudaSetDevice(int device)
{
    BEGIN(cudaErrorDevicesUnavailable);
    return device >= 0 && device < devices ? cudaSuccess : fake_result(cudaErrorInvalidDevice);
}

static cudaError_t fake_cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    BEGIN(cudaErrorInvalidDevice);
    if (device < 0 || device >= devices) return fake_result(cudaErrorInvalidDevice);
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "emulated");
    p->major = 9;
    p->minor = 0;
    p->multiProcessorCount = 132;
    p->totalGlobalMem = (size_t)80 << 30;
    p->sharedMemPerBlock = 48 << 10;
    p->sharedMemPerBlockOptin = 232448;
    p->sharedMemPerMultiprocessor = 233472;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsPerMultiProcessor = 2048;
    p->warpSize = 32;
    p->l2CacheSize = 50 << 20;
    return cudaSuccess;
}

static cudaError_t fake_cudaDriverGetVersion(int *version)
{
    *version = driver_version;
    return cudaSuccess;
}

static cudaError_t fake_cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

/* ---- memory ------------------------------------------------------------------------------------------------------------- */

static cudaError_t fake_cudaMemGetInfo(size_t *left, size_t *all)
{
    BEGIN(cudaErrorUnknown);
    fake_memory_info(left, all);
    return cudaSuccess;
}

static cudaError_t fake_cudaMalloc(void **memory, size_t bytes)
{
    BEGIN(cudaErrorMemoryAllocation);
    const cudaError_t error = not_while_capturing("cudaMalloc");
    return error ? error : fake_result(fake_malloc(memory, bytes, FAKE_DEVICE));
}

/* A call that frees does so even where it is to fail: what is left in the process is the same as after a success. */
static cudaError_t fake_cudaFree(void *memory)
{
    const cudaError_t chosen = begin("cudaFree", cudaErrorUnknown), capturing = not_while_capturing("cudaFree");
    if (capturing) return capturing;
    const cudaError_t error = fake_result(fake_free(memory, FAKE_DEVICE));
    return chosen ? chosen : error;
}

static cudaError_t fake_cudaHostAlloc(void **memory, size_t bytes, unsigned flags)
{
    (void)flags;
    BEGIN(cudaErrorMemoryAllocation);
    const cudaError_t error = not_while_capturing("cudaHostAlloc");
    return error ? error : fake_result(fake_malloc(memory, bytes, FAKE_PINNED));
}

static cudaError_t fake_cudaFreeHost(void *memory)
{
    const cudaError_t chosen = begin("cudaFreeHost", cudaErrorUnknown), capturing = not_while_capturing("cudaFreeHost");
    if (capturing) return capturing;
    const cudaError_t error = fake_result(fake_free(memory, FAKE_PINNED));
    return chosen ? chosen : error;
}

/* ---- streams and what is queued ------------------------------------------------------------------------------------- */

static bool is_stream(cudaStream_t s, const char *call)
{
    if (s && s->magic == STREAM) return true;
    wrong(call, s ? "no stream that lives" : "the default stream; all work belongs on the device's own");
    return false;
}

/* Any word of the closure that points into an allocation says that the node uses it. */
static void note_uses(node *n, size_t bytes)
{
    for (size_t at = 0; at + sizeof(void *) <= bytes; at += sizeof(void *)) {
        void *word;
        memcpy(&word, (char *)n->closure + at, sizeof word);
        const int64_t serial = fake_serial(word);
        if (serial) n->serial[n->uses++] = serial;
    }
}

static void free_node(node *n)
{
    free(n->closure);
    free(n->serial);
    free(n);
}

static node *new_node(const char *name, void (*run)(void *), const void *closure, size_t bytes)
{
    node *n = calloc(1, sizeof *n);
    if (!n) abort();
    n->name = name;
    n->run = run;
    n->closure = malloc(bytes ? bytes : 1);
    n->serial = calloc(bytes / sizeof(void *) + 1, sizeof *n->serial);
    if (!n->closure || !n->serial) abort(); /* the test's own memory */
    memcpy(n->closure, closure, bytes);
    note_uses(n, bytes);
    return n;
}

void fake_submit(cudaStream_t s, const char *name, void (*run)(void *closure), const void *closure, size_t bytes)
{
    if (!is_stream(s, name)) return;
    node *n = new_node(name, run, closure, bytes);
    if (s->capturing) {
        n->after = s->tail;
        s->tail = (tail){ { n }, 1 };
        *s->capturing->last = n;
        s->capturing->last = &n->next;
        s->capturing->nodes++;
        return;
    }
    n->run(n->closure);
    free_node(n);
}

typedef struct transfer {
    void *to;
    const void *from;
    size_t bytes;
    int value;
} transfer;

static void run_copy(void *closure)
{
    const transfer *t = closure;
    memmove(t->to, t->from, t->bytes);
}

static void run_set(void *closure)
{
    const transfer *t = closure;
    memset(t->to, t->value, t->bytes);
}

static const char *wrong_side(const void *p, size_t bytes, bool device, bool capturing)
{
    if (device) return fake_on_device(p, bytes) ? NULL : "a side that should be on the device is not within live memory there";
    if (fake_touches(p, bytes, FAKE_DEVICE)) return "a side that should be on the host is on the device";
    if (fake_touches(p, bytes, FAKE_PINNED) && !fake_inside(p, bytes, FAKE_PINNED)) return "it runs over the end of pinned memory";
    if (capturing && !fake_inside(p, bytes, FAKE_PINNED)) return "a graph's copy needs pinned memory";
    return NULL;
}

static cudaError_t fake_cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t s)
{
    BEGIN(cudaErrorInvalidValue);
    if (!is_stream(s, "cudaMemcpyAsync")) return cudaErrorInvalidValue;
    if (kind != cudaMemcpyHostToDevice && kind != cudaMemcpyDeviceToHost && kind != cudaMemcpyDeviceToDevice)
        return wrong("cudaMemcpyAsync", "the direction is not given");
    if (bytes == 0) return cudaSuccess;
    const bool capturing = s->capturing != NULL;
    const char *problem = wrong_side(to, bytes, kind != cudaMemcpyDeviceToHost, capturing);
    if (!problem) problem = wrong_side(from, bytes, kind != cudaMemcpyHostToDevice, capturing);
    if (problem) return wrong("cudaMemcpyAsync", problem);
    const transfer t = { to, from, bytes, 0 };
    fake_submit(s, "cudaMemcpyAsync", run_copy, &t, sizeof t);
    return cudaSuccess;
}

static cudaError_t fake_cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t s)
{
    BEGIN(cudaErrorInvalidValue);
    if (!is_stream(s, "cudaMemsetAsync")) return cudaErrorInvalidValue;
    if (bytes == 0) return cudaSuccess;
    if (!fake_on_device(to, bytes)) return wrong("cudaMemsetAsync", "not within live memory on the device");
    const transfer t = { to, NULL, bytes, value };
    fake_submit(s, "cudaMemsetAsync", run_set, &t, sizeof t);
    return cudaSuccess;
}

static cudaError_t fake_cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags)
{
    (void)flags;
    BEGIN(cudaErrorMemoryAllocation);
    *s = calloc(1, sizeof **s);
    if (!*s) return fake_result(cudaErrorMemoryAllocation);
    (*s)->magic = STREAM;
    fake_alive("stream", 1);
    return cudaSuccess;
}

static void drop_graph(cudaGraph_t g);

static void add_tail(tail *to, const tail *from)
{
    for (int i = 0; i < from->n; i++) {
        bool there = false;
        for (int k = 0; k < to->n && !there; k++) there = to->v[k] == from->v[i];
        if (there) continue;
        if (to->n == TAIL) abort();
        to->v[to->n++] = from->v[i];
    }
}

static cudaError_t fake_cudaStreamDestroy(cudaStream_t s)
{
    const cudaError_t chosen = begin("cudaStreamDestroy", cudaErrorUnknown);
    if (!is_stream(s, "cudaStreamDestroy")) return cudaErrorInvalidValue;
    if (s->capturing) {
        fake_violation("cudaStreamDestroy: the stream is captured");
        drop_graph(s->capturing);
        captured = NULL;
    }
    s->magic = 0;
    free(s);
    fake_alive("stream", -1);
    return chosen;
}

static cudaError_t fake_cudaStreamSynchronize(cudaStream_t s)
{
    if (fake_call("cudaStreamSynchronize")) fake_make_sticky(cudaErrorLaunchFailure); /* an earlier kernel failed */
    if (sticky) return sticky;
    if (!is_stream(s, "cudaStreamSynchronize")) return cudaErrorInvalidValue;
    if (!s->capturing) return cudaSuccess;
    s->ruined = true;
    fake_violation("cudaStreamSynchronize: the stream is captured");
    return fake_result(cudaErrorStreamCaptureUnsupported);
}

/* ---- events ----------------------------------------------------------------------------------------------------------- */

static bool is_event(cudaEvent_t e, const char *call)
{
    if (e && e->magic == EVENT) return true;
    wrong(call, "no event that lives");
    return false;
}

static cudaError_t fake_cudaEventCreateWithFlags(cudaEvent_t *e, unsigned flags)
{
    BEGIN(cudaErrorMemoryAllocation);
    *e = calloc(1, sizeof **e);
    if (!*e) return fake_result(cudaErrorMemoryAllocation);
    **e = (struct CUevent_st){ .magic = EVENT, .timed = !(flags & cudaEventDisableTiming) };
    fake_alive("event", 1);
    return cudaSuccess;
}

static cudaError_t fake_cudaEventDestroy(cudaEvent_t e)
{
    const cudaError_t chosen = begin("cudaEventDestroy", cudaErrorUnknown);
    if (!is_event(e, "cudaEventDestroy")) return cudaErrorInvalidValue;
    e->magic = 0;
    free(e);
    fake_alive("event", -1);
    return chosen;
}

static cudaError_t fake_cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    BEGIN(cudaErrorInvalidValue);
    if (!is_event(e, "cudaEventRecord") || !is_stream(s, "cudaEventRecord")) return cudaErrorInvalidValue;
    e->recorded = true;
    e->captured = s->capturing != NULL;
    e->tail = s->tail;
    return cudaSuccess;
}

static cudaError_t fake_cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned flags)
{
    (void)flags;
    BEGIN(cudaErrorInvalidValue);
    if (!is_event(e, "cudaStreamWaitEvent") || !is_stream(s, "cudaStreamWaitEvent")) return cudaErrorInvalidValue;
    if (!e->recorded) return wrong("cudaStreamWaitEvent", "the event was never recorded");
    if (!e->captured && !s->capturing) return cudaSuccess;
    if (!e->captured || !captured) return wrong("cudaStreamWaitEvent", "one is of a capture, and the other is not");
    if (!s->capturing) {
        if (joined_count == JOINED) abort();
        joined[joined_count++] = s;
        s->capturing = captured->capturing;
        s->mode = captured->mode;
        s->ruined = false;
        s->tail.n = 0;
    }
    add_tail(&s->tail, &e->tail);
    return cudaSuccess;
}

static cudaError_t wait_for(cudaEvent_t e, const char *call)
{
    if (!is_event(e, call)) return cudaErrorInvalidValue;
    if (e->captured) return wrong(call, "the event was recorded in a capture");
    return e->recorded ? cudaSuccess : wrong(call, "the event was never recorded");
}

static cudaError_t fake_cudaEventQuery(cudaEvent_t e)
{
    BEGIN(cudaErrorUnknown);
    return wait_for(e, "cudaEventQuery");
}

static cudaError_t fake_cudaEventSynchronize(cudaEvent_t e)
{
    if (fake_call("cudaEventSynchronize")) fake_make_sticky(cudaErrorLaunchFailure);
    if (sticky) return sticky;
    return wait_for(e, "cudaEventSynchronize");
}

static cudaError_t fake_cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    BEGIN(cudaErrorUnknown);
    *ms = 0.01f;
    if (wait_for(from, "cudaEventElapsedTime") || wait_for(to, "cudaEventElapsedTime")) return cudaErrorInvalidValue;
    return from->timed && to->timed ? cudaSuccess : wrong("cudaEventElapsedTime", "an event without timing");
}

/* ---- graphs ----------------------------------------------------------------------------------------------------------- */

static cudaError_t fake_cudaStreamBeginCapture(cudaStream_t s, enum cudaStreamCaptureMode mode)
{
    BEGIN(cudaErrorUnknown);
    if (!is_stream(s, "cudaStreamBeginCapture")) return cudaErrorInvalidValue;
    if (captured) return wrong("cudaStreamBeginCapture", "a stream is captured already");
    cudaGraph_t g = calloc(1, sizeof *g);
    if (!g) return fake_result(cudaErrorMemoryAllocation);
    g->magic = GRAPH;
    g->last = &g->first;
    g->owners = 1;
    s->capturing = g;
    s->mode = mode;
    s->ruined = false;
    s->tail.n = 0;
    captured = s;
    return cudaSuccess;
}

static void drop_graph(cudaGraph_t g)
{
    if (--g->owners > 0) return;
    for (node *n = g->first, *next; n; n = next) {
        next = n->next;
        free_node(n);
    }
    g->magic = 0;
    free(g);
}

static void mark_before(const tail *t)
{
    for (int i = 0; i < t->n; i++) {
        if (t->v[i]->done) continue;
        t->v[i]->done = true;
        mark_before(&t->v[i]->after);
    }
}

/* Do all streams that have joined end in the first one? */
static bool comes_together(cudaGraph_t g, const tail *end)
{
    for (node *n = g->first; n; n = n->next) n->done = false;
    mark_before(end);
    for (node *n = g->first; n; n = n->next) {
        if (!n->done) return false;
    }
    return true;
}

static bool leave_capture(void) /* was anything called that may not be? */
{
    bool ruined = false;
    for (int i = 0; i < joined_count; i++) {
        ruined = ruined || joined[i]->ruined;
        joined[i]->capturing = NULL;
        joined[i]->tail.n = 0;
    }
    joined_count = 0;
    captured = NULL;
    return ruined;
}

/* The capture ends even where the call fails. */
static cudaError_t fake_cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g)
{
    const cudaError_t chosen = begin("cudaStreamEndCapture", cudaErrorStreamCaptureInvalidated);
    *g = NULL;
    if (!is_stream(s, "cudaStreamEndCapture")) return cudaErrorInvalidValue;
    if (!s->capturing) return wrong("cudaStreamEndCapture", "the stream is not captured");
    cudaGraph_t made = s->capturing;
    s->capturing = NULL;
    const bool ruined = leave_capture(), whole = comes_together(made, &s->tail);
    s->tail.n = 0;
    if (!whole) wrong("cudaStreamEndCapture", "a stream that joined does not end in this one");
    if (chosen || s->ruined || ruined || !whole) {
        drop_graph(made);
        return chosen ? chosen : fake_result(cudaErrorStreamCaptureInvalidated);
    }
    *g = made;
    fake_alive("graph", 1);
    return cudaSuccess;
}

static bool is_graph(cudaGraph_t g, const char *call)
{
    if (g && g->magic == GRAPH) return true;
    wrong(call, "no graph that lives");
    return false;
}

static bool is_exec(cudaGraphExec_t e, const char *call)
{
    if (e && e->magic == EXEC) return true;
    wrong(call, "no graph that lives");
    return false;
}

static bool is_ready(const node *n)
{
    for (int i = 0; i < n->after.n; i++) {
        if (!n->after.v[i]->done) return false;
    }
    return !n->done;
}

/* Of the nodes that may be next, the one that was captured last. */
static node **order_of(cudaGraph_t g)
{
    node **order = calloc((size_t)g->nodes + 1, sizeof *order);
    if (!order) abort();
    for (node *n = g->first; n; n = n->next) n->done = false;
    for (int i = 0; i < g->nodes; i++) {
        for (node *n = g->first; n; n = n->next) {
            if (is_ready(n)) order[i] = n;
        }
        order[i]->done = true;
    }
    return order;
}

static cudaError_t fake_cudaGraphInstantiate(cudaGraphExec_t *e, cudaGraph_t g, unsigned long long flags)
{
    (void)flags;
    BEGIN(cudaErrorMemoryAllocation);
    if (!is_graph(g, "cudaGraphInstantiate")) return cudaErrorInvalidValue;
    *e = calloc(1, sizeof **e);
    if (!*e) return fake_result(cudaErrorMemoryAllocation);
    (*e)->magic = EXEC;
    (*e)->graph = g;
    (*e)->order = order_of(g);
    g->owners++;
    fake_alive("executable graph", 1);
    return cudaSuccess;
}

static cudaError_t fake_cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s)
{
    BEGIN(cudaErrorLaunchFailure);
    if (!is_exec(e, "cudaGraphLaunch") || !is_stream(s, "cudaGraphLaunch")) return cudaErrorInvalidValue;
    if (s->capturing) return wrong("cudaGraphLaunch", "the stream is captured");
    for (int k = 0; k < e->graph->nodes && !sticky; k++) {
        const node *n = e->order[k];
        for (int i = 0; i < n->uses; i++) {
            if (fake_lives(n->serial[i])) continue;
            fake_violation("cudaGraphLaunch: %s uses memory that was freed since it was captured", n->name);
            return fake_result(cudaErrorIllegalAddress);
        }
        n->run(n->closure);
    }
    return cudaSuccess;
}

static cudaError_t fake_cudaGraphExecDestroy(cudaGraphExec_t e)
{
    const cudaError_t chosen = begin("cudaGraphExecDestroy", cudaErrorUnknown);
    if (!is_exec(e, "cudaGraphExecDestroy")) return cudaErrorInvalidValue;
    drop_graph(e->graph);
    free(e->order);
    e->magic = 0;
    free(e);
    fake_alive("executable graph", -1);
    return chosen;
}

static cudaError_t fake_cudaGraphDestroy(cudaGraph_t g)
{
    const cudaError_t chosen = begin("cudaGraphDestroy", cudaErrorUnknown);
    if (!is_graph(g, "cudaGraphDestroy")) return cudaErrorInvalidValue;
    drop_graph(g);
    fake_alive("graph", -1);
    return chosen;
}

static cudaError_t fake_cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t *nodes, size_t *n)
{
    BEGIN(cudaErrorUnknown);
    if (!is_graph(g, "cudaGraphGetNodes")) return cudaErrorInvalidValue;
    if (nodes) return wrong("cudaGraphGetNodes", "the fake counts nodes and does not list them");
    *n = (size_t)g->nodes;
    return cudaSuccess;
}

/* ---- the table -------------------------------------------------------------------------------------------------------- */

void fake_runtime_calls(dr_cuda_calls *calls)
{
#define FAKE_(name) calls->name = fake_##name;
    DR_CUDA_RUNTIME_CALLS(FAKE_)
#undef FAKE_
}
