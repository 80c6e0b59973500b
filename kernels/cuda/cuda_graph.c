/* cuda_graph.c: a plan's step as one CUDA graph. Between begin and end the stream is captured: kernels, copies, cuDNN's
 * and cuBLASLt's launches become nodes. Each lane is a stream that waits for events of other lanes where the host says
 * so, so that what is independent runs side by side. A graph owns the pinned bytes that its copies read. Where its random
 * streams begin is a word on the device, written before each launch. */
#include "cuda_graph.h"

#include <stdlib.h>

typedef struct memory {
    void *data;
    struct memory *next;
} memory;

struct dr_cuda_graph {
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    memory *pinned;
    cudaEvent_t *done;   /* [steps]: after each, while capturing; done[0] is the capture's beginning */
    int32_t steps, room; /* done[i + 1] belongs to step i */
    bool joined[DR_CUDA_LANES]; /* the lane is part of the capture */
};

/* ---- memory ------------------------------------------------------------------------------------------------------- */

static dr_status keep(memory **list, void *data)
{
    memory *m = malloc(sizeof *m);
    if (!m) return dr_fail(DR_ENOMEM, "backend cuda: out of memory");
    *m = (memory){ data, *list };
    *list = m;
    return DR_OK;
}

dr_status dr_cuda_keep_workspace(cuda *c, void *data) { return keep((memory **)&c->kept, data); }

void dr_cuda_free_kept(cuda *c)
{
    for (memory *m = c->kept, *next; m; m = next) {
        next = m->next;
        c->calls->cudaFree(m->data);
        free(m);
    }
    c->kept = NULL;
}

void *dr_cuda_graph_memory(cuda *c, size_t bytes)
{
    void *data = NULL;
    if (dr_cuda_error(c, c->calls->cudaHostAlloc(&data, bytes, cudaHostAllocPortable), "pinned memory of a graph") != DR_OK)
        return NULL;
    if (keep(&c->capturing->pinned, data) == DR_OK) return data;
    c->calls->cudaFreeHost(data);
    return NULL;
}

/* ---- lanes ---------------------------------------------------------------------------------------------------------- */

/* Notes in the current lane that all up to now is done. */
static cudaError_t mark(cuda *c, dr_cuda_graph *g)
{
    cudaEvent_t event = NULL;
    if (g->steps == g->room) {
        const int32_t room = g->room ? 2 * g->room : 256;
        cudaEvent_t *done = realloc(g->done, (size_t)room * sizeof *done);
        if (!done) return cudaErrorMemoryAllocation;
        g->done = done;
        g->room = room;
    }
    cudaError_t error = c->calls->cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    if (error != cudaSuccess) return error;
    g->done[g->steps++] = event;
    return c->calls->cudaEventRecord(event, c->stream);
}

/* What kernels of a lane use is the lane's own. */
static void use_lane(cuda *c, int32_t lane)
{
    c->lane = lane;
    c->stream = c->lanes[lane];
    c->arrivals = (uint32_t *)c->sample + 64 + lane * DR_ARRIVALS;
}

static cudaError_t enter(cuda *c, dr_cuda_graph *g, int32_t lane)
{
    cudaError_t error = cudaSuccess;
    if (!c->lanes[lane]) error = c->calls->cudaStreamCreateWithFlags(&c->lanes[lane], cudaStreamNonBlocking);
    if (error == cudaSuccess && !g->joined[lane]) error = c->calls->cudaStreamWaitEvent(c->lanes[lane], g->done[0], 0);
    if (error != cudaSuccess) return error;
    g->joined[lane] = true;
    use_lane(c, lane);
    return cudaSuccess;
}

