/* fake_streams.c: streams, events and graphs of the fake runtime. A stream that waits for an event of a capture joins it. Each
 * launch does a graph's nodes in the order that differs most from that of the capture, of those that streams and events
 * allow: what relies on more than these is found by its numbers. */
#include "fake_queue.h"

#include <stdlib.h>

cudaStream_t fake_captured;
static cudaStream_t joined[JOINED];   /* those that have joined it, and the graph that all make */
static int joined_count;

/* ---- streams ---------------------------------------------------------------------------------------------------------- */

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
    const cudaError_t chosen = fake_begin("cudaStreamDestroy", cudaErrorUnknown);
    if (!fake_is_stream(s, "cudaStreamDestroy")) return cudaErrorInvalidValue;
    if (s->capturing) {
        fake_violation("cudaStreamDestroy: the stream is captured");
        drop_graph(s->capturing);
        fake_captured = NULL;
    }
    fake_finish(fake_queued);
    s->magic = 0;
    free(s);
    fake_alive("stream", -1);
    return chosen;
}

static cudaError_t fake_cudaStreamSynchronize(cudaStream_t s)
{
    if (fake_call("cudaStreamSynchronize")) fake_make_sticky(cudaErrorLaunchFailure); /* an earlier kernel failed */
    if (fake_sticky()) return fake_sticky();
    if (!fake_is_stream(s, "cudaStreamSynchronize")) return cudaErrorInvalidValue;
    if (!s->capturing) fake_finish(fake_queued);
    if (!s->capturing) return fake_sticky();
    s->ruined = true;
    fake_violation("cudaStreamSynchronize: the stream is captured");
    return fake_result(cudaErrorStreamCaptureUnsupported);
}

/* ---- events ----------------------------------------------------------------------------------------------------------- */

static bool is_event(cudaEvent_t e, const char *call)
{
    if (e && e->magic == EVENT) return true;
    fake_wrong(call, "no event that lives");
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
    const cudaError_t chosen = fake_begin("cudaEventDestroy", cudaErrorUnknown);
    if (!is_event(e, "cudaEventDestroy")) return cudaErrorInvalidValue;
    e->magic = 0;
    free(e);
    fake_alive("event", -1);
    return chosen;
}

static cudaError_t fake_cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    BEGIN(cudaErrorInvalidValue);
    if (!is_event(e, "cudaEventRecord") || !fake_is_stream(s, "cudaEventRecord")) return cudaErrorInvalidValue;
    e->recorded = true;
    e->position = fake_queued;
    e->captured = s->capturing != NULL;
    e->tail = s->tail;
    return cudaSuccess;
}

static cudaError_t fake_cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned flags)
{
    (void)flags;
    BEGIN(cudaErrorInvalidValue);
    if (!is_event(e, "cudaStreamWaitEvent") || !fake_is_stream(s, "cudaStreamWaitEvent")) return cudaErrorInvalidValue;
    if (!e->recorded) return fake_wrong("cudaStreamWaitEvent", "the event was never recorded");
    if (!e->captured && !s->capturing) return cudaSuccess;
    if (!e->captured || !fake_captured) return fake_wrong("cudaStreamWaitEvent", "one is of a capture, and the other is not");
    if (!s->capturing) {
        if (joined_count == JOINED) abort();
        joined[joined_count++] = s;
        s->capturing = fake_captured->capturing;
        s->mode = fake_captured->mode;
        s->ruined = false;
        s->tail.n = 0;
    }
    add_tail(&s->tail, &e->tail);
    return cudaSuccess;
}

static cudaError_t wait_for(cudaEvent_t e, const char *call)
{
    if (!is_event(e, call)) return cudaErrorInvalidValue;
    if (e->captured) return fake_wrong(call, "the event was recorded in a capture");
    return e->recorded ? cudaSuccess : fake_wrong(call, "the event was never recorded");
}

static cudaError_t fake_cudaEventQuery(cudaEvent_t e)
{
    BEGIN(cudaErrorUnknown);
    const cudaError_t error = wait_for(e, "cudaEventQuery");
    if (error || fake_finished >= e->position) return error;
    fake_finish(fake_finished + 1); /* who asks again and again gets there */
    return fake_result(cudaErrorNotReady);
}

static cudaError_t fake_cudaEventSynchronize(cudaEvent_t e)
{
    if (fake_call("cudaEventSynchronize")) fake_make_sticky(cudaErrorLaunchFailure);
    if (fake_sticky()) return fake_sticky();
    const cudaError_t error = wait_for(e, "cudaEventSynchronize");
    if (!error) fake_finish(e->position);
    return error ? error : fake_sticky();
}

static cudaError_t fake_cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    BEGIN(cudaErrorUnknown);
    *ms = 0.01f;
    if (wait_for(from, "cudaEventElapsedTime") || wait_for(to, "cudaEventElapsedTime")) return cudaErrorInvalidValue;
    if (fake_finished < to->position) return fake_result(cudaErrorNotReady);
    return from->timed && to->timed ? cudaSuccess : fake_wrong("cudaEventElapsedTime", "an event without timing");
}

/* ---- graphs ----------------------------------------------------------------------------------------------------------- */

