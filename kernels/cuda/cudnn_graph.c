/* cudnn_graph.c: convolutions as cuDNN 9's operation graphs. A graph is descriptors, each made, given attributes and
 * finalized: tensors, a convolution, pointwise operations on what it gives; then heuristics list engines that can run it,
 * and an engine's configuration becomes a plan, which is run with a pack of pointers. */
#include "cudnn_graph.h"
#include "conv2d_choice.h"
#include "libraries.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_DESCRIPTORS = 24, MOST_ENGINES = 12, ALIGNMENT = 16 };

struct dr_cudnn_graph {
    dr_cudnn *cudnn;
    dr_conv_spec spec;
    cudnnBackendDescriptor_t made[MOST_DESCRIPTORS]; /* all but engines, to be destroyed backwards */
    int n_made;
    cudnnStatus_t status; /* of the first call that failed */
    const char *failed;
    cudnnBackendDescriptor_t graph, engine[MOST_ENGINES]; /* configurations, best first */
    int64_t number[MOST_ENGINES];
    int engines;
};

struct dr_cudnn_plan {
    dr_cudnn *cudnn;
    const dr_conv_spec *spec;
    cudnnBackendDescriptor_t plan, pack;
    int64_t workspace;
    void *packed[DR_CUDNN_TENSORS + 1]; /* what `pack` holds */
};

/* ---- the handle ----------------------------------------------------------------------------------------------------- */

static cudnnStatus_t follow_stream(dr_cudnn *d)
{
    if (d->stream == d->cuda->stream) return CUDNN_STATUS_SUCCESS;
    const cudnnStatus_t status = d->calls->cudnnSetStream(d->handle, d->cuda->stream);
    d->stream = status == CUDNN_STATUS_SUCCESS ? d->cuda->stream : NULL;
    return status;
}

dr_cudnn *dr_cudnn_open(cuda *c)
{
    const char *conv = getenv("DRIFT_CUDA_CONV"), *verbose = getenv("DRIFT_CUDA_VERBOSE");
    struct cudaDeviceProp p;
    dr_cudnn *d = calloc(1, sizeof *d);
    if (!d) {
        dr_fail(DR_ENOMEM, "backend cuda: out of memory");
        return NULL;
    }
    d->cuda = c;
    d->calls = c->calls;
    d->verbose = verbose && *verbose && strcmp(verbose, "0") != 0;
    d->version = c->calls->cudnnGetVersion ? c->calls->cudnnGetVersion() : 0;
    if (c->calls->cudaGetDeviceProperties(&p, (int)c->index) == cudaSuccess) {
        snprintf(d->device, sizeof d->device, "%.200s", p.name);
    }
    if (d->version == 0 || (conv && strcmp(conv, "direct") == 0)) return d;
    cudnnStatus_t status = d->calls->cudnnCreate(&d->handle);
    if (status == CUDNN_STATUS_SUCCESS) status = follow_stream(d);
    if (status == CUDNN_STATUS_SUCCESS) return d;
    dr_fail(status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ? DR_ENOMEM : DR_EUNSUPPORTED,
            "backend cuda: cuDNN %zu does not start: %s; DRIFT_CUDA_CONV=direct does without it", d->version,
            d->calls->cudnnGetErrorString(status));
    dr_cudnn_close(d);
    return NULL;
}

void dr_cudnn_close(dr_cudnn *d)
{
    if (!d) return;
    dr_conv_choices_free(d->choices);
    if (d->handle) d->calls->cudnnDestroy(d->handle);
    free(d);
}

static void say(const dr_cudnn *d, const dr_conv_spec *s, const char *what, cudnnStatus_t status)
{
    static const char *const kinds[] = { "forward", "data", "weight" };
    const dr_conv_shape *c = &s->shape;
    char reason[256] = "";
    if (!d->verbose) return;
    d->calls->cudnnGetLastErrorString(reason, sizeof reason);
    dr_note("cuDNN: %s [%lld,%lld,%lld,%lld] -> %lld, k %lld, stride %lld, %s%s%s, act %d: %s: %s %s", kinds[s->kind],
            (long long)c->B, (long long)c->Ci, (long long)c->H, (long long)c->W, (long long)c->Co, (long long)c->k,
            (long long)c->stride, s->dtype == DR_BF16 ? "bf16" : "f32", s->bias ? " + bias" : "", s->add ? " + add" : "",
            (int)s->act, what, d->calls->cudnnGetErrorString(status), reason);
}

