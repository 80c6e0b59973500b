/* cuda_graph.c: a plan's step as one CUDA graph. Between begin and end the stream is captured: kernels, copies, cuDNN's
 * and cuBLASLt's launches become nodes. A graph owns the pinned bytes that its copies read. Where its random streams
 * begin is a word on the device, written before each launch. */
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
    cudaError_t error = c->calls->cudaStreamEndCapture(c->stream, &g->graph);
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
