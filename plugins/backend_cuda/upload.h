/* upload.h: copies between host and device that do not wait: from pinned memory on the way there, to it on the way back. */
#ifndef DRIFT_CUDA_UPLOAD_H
#define DRIFT_CUDA_UPLOAD_H

#include "cuda_graph.h"

dr_cuda_upload *dr_cuda_upload_open(cuda *c); /* NULL after dr_fail */
void dr_cuda_upload_close(dr_cuda_upload *u); /* NULL is fine */

/* `from` may be written again when this returns. While a graph is captured, the graph keeps a copy of the bytes. */
dr_status dr_cuda_upload_copy(dr_cuda_upload *u, void *to, const void *from, size_t bytes);

/* dr_backend's read_begin and read_end. */
void *dr_cuda_read_begin(void *self, const void *from, size_t bytes);
dr_status dr_cuda_read_end(void *self, void *reading, void *to);

#endif
