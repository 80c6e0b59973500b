/* cuda_backend.h: what the kernels share, in C and in CUDA C: the backend's own struct, memory for intermediate results,
 * how a launch is checked and how a kernel complains of a value. All work of a device is on one stream, in order. */
#ifndef DRIFT_CUDA_BACKEND_H
#define DRIFT_CUDA_BACKEND_H

#include <drift/kernel.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct CUstream_st;                           /* what cudaStream_t points to */
typedef struct dr_cuda_calls dr_cuda_calls;   /* cuda_calls.h */
typedef struct dr_cudnn dr_cudnn;             /* cudnn_graph.c: its handle and the plans of convolutions */
typedef struct dr_cublaslt dr_cublaslt;       /* cublaslt.c */
typedef struct dr_cuda_upload dr_cuda_upload; /* backend_cuda: pinned memory on the way to the device */
typedef struct dr_cuda_graph dr_cuda_graph;   /* cuda_graph.c */

/* What a kernel found wrong, in memory that host and device share: a launch cannot fail by itself. */
typedef struct dr_cuda_complaint {
    int32_t what; /* DR_COMPLAINT_...; 0: nothing. The first one stays. */
    int32_t unused;
    int64_t value, limit;
    char op[32];
} dr_cuda_complaint;
enum { DR_COMPLAINT_NONE = 0, DR_COMPLAINT_ID_OUTSIDE /* id `value` is not in 0 .. limit - 1 */ };

enum { DR_CUDA_LANES = 8 };

typedef struct cuda { /* the component's struct; kernels find it in dr_kargs.backend */
    int64_t index;      /* parameter: which device */
    bool deterministic; /* parameter: only engines and kernels whose results do not change from run to run */
    bool tf32;          /* parameter: f32 products may round their factors to 10 bits */
    bool batch_invariant; /* parameter: forward, only kernels that add up an image's sums in an order of its own */
    bool sync;          /* DRIFT_SYNC=1: wait after each launch, so that an error names its kernel */
    const dr_cuda_calls *calls;
    struct CUstream_st *stream; /* all work; while a graph is captured, that of the lane */
    struct CUstream_st *lanes[DR_CUDA_LANES]; /* cuda_graph.c: lane 0 is the device's own stream */
    int32_t major, minor, multiprocessors; /* compute capability 9.0 is an H100's */
    size_t shared_per_block;               /* bytes, with cudaFuncSetAttribute */
    int32_t lane;                 /* of what is captured: kernels of other lanes may run at the same time */
    void *workspace[DR_CUDA_LANES];
    size_t workspace_bytes[DR_CUDA_LANES];
    void *kept;                   /* cuda_graph.c: earlier workspaces, which graphs may still use */
    dr_cuda_complaint *complaint; /* pinned, device-visible */
    int64_t *sample; /* on the device: where a graph's random streams begin, if dr_kargs.sample_moves */
    uint32_t *arrivals; /* on the device: DR_ARRIVALS counters of the lane, 0 between launches (last_block.h) */
    dr_cuda_graph *capturing;     /* what launches are recorded into; NULL: they run */
    dr_cudnn *cudnn;
    dr_cublaslt *cublaslt;
    dr_cuda_upload *upload;
    bool lost;                    /* a sticky error: nothing more will work */
    char text[256];
} cuda;

enum { DR_ARRIVALS = 4096 };

static inline cuda *dr_cuda_of(const dr_kargs *a) { return (cuda *)a->backend; }
static inline struct CUstream_st *dr_cuda_stream(const dr_kargs *a) { return dr_cuda_of(a)->stream; }

/* Memory on the device for one kernel call, 256-byte aligned, reused by the next call: not cleared. NULL after dr_fail.
 * A graph keeps what it was captured with. [kernel] */
void *dr_cuda_workspace(const dr_kargs *a, size_t bytes);

/* After each launch: its error, if it has one, naming op and kernel. [kernel] */
void dr_cuda_launched(const dr_kargs *a, const char *kernel);

/* dr_fail, for CUDA C: "OP: message". [kernel] */
__attribute__((format(printf, 3, 4))) void dr_cuda_refuse(const dr_kargs *a, dr_status code, const char *format, ...);

/* Where the kernels of this call complain. The host reads it when it next waits for the device. [kernel] */
dr_cuda_complaint *dr_cuda_complain_to(const dr_kargs *a);

static inline void *dr_optional(const dr_kargs *a, int i) /* NULL: an input that the caller left out */
{
    return i < a->n_in && a->in[i].rank >= 0 ? a->in[i].data : NULL;
}

static inline int64_t dr_count(const dr_view *v, int from, int to) /* the product of shape[from..to) */
{
    int64_t n = 1;
    for (int d = from; d < to; d++) n *= v->shape[d];
    return n;
}

static inline int64_t dr_min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t dr_blocks_for(int64_t n, int64_t per_block) { return (n + per_block - 1) / per_block; }

#ifdef __cplusplus
}
#endif
#endif
