/* fake_queue.h: what the files of the fake runtime share: a node of work, streams, events, graphs, and the queue. */
#ifndef DRIFT_TESTS_FAKE_QUEUE_H
#define DRIFT_TESTS_FAKE_QUEUE_H

#include "fake.h"
#include "cuda_calls.h"

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
    int64_t position; /* how much was queued before it */
    bool recorded, captured, timed;
    tail tail;
};

/* What each call begins with: the error that it returns at once, if it does. */
cudaError_t fake_begin(const char *call, cudaError_t if_chosen);
#define BEGIN(if_chosen) \
    const cudaError_t first_ = fake_begin(__func__ + 5, if_chosen); \
    if (first_ != cudaSuccess) return first_

cudaError_t fake_wrong(const char *call, const char *what); /* a violation, as an error */
bool fake_is_stream(cudaStream_t s, const char *call);

extern cudaStream_t fake_captured; /* at most one at a time */

/* fake_queue.c */
extern int64_t fake_queued, fake_finished; /* pieces of work, of all streams */
void fake_finish(int64_t position);        /* does what waits, until so many are finished */
void fake_run_node(node *n);
void fake_free_node(node *n);

/* fake_streams.c */
void fake_stream_calls(dr_cuda_calls *calls);

#endif