static cudaError_t fake_cudaStreamBeginCapture(cudaStream_t s, enum cudaStreamCaptureMode mode)
{
    BEGIN(cudaErrorUnknown);
    if (!fake_is_stream(s, "cudaStreamBeginCapture")) return cudaErrorInvalidValue;
    if (fake_captured) return fake_wrong("cudaStreamBeginCapture", "a stream is captured already");
    cudaGraph_t g = calloc(1, sizeof *g);
    if (!g) return fake_result(cudaErrorMemoryAllocation);
    g->magic = GRAPH;
    g->last = &g->first;
    g->owners = 1;
    s->capturing = g;
    s->mode = mode;
    s->ruined = false;
    s->tail.n = 0;
    fake_captured = s;
    return cudaSuccess;
}

static void drop_graph(cudaGraph_t g)
{
    if (--g->owners > 0) return;
    for (node *n = g->first, *next; n; n = next) {
        next = n->next;
        fake_free_node(n);
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
    fake_captured = NULL;
    return ruined;
}

/* The capture ends even where the call fails. */
static cudaError_t fake_cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g)
{
    const cudaError_t chosen = fake_begin("cudaStreamEndCapture", cudaErrorStreamCaptureInvalidated);
    *g = NULL;
    if (!fake_is_stream(s, "cudaStreamEndCapture")) return cudaErrorInvalidValue;
    if (!s->capturing) return fake_wrong("cudaStreamEndCapture", "the stream is not captured");
    cudaGraph_t made = s->capturing;
    s->capturing = NULL;
    const bool ruined = leave_capture(), whole = comes_together(made, &s->tail);
    s->tail.n = 0;
    if (!whole && !fake_has_failed()) /* else what was to join it may be the call that failed */
        fake_wrong("cudaStreamEndCapture", "a stream that joined does not end in this one");
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
    fake_wrong(call, "no graph that lives");
    return false;
}

static bool is_exec(cudaGraphExec_t e, const char *call)
{
    if (e && e->magic == EXEC) return true;
    fake_wrong(call, "no graph that lives");
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

static void run_graph(void *closure)
{
    const cudaGraphExec_t e = *(const cudaGraphExec_t *)closure;
    for (int k = 0; k < e->graph->nodes && fake_sticky() == cudaSuccess; k++) fake_run_node(e->order[k]);
}

static cudaError_t fake_cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t s)
{
    BEGIN(cudaErrorLaunchFailure);
    if (!is_exec(e, "cudaGraphLaunch") || !fake_is_stream(s, "cudaGraphLaunch")) return cudaErrorInvalidValue;
    if (s->capturing) return fake_wrong("cudaGraphLaunch", "the stream is captured");
    fake_submit(s, "cudaGraphLaunch", run_graph, &e, sizeof e);
    return fake_sticky();
}

static cudaError_t fake_cudaGraphExecDestroy(cudaGraphExec_t e)
{
    const cudaError_t chosen = fake_begin("cudaGraphExecDestroy", cudaErrorUnknown);
    if (!is_exec(e, "cudaGraphExecDestroy")) return cudaErrorInvalidValue;
    fake_finish(fake_queued); /* it may be among them */
    drop_graph(e->graph);
    free(e->order);
    e->magic = 0;
    free(e);
    fake_alive("executable graph", -1);
    return chosen;
}

static cudaError_t fake_cudaGraphDestroy(cudaGraph_t g)
{
    const cudaError_t chosen = fake_begin("cudaGraphDestroy", cudaErrorUnknown);
    if (!is_graph(g, "cudaGraphDestroy")) return cudaErrorInvalidValue;
    drop_graph(g);
    fake_alive("graph", -1);
    return chosen;
}

static cudaError_t fake_cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t *nodes, size_t *n)
{
    BEGIN(cudaErrorUnknown);
    if (!is_graph(g, "cudaGraphGetNodes")) return cudaErrorInvalidValue;
    if (nodes) return fake_wrong("cudaGraphGetNodes", "the fake counts nodes and does not list them");
    *n = (size_t)g->nodes;
    return cudaSuccess;
}

/* ---- the table -------------------------------------------------------------------------------------------------------- */

void fake_stream_calls(dr_cuda_calls *calls)
{
    calls->cudaStreamCreateWithFlags = fake_cudaStreamCreateWithFlags;
    calls->cudaStreamDestroy = fake_cudaStreamDestroy;
    calls->cudaStreamSynchronize = fake_cudaStreamSynchronize;
    calls->cudaEventCreateWithFlags = fake_cudaEventCreateWithFlags;
    calls->cudaEventDestroy = fake_cudaEventDestroy;
    calls->cudaEventRecord = fake_cudaEventRecord;
    calls->cudaStreamWaitEvent = fake_cudaStreamWaitEvent;
    calls->cudaEventQuery = fake_cudaEventQuery;
    calls->cudaEventSynchronize = fake_cudaEventSynchronize;
    calls->cudaEventElapsedTime = fake_cudaEventElapsedTime;
    calls->cudaStreamBeginCapture = fake_cudaStreamBeginCapture;
    calls->cudaStreamEndCapture = fake_cudaStreamEndCapture;
    calls->cudaGraphInstantiate = fake_cudaGraphInstantiate;
    calls->cudaGraphLaunch = fake_cudaGraphLaunch;
    calls->cudaGraphExecDestroy = fake_cudaGraphExecDestroy;
    calls->cudaGraphDestroy = fake_cudaGraphDestroy;
    calls->cudaGraphGetNodes = fake_cudaGraphGetNodes;
}
