/* cuda_graph.h: a plan's step as one CUDA graph, and what a graph keeps alive; with launch.c's part for the backend. */
#ifndef DRIFT_CUDA_GRAPH_H
#define DRIFT_CUDA_GRAPH_H

#include "cuda_backend.h"
#include "cuda_calls.h"

/* launch.c */
dr_status dr_cuda_error(cuda *c, cudaError_t error, const char *what); /* DR_OK on success, else dr_fail: what happened in `what` */
dr_status dr_cuda_read_complaint(cuda *c);                             /* dr_fail, if a kernel complained since */

/* cuda_graph.c: see dr_backend's graph_begin and those after it. */
dr_status dr_cuda_graph_begin(void *self);
void *dr_cuda_graph_end(void *self);
dr_status dr_cuda_graph_step(void *self, int32_t lane, int32_t n, const int32_t *after);
dr_status dr_cuda_graph_launch(void *self, void *graph, int64_t sample);
void dr_cuda_graph_free(void *self, void *graph);
void dr_cuda_set_sample(cuda *c, int64_t sample); /* graph_sample.cu */
/* Memory on the device that captured kernels may use, freed when the device closes. */
dr_status dr_cuda_keep_workspace(cuda *c, void *memory);
void dr_cuda_free_kept(cuda *c);
/* Pinned memory that lives as long as the graph that is being captured; NULL after dr_fail. */
void *dr_cuda_graph_memory(cuda *c, size_t bytes);

#endif