/* ---- descriptors: after one failure the rest does nothing ----------------------------------------------------------- */

typedef cudnnBackendDescriptor_t descriptor;

static void check(dr_cudnn_graph *g, cudnnStatus_t status, const char *what)
{
    if (status == CUDNN_STATUS_SUCCESS || g->status != CUDNN_STATUS_SUCCESS) return;
    g->status = status;
    g->failed = what;
}

static descriptor make(dr_cudnn_graph *g, cudnnBackendDescriptorType_t type)
{
    descriptor made = NULL;
    if (g->status != CUDNN_STATUS_SUCCESS) return NULL;
    check(g, g->cudnn->calls->cudnnBackendCreateDescriptor(type, &made), "a descriptor");
    if (g->status != CUDNN_STATUS_SUCCESS) return NULL;
    g->made[g->n_made++] = made;
    return made;
}

static void set(dr_cudnn_graph *g, descriptor d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                int64_t n, const void *values)
{
    if (g->status == CUDNN_STATUS_SUCCESS)
        check(g, g->cudnn->calls->cudnnBackendSetAttribute(d, name, type, n, values), "an attribute");
}

static void set_descriptor(dr_cudnn_graph *g, descriptor d, cudnnBackendAttributeName_t name, descriptor value)
{
    set(g, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static descriptor finalize(dr_cudnn_graph *g, descriptor d, const char *what)
{
    if (g->status == CUDNN_STATUS_SUCCESS) check(g, g->cudnn->calls->cudnnBackendFinalize(d), what);
    return d;
}

static cudnnDataType_t type_of(int32_t dtype) { return dtype == DR_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT; }

/* [B,C,H,W], channels last; a virtual tensor only passes from one operation to the next. */
static descriptor tensor(dr_cudnn_graph *g, int64_t id, int32_t dtype, int64_t B, int64_t C, int64_t H, int64_t W,
                         bool is_virtual)
{
    const cudnnDataType_t type = type_of(dtype);
    const int64_t dims[4] = { B, C, H, W }, strides[4] = { H * W * C, 1, W * C, C }, alignment = ALIGNMENT;
    descriptor d = make(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(g, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(g, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
    set(g, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    set(g, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    set(g, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    set(g, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    return finalize(g, d, "a tensor");
}

static descriptor convolution(dr_cudnn_graph *g, const dr_conv_shape *s)
{
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t axes = 2, padding[2] = { s->padding, s->padding }, stride[2] = { s->stride, s->stride };
    const int64_t dilation[2] = { 1, 1 };
    descriptor d = make(g, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(g, d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(g, d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(g, d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &axes);
    set(g, d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, padding);
    set(g, d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, padding);
    set(g, d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilation);
    set(g, d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride);
    return finalize(g, d, "the convolution");
}

/* The attributes' names for each kind: where the tensors and the convolution go. */
static const struct {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t convolution, from, weight, to, alpha, beta;
} operations[] = {
    [DR_CONV_FORWARD] = { CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA },
    [DR_CONV_DATA] = { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA },
    [DR_CONV_WEIGHT] = { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA },
};

/* to = pointwise(from, with); with is NULL for an activation */
static descriptor pointwise(dr_cudnn_graph *g, cudnnPointwiseMode_t mode, descriptor from, descriptor with, descriptor to)
{
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    descriptor how = make(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(g, how, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(g, how, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
    finalize(g, how, "a pointwise operation");
    descriptor d = make(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_descriptor(g, d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
    set_descriptor(g, d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, from);
    if (with) set_descriptor(g, d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, with);
    set_descriptor(g, d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, to);
    return finalize(g, d, "a pointwise operation");
}

static cudnnPointwiseMode_t activation(int64_t act)
{
    switch (act) {
    case DR_ACT_RELU: return CUDNN_POINTWISE_RELU_FWD;
    case DR_ACT_GELU: return CUDNN_POINTWISE_GELU_FWD;
    case DR_ACT_GELU_TANH: return CUDNN_POINTWISE_GELU_APPROX_TANH_FWD;
    default: return CUDNN_POINTWISE_SWISH_FWD;
    }
}

/* ---- the graph: conv, then + bias, + add, act, each where it is wanted ---------------------------------------------- */

static void add_operations(dr_cudnn_graph *g)
{
    const dr_conv_spec *p = &g->spec;
    const dr_conv_shape *s = &p->shape;
    const bool data = p->kind == DR_CONV_DATA, gradient = p->kind == DR_CONV_WEIGHT;
    const int64_t C = data ? s->Ci : s->Co, H = data ? s->H : s->Ho, W = data ? s->W : s->Wo;
    const float one = 1.0f, zero = 0.0f;
    int left = gradient ? 0 : p->bias + p->add + (p->act != DR_ACT_NONE); /* pointwise operations */
    int64_t id = DR_CUDNN_TENSORS;                                        /* of the next virtual tensor */
    descriptor ops[4];
    int n = 0;

    descriptor x = data ? NULL : tensor(g, DR_CUDNN_FROM, p->dtype, s->B, s->Ci, s->H, s->W, false);
    if (data) x = tensor(g, DR_CUDNN_FROM, p->dtype, s->B, s->Co, s->Ho, s->Wo, false);
    descriptor w = gradient ? tensor(g, DR_CUDNN_WEIGHT, p->dtype, s->B, s->Co, s->Ho, s->Wo, false)
                            : tensor(g, DR_CUDNN_WEIGHT, p->dtype, s->Co, s->Ci, s->k, s->k, false);
    descriptor to = gradient ? tensor(g, DR_CUDNN_TO, p->to_dtype, s->Co, s->Ci, s->k, s->k, false)
                             : tensor(g, DR_CUDNN_TO, p->to_dtype, s->B, C, H, W, false);
    descriptor bias = p->bias ? tensor(g, DR_CUDNN_BIAS, p->dtype, 1, C, 1, 1, false) : NULL;
    descriptor add = p->add ? tensor(g, DR_CUDNN_ADD, p->dtype, s->B, C, H, W, false) : NULL;

    descriptor at = left ? tensor(g, id++, DR_F32, s->B, C, H, W, true) : to;
    descriptor conv = convolution(g, s), op = make(g, operations[p->kind].type);
    set_descriptor(g, op, operations[p->kind].convolution, conv);
    set_descriptor(g, op, operations[p->kind].from, x);
    set_descriptor(g, op, operations[p->kind].weight, w);
    set_descriptor(g, op, operations[p->kind].to, at);
    set(g, op, operations[p->kind].alpha, CUDNN_TYPE_FLOAT, 1, &one);
    set(g, op, operations[p->kind].beta, CUDNN_TYPE_FLOAT, 1, &zero);
    ops[n++] = finalize(g, op, "the convolution's operation");

    const struct {
        bool wanted;
        cudnnPointwiseMode_t mode;
        descriptor with;
    } after[3] = { { p->bias, CUDNN_POINTWISE_ADD, bias },
                   { p->add, CUDNN_POINTWISE_ADD, add },
                   { p->act != DR_ACT_NONE, activation(p->act), NULL } };
    for (int i = 0; i < 3 && left > 0; i++) {
        if (!after[i].wanted) continue;
        descriptor next = --left ? tensor(g, id++, DR_F32, s->B, C, H, W, true) : to;
        ops[n++] = pointwise(g, after[i].mode, at, after[i].with, next);
        at = next;
    }
    g->graph = make(g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(g, g->graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &g->cudnn->handle);
    set(g, g->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, n, ops);
    finalize(g, g->graph, "the graph");
}

/* ---- engines ---------------------------------------------------------------------------------------------------------- */

static bool compiles(const dr_cuda_calls *f, descriptor engine)
{
    cudnnBackendBehaviorNote_t notes[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
    int64_t n = 0;
    if (f->cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                                    CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, &n, notes) != CUDNN_STATUS_SUCCESS)
        return false;
    for (int64_t i = 0; i < n && i < CUDNN_BEHAVIOR_NOTE_TYPE_COUNT; i++)
        if (notes[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) return true;
    return false;
}

/* May this engine run? Its number, or -1. */
static int64_t engine_number(const dr_cudnn_graph *g, descriptor config)
{
    const dr_cuda_calls *f = g->cudnn->calls;
    const cuda *c = g->cudnn->cuda;
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t n = 0, found = 0, number = -1;
    descriptor engine = NULL;
    if (f->cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) != CUDNN_STATUS_SUCCESS) return -1;
    cudnnStatus_t status = f->cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                                       1, &found, &engine);
    if (status == CUDNN_STATUS_SUCCESS) {
        status = f->cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &found, &number);
    }
    if (status == CUDNN_STATUS_SUCCESS) {
        status = f->cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                             CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n, notes);
    }
    if (status != CUDNN_STATUS_SUCCESS) number = -1;
    for (int64_t i = 0; number >= 0 && i < n && i < CUDNN_NUMERICAL_NOTE_TYPE_COUNT; i++) {
        const bool f32 = g->spec.dtype == DR_F32;
        switch (notes[i]) {
        case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC: number = c->deterministic ? -1 : number; break;
        case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
        case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS: number = f32 && !c->tf32 ? -1 : number; break;
        case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION: number = -1; break; /* sums that are not f32 */
        case CUDNN_NUMERICAL_NOTE_FFT:
        case CUDNN_NUMERICAL_NOTE_WINOGRAD: number = f32 ? -1 : number; break; /* digits are lost */
        default: break;
        }
    }
    if (number >= 0 && !g->spec.compile && compiles(f, engine)) number = -1;
    f->cudnnBackendDestroyDescriptor(engine);
    return number;
}

/* Takes the configurations that may run; the others go. */
static void take_engines(dr_cudnn_graph *g, descriptor *config, int64_t n, int64_t given)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t number = i < given && g->engines < MOST_ENGINES ? engine_number(g, config[i]) : -1;
        if (number < 0) {
            g->cudnn->calls->cudnnBackendDestroyDescriptor(config[i]);
            continue;
        }
        g->number[g->engines] = number;
        g->engine[g->engines++] = config[i];
    }
}

static void ask_heuristics(dr_cudnn_graph *g, cudnnBackendHeurMode_t mode)
{
    enum { MOST = 32 };
    const dr_cuda_calls *f = g->cudnn->calls;
    descriptor config[MOST], heuristics = make(g, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    int64_t there = 0, given = 0, n = 0;
    set_descriptor(g, heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, g->graph);
    set(g, heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    finalize(g, heuristics, "heuristics");
    if (g->status != CUDNN_STATUS_SUCCESS) return;
    check(g, f->cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &there,
                                         NULL), "heuristics");
    while (g->status == CUDNN_STATUS_SUCCESS && n < there && n < MOST) {
        check(g, f->cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &config[n]), "a configuration");
        n += g->status == CUDNN_STATUS_SUCCESS;
    }
    if (g->status == CUDNN_STATUS_SUCCESS && n > 0) {
        check(g, f->cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, n,
                                             &given, config), "heuristics");
    }
    take_engines(g, config, n, g->status == CUDNN_STATUS_SUCCESS ? given : 0);
}

dr_cudnn_graph *dr_cudnn_graph_open(dr_cudnn *d, const dr_conv_spec *spec)
{
    dr_cudnn_graph *g = d->handle ? calloc(1, sizeof *g) : NULL;
    if (!g) return NULL;
    g->cudnn = d;
    g->spec = *spec;
    add_operations(g);
    const bool made = g->status == CUDNN_STATUS_SUCCESS;
    ask_heuristics(g, CUDNN_HEUR_MODE_A);
    if (g->engines == 0 && made) { /* a heuristic that refuses is not the last word */
        if (g->status != CUDNN_STATUS_SUCCESS) say(d, spec, g->failed, g->status);
        g->status = CUDNN_STATUS_SUCCESS;
        ask_heuristics(g, CUDNN_HEUR_MODE_FALLBACK);
    }
    if (g->engines > 0) return g;
    say(d, spec, g->status == CUDNN_STATUS_SUCCESS ? "no engine suits" : g->failed, g->status);
    dr_cudnn_graph_close(g);
    return NULL;
}

void dr_cudnn_graph_close(dr_cudnn_graph *g)
{
    if (!g) return;
    for (int i = 0; i < g->engines; i++) g->cudnn->calls->cudnnBackendDestroyDescriptor(g->engine[i]);
    for (int i = g->n_made - 1; i >= 0; i--) g->cudnn->calls->cudnnBackendDestroyDescriptor(g->made[i]);
    free(g);
}

int dr_cudnn_graph_engines(const dr_cudnn_graph *g) { return g->engines; }
int64_t dr_cudnn_graph_engine(const dr_cudnn_graph *g, int i) { return g->number[i]; }

/* ---- plans ------------------------------------------------------------------------------------------------------------ */

dr_cudnn_plan *dr_cudnn_plan_open(dr_cudnn_graph *g, int i)
{
    const dr_cuda_calls *f = g->cudnn->calls;
    int64_t n = 0;
    dr_cudnn_plan *p = i < g->engines ? calloc(1, sizeof *p) : NULL;
    if (!p) return NULL;
    p->cudnn = g->cudnn;
    p->spec = &g->spec;
    cudnnStatus_t status = f->cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &p->plan);
    if (status == CUDNN_STATUS_SUCCESS) {
        status = f->cudnnBackendSetAttribute(p->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1,
                                             &g->cudnn->handle);
    }
    if (status == CUDNN_STATUS_SUCCESS) {
        status = f->cudnnBackendSetAttribute(p->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                                             CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &g->engine[i]);
    }
    if (status == CUDNN_STATUS_SUCCESS) status = f->cudnnBackendFinalize(p->plan);
    if (status == CUDNN_STATUS_SUCCESS) {
        status = f->cudnnBackendGetAttribute(p->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &n,
                                             &p->workspace);
    }
    if (status == CUDNN_STATUS_SUCCESS) return p;
    say(g->cudnn, &g->spec, "a plan", status);
    dr_cudnn_plan_close(p);
    return NULL;
}

void dr_cudnn_plan_close(dr_cudnn_plan *p)
{
    if (!p) return;
    if (p->pack) p->cudnn->calls->cudnnBackendDestroyDescriptor(p->pack);
    if (p->plan) p->cudnn->calls->cudnnBackendDestroyDescriptor(p->plan);
    free(p);
}

size_t dr_cudnn_plan_workspace(const dr_cudnn_plan *p) { return p->workspace > 0 ? (size_t)p->workspace : 0; }

/* The pack of an earlier call serves again where nothing has moved. */
static cudnnStatus_t pack_pointers(dr_cudnn_plan *p, void *const now[DR_CUDNN_TENSORS + 1])
{
    const dr_cuda_calls *f = p->cudnn->calls;
    int64_t ids[DR_CUDNN_TENSORS], n = 0;
    void *pointers[DR_CUDNN_TENSORS], *workspace = now[DR_CUDNN_TENSORS];
    if (p->pack && memcmp(p->packed, now, sizeof p->packed) == 0) return CUDNN_STATUS_SUCCESS;
    if (p->pack) f->cudnnBackendDestroyDescriptor(p->pack);
    p->pack = NULL;
    for (int i = 0; i < DR_CUDNN_TENSORS; i++) {
        if (!now[i]) continue;
        ids[n] = i;
        pointers[n++] = now[i];
    }
    descriptor d = NULL;
    cudnnStatus_t status = f->cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &d);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    status = f->cudnnBackendSetAttribute(d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, pointers);
    if (status == CUDNN_STATUS_SUCCESS)
        status = f->cudnnBackendSetAttribute(d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, ids);
    if (status == CUDNN_STATUS_SUCCESS)
        status = f->cudnnBackendSetAttribute(d, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    if (status == CUDNN_STATUS_SUCCESS) status = f->cudnnBackendFinalize(d);
    if (status != CUDNN_STATUS_SUCCESS) {
        f->cudnnBackendDestroyDescriptor(d);
        return status;
    }
    p->pack = d;
    memcpy(p->packed, now, sizeof p->packed);
    return CUDNN_STATUS_SUCCESS;
}

bool dr_cudnn_plan_run(dr_cudnn_plan *p, void *const pointers[DR_CUDNN_TENSORS], void *workspace)
{
    void *now[DR_CUDNN_TENSORS + 1];
    memcpy(now, pointers, DR_CUDNN_TENSORS * sizeof *now);
    now[DR_CUDNN_TENSORS] = workspace;
    cudnnStatus_t status = follow_stream(p->cudnn);
    if (status == CUDNN_STATUS_SUCCESS) status = pack_pointers(p, now);
    if (status == CUDNN_STATUS_SUCCESS) status = p->cudnn->calls->cudnnBackendExecute(p->cudnn->handle, p->plan, p->pack);
    if (status == CUDNN_STATUS_SUCCESS) return true;
    say(p->cudnn, p->spec, "running it", status);
    return false;
}
