/* cudnn_graph.h: a convolution, with what follows it, as an operation graph of cuDNN 9's backend API; the engines that
 * can run it, and plans of those. What cuDNN refuses is no error here: the caller takes another engine or own kernels;
 * DRIFT_CUDA_VERBOSE=1 says why. */
#ifndef DRIFT_CUDA_CUDNN_GRAPH_H
#define DRIFT_CUDA_CUDNN_GRAPH_H

#include "conv2d_direct.h"
#include "cuda_calls.h"

struct dr_cudnn {
    cuda *cuda;
    const dr_cuda_calls *calls;
    cudnnHandle_t handle; /* NULL: own kernels alone */
    struct CUstream_st *stream; /* the handle's: a graph's lanes have their own */
    size_t version;
    bool verbose;
    char device[256];
    struct dr_conv_choices *choices; /* conv2d_choice.c */
};

/* Which operations, on which tensors. Images [B,C,H,W] of dtype lie channels-last, the weight of dtype as [Co,k,k,Ci]. */
typedef struct dr_conv_spec {
    dr_conv_kind kind;
    dr_conv_shape shape;
    int32_t dtype;      /* DR_F32 or DR_BF16; sums are f32 */
    int32_t to_dtype;   /* of what is written: differs for gradients of weights */
    bool bias, add;     /* bias [C] of dtype; add of the result's shape and dtype */
    bool compile;       /* engines that compile a kernel for the graph may be taken: about a second for each plan */
    int64_t act;
} dr_conv_spec;

enum { DR_CUDNN_FROM, DR_CUDNN_WEIGHT, DR_CUDNN_TO, DR_CUDNN_BIAS, DR_CUDNN_ADD, DR_CUDNN_TENSORS };

typedef struct dr_cudnn_graph dr_cudnn_graph;
typedef struct dr_cudnn_plan dr_cudnn_plan;

/* NULL where cuDNN has nothing for it. Engines that deterministic or tf32 rule out are left out. */
dr_cudnn_graph *dr_cudnn_graph_open(dr_cudnn *d, const dr_conv_spec *spec);
void dr_cudnn_graph_close(dr_cudnn_graph *g); /* after its plans; NULL is fine */
int dr_cudnn_graph_engines(const dr_cudnn_graph *g);
int64_t dr_cudnn_graph_engine(const dr_cudnn_graph *g, int i); /* its number in cuDNN's list; the first is what cuDNN advises */

dr_cudnn_plan *dr_cudnn_plan_open(dr_cudnn_graph *g, int i); /* NULL where the engine refuses */
void dr_cudnn_plan_close(dr_cudnn_plan *p);                  /* NULL is fine */
size_t dr_cudnn_plan_workspace(const dr_cudnn_plan *p);

/* FORWARD: from = x, to = y; DATA: from = dy, to = dx; WEIGHT: from = x, weight = dy, to = dw. Pointers are 16-byte
 * aligned; bias and add are NULL where the spec has none. false: it was refused. */
bool dr_cudnn_plan_run(dr_cudnn_plan *p, void *const pointers[DR_CUDNN_TENSORS], void *workspace);

#endif
