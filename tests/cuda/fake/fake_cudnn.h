/* fake_cudnn.h: the descriptors of the fake cuDNN, and an operation graph as it is run: tensors [B,C,H,W] and operations on
 * them, in order. */
#ifndef DRIFT_TESTS_FAKE_CUDNN_H
#define DRIFT_TESTS_FAKE_CUDNN_H

#include "cuda_calls.h"
#include "fake_objects.h"

#define DNN_HANDLE "a cuDNN handle"
#define DNN_DESCRIPTOR "a cuDNN descriptor"

typedef struct dnn_handle {
    cudaStream_t stream;
} dnn_handle;

enum { DNN_ATTRIBUTES = 16, DNN_TENSORS = 16, DNN_OPS = 8, DNN_ENGINES = 6 };

typedef struct dnn_attribute {
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t count;
    void *data;
} dnn_attribute;

typedef struct dnn_descriptor {
    cudnnBackendDescriptorType_t type;
    bool finalized;
    int n;
    dnn_attribute attribute[DNN_ATTRIBUTES];
    struct dnn_descriptor *graph; /* engines and their configurations */
    int64_t engine;
} dnn_descriptor;

/* ---- an operation graph, as it is run ------------------------------------------------------------------------------- */

typedef struct dnn_tensor {
    const dnn_descriptor *descriptor;
    int64_t uid, dims[4], strides[4], alignment;
    bool bf16, is_virtual;
} dnn_tensor;

typedef enum dnn_kind { DNN_FORWARD, DNN_DATA, DNN_FILTER, DNN_POINTWISE } dnn_kind;

typedef struct dnn_op {
    dnn_kind kind;
    int x, w, y; /* tensors: FORWARD x, w -> y; DATA dy, w -> dx; FILTER x, dy -> dw; POINTWISE x, b or -1 -> y */
    int64_t stride[2], padding[2], after[2], dilation[2];
    cudnnPointwiseMode_t mode;
    double alpha, beta, lower, upper, slope, swish; /* pointwise: alpha of x, beta of b */
} dnn_op;

typedef struct dnn_program {
    int n_tensors, n_ops;
    dnn_tensor tensor[DNN_TENSORS];
    dnn_op op[DNN_OPS];
} dnn_program;

/* fake_cudnn.c */
bool dnn_is(const void *p, cudnnBackendDescriptorType_t type, const char *what); /* living, finalized; else a violation */
const dnn_attribute *dnn_find(const dnn_descriptor *d, cudnnBackendAttributeName_t name); /* NULL: not set */
int64_t dnn_int(const dnn_descriptor *d, cudnnBackendAttributeName_t name, int i, int64_t otherwise); /* INT64, enums */
double dnn_real(const dnn_descriptor *d, cudnnBackendAttributeName_t name, double otherwise);
void *dnn_pointer(const dnn_descriptor *d, cudnnBackendAttributeName_t name, int i); /* NULL: not set */
void dnn_say(const char *format, ...) __attribute__((format(printf, 1, 2)));         /* for cudnnGetLastErrorString */

/* fake_cudnn_graph.c. Each returns CUDNN_STATUS_SUCCESS, or another after fake_violation. */
cudnnStatus_t dnn_check_tensor(const dnn_descriptor *d);
cudnnStatus_t dnn_check_convolution(const dnn_descriptor *d);
cudnnStatus_t dnn_check_operation(const dnn_descriptor *d);
cudnnStatus_t dnn_make_program(const dnn_descriptor *graph, dnn_program *made);

/* fake_cudnn_engines.c */
bool dnn_supports(const dnn_program *p);        /* else dnn_say() says why not */
int dnn_engines(const dnn_program *p, bool fallback, int64_t list[DNN_ENGINES]); /* as the heuristic advises them */
int dnn_notes(const dnn_program *p, int64_t engine, cudnnBackendNumericalNote_t list[CUDNN_NUMERICAL_NOTE_TYPE_COUNT]);
cudnnStatus_t dnn_plan_status(const dnn_program *p, int64_t engine);
int64_t dnn_plan_workspace(const dnn_program *p, int64_t engine); /* bytes */
FAKE_FOR_TESTS void fake_cudnn_refuse_engines(uint32_t mask); /* bit i: plans of engine i cannot be finalized */

/* fake_cudnn_run.c */
typedef struct dnn_task {
    dnn_program program;
    void *data[DNN_TENSORS];
    int64_t engine;
    void *workspace;
    size_t workspace_bytes;
} dnn_task;
void dnn_run(void *task);
cudnnStatus_t fake_cudnn_execute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack);

#endif