dr_status dr_cuda_graph_step(void *self, int32_t lane, int32_t n, const int32_t *after)
{
    cuda *c = self;
    dr_cuda_graph *g = c->capturing;
    if (!g || lane < 0) return dr_fail(DR_EINTERNAL, "backend cuda: no graph is being captured");
    cudaError_t error = mark(c, g);
    if (error == cudaSuccess) error = enter(c, g, lane % DR_CUDA_LANES);
    for (int32_t i = 0; i < n && error == cudaSuccess; i++) {
        error = c->calls->cudaStreamWaitEvent(c->stream, g->done[after[i] + 1], 0);
    }
    return dr_cuda_error(c, error, "capturing a graph");
}

/* All lanes end in the first one, which is the one that is captured. */
static cudaError_t join(cuda *c, dr_cuda_graph *g)
{
    cudaError_t error = cudaSuccess;
    for (int32_t lane = 1; lane < DR_CUDA_LANES; lane++) {
        if (!g->joined[lane]) continue;
        use_lane(c, lane);
        cudaError_t one = mark(c, g);
        if (one == cudaSuccess) one = c->calls->cudaStreamWaitEvent(c->lanes[0], g->done[g->steps - 1], 0);
        if (error == cudaSuccess) error = one;
    }
    use_lane(c, 0);
    return error;
}

static void forget_marks(cuda *c, dr_cuda_graph *g)
{
    for (int32_t i = 0; i < g->steps; i++) c->calls->cudaEventDestroy(g->done[i]);
    free(g->done);
    g->done = NULL;
    g->steps = g->room = 0;
}

/* ---- a graph -------------------------------------------------------------------------------------------------------- */

void dr_cuda_graph_free(void *self, void *graph)
{
    cuda *c = self;
    dr_cuda_graph *g = graph;
    if (!g) return;
    if (!c->lost) c->calls->cudaStreamSynchronize(c->stream); /* it may still be running */
    if (g->exec) c->calls->cudaGraphExecDestroy(g->exec);
    if (g->graph) c->calls->cudaGraphDestroy(g->graph);
    for (memory *m = g->pinned, *next; m; m = next) {
        next = m->next;
        c->calls->cudaFreeHost(m->data);
        free(m);
    }
    free(g);
}

dr_status dr_cuda_graph_begin(void *self)
{
    cuda *c = self;
    if (c->capturing) return dr_fail(DR_EINTERNAL, "backend cuda: a graph is being captured already");
    dr_cuda_graph *g = calloc(1, sizeof *g);
    if (!g) return dr_fail(DR_ENOMEM, "backend cuda: out of memory");
    /* relaxed: pinned memory for the graph's own bytes is allocated meanwhile */
    const cudaError_t error = c->calls->cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeRelaxed);
    if (dr_cuda_error(c, error, "capturing a graph") != DR_OK) {
        free(g);
        return dr_failed();
    }
    c->capturing = g;
    c->lanes[0] = c->stream;
    g->joined[0] = true;
    return DR_OK;
}

void *dr_cuda_graph_end(void *self)
{
    cuda *c = self;
    dr_cuda_graph *g = c->capturing;
    if (!g) {
        dr_fail(DR_EINTERNAL, "backend cuda: no graph is being captured");
        return NULL;
    }
    c->capturing = NULL;
    cudaError_t error = join(c, g);
    const cudaError_t ended = c->calls->cudaStreamEndCapture(c->stream, &g->graph);
    if (error == cudaSuccess) error = ended;
    forget_marks(c, g);
    if (error == cudaSuccess && dr_failed() == DR_OK) error = c->calls->cudaGraphInstantiate(&g->exec, g->graph, 0);
    if (dr_failed() == DR_OK && dr_cuda_error(c, error, "making a graph") == DR_OK) return g;
    (void)c->calls->cudaGetLastError();
    dr_cuda_graph_free(c, g);
    return NULL;
}

dr_status dr_cuda_graph_launch(void *self, void *graph, int64_t sample)
{
    cuda *c = self;
    const dr_cuda_graph *g = graph;
    dr_cuda_set_sample(c, sample);
    return dr_cuda_error(c, c->calls->cudaGraphLaunch(g->exec, c->stream), "launching a graph");
}
