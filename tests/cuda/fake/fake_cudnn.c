/* fake_cudnn.c: cuDNN's handle and the backend API's descriptors for tests. It knows the attributes in the table below, of
 * the types and counts that NVIDIA documents; others are violations, so that what Drift comes to use is added here. What a
 * descriptor refers to must be finalized when it is set, and must live as long as it is used. */
#include "fake_cudnn.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct rule {
    cudnnBackendDescriptorType_t of;
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int least, most;                 /* elements */
    enum { OPTIONAL, REQUIRED, ANSWER } use; /* ANSWER: can be asked for alone */
} rule;

#define TENSOR CUDNN_BACKEND_TENSOR_DESCRIPTOR
#define CONVOLUTION CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR
#define FORWARD CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR
#define DATA CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR
#define FILTER CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR
#define POINTWISE CUDNN_BACKEND_POINTWISE_DESCRIPTOR
#define ON_POINTS CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR
#define GRAPH CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR
#define HEURISTIC CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR
#define ENGINE CUDNN_BACKEND_ENGINE_DESCRIPTOR
#define CONFIG CUDNN_BACKEND_ENGINECFG_DESCRIPTOR
#define PLAN CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR
#define PACK CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR
#define REFERENCE CUDNN_TYPE_BACKEND_DESCRIPTOR

static const rule rules[] = {
    { TENSOR, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, 1, REQUIRED },
    { TENSOR, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, 1, REQUIRED },
    { TENSOR, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, 1, REQUIRED },
    { TENSOR, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, 4, REQUIRED }, /* images alone */
    { TENSOR, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, 4, REQUIRED },
    { TENSOR, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, 1, OPTIONAL },
    { CONVOLUTION, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, 1, REQUIRED },
    { CONVOLUTION, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, 1, REQUIRED },
    { CONVOLUTION, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, 1, REQUIRED },
    { CONVOLUTION, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, 2, REQUIRED },
    { CONVOLUTION, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, 2, REQUIRED },
    { CONVOLUTION, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, 2, REQUIRED },
    { CONVOLUTION, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, 2, REQUIRED },
    { FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, 1, REQUIRED },
    { FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, 1, REQUIRED },
    { FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, REFERENCE, 1, 1, REQUIRED },
    { FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, REFERENCE, 1, 1, REQUIRED },
    { FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, REFERENCE, 1, 1, REQUIRED },
    { FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, REFERENCE, 1, 1, REQUIRED },
    { DATA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_TYPE_FLOAT, 1, 1, REQUIRED },
    { DATA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CUDNN_TYPE_FLOAT, 1, 1, REQUIRED },
    { DATA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, REFERENCE, 1, 1, REQUIRED },
    { DATA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, REFERENCE, 1, 1, REQUIRED },
    { DATA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, REFERENCE, 1, 1, REQUIRED },
    { DATA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, REFERENCE, 1, 1, REQUIRED },
    { FILTER, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_TYPE_FLOAT, 1, 1, REQUIRED },
    { FILTER, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, CUDNN_TYPE_FLOAT, 1, 1, REQUIRED },
    { FILTER, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, REFERENCE, 1, 1, REQUIRED },
    { FILTER, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, REFERENCE, 1, 1, REQUIRED },
    { FILTER, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, REFERENCE, 1, 1, REQUIRED },
    { FILTER, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, REFERENCE, 1, 1, REQUIRED },
    { POINTWISE, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, 1, REQUIRED },
    { POINTWISE, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, 1, REQUIRED },
    { POINTWISE, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, CUDNN_TYPE_DOUBLE, 1, 1, OPTIONAL },
    { POINTWISE, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, CUDNN_TYPE_DOUBLE, 1, 1, OPTIONAL },
    { POINTWISE, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_DOUBLE, 1, 1, OPTIONAL },
    { POINTWISE, CUDNN_ATTR_POINTWISE_SWISH_BETA, CUDNN_TYPE_DOUBLE, 1, 1, OPTIONAL },
    { ON_POINTS, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, REFERENCE, 1, 1, REQUIRED },
    { ON_POINTS, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, REFERENCE, 1, 1, REQUIRED },
    { ON_POINTS, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, REFERENCE, 1, 1, OPTIONAL },
    { ON_POINTS, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, REFERENCE, 1, 1, REQUIRED },
    { ON_POINTS, CUDNN_ATTR_OPERATION_POINTWISE_ALPHA1, CUDNN_TYPE_FLOAT, 1, 1, OPTIONAL },
    { ON_POINTS, CUDNN_ATTR_OPERATION_POINTWISE_ALPHA2, CUDNN_TYPE_FLOAT, 1, 1, OPTIONAL },
    { GRAPH, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, 1, REQUIRED },
    { GRAPH, CUDNN_ATTR_OPERATIONGRAPH_OPS, REFERENCE, 1, DNN_OPS, REQUIRED },
    { HEURISTIC, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, REFERENCE, 1, 1, REQUIRED },
    { HEURISTIC, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, 1, REQUIRED },
    { HEURISTIC, CUDNN_ATTR_ENGINEHEUR_RESULTS, REFERENCE, 0, 1 << 20, ANSWER },
    { ENGINE, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, REFERENCE, 1, 1, REQUIRED },
    { ENGINE, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, 1, REQUIRED },
    { ENGINE, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, 0, 1 << 20, ANSWER },
    { ENGINE, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, 0, 1 << 20, ANSWER },
    { CONFIG, CUDNN_ATTR_ENGINECFG_ENGINE, REFERENCE, 1, 1, REQUIRED },
    { PLAN, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, 1, REQUIRED },
    { PLAN, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, REFERENCE, 1, 1, REQUIRED },
    { PLAN, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, 1, ANSWER },
    { PACK, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 1, DNN_TENSORS, REQUIRED },
    { PACK, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 1, DNN_TENSORS, REQUIRED },
    { PACK, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, 1, OPTIONAL },
};
enum { RULES = sizeof rules / sizeof *rules };

static char last_error[256];

void dnn_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(last_error, sizeof last_error, format, args);
    va_end(args);
}

static size_t get_version(void)
{
    (void)fake_call("cudnnGetVersion");
    return CUDNN_VERSION;
}

static const char *error_string(cudnnStatus_t status)
{
    return status == CUDNN_STATUS_SUCCESS ? "CUDNN_STATUS_SUCCESS" : status >= CUDNN_STATUS_INTERNAL_ERROR ? "CUDNN_STATUS_INTERNAL_ERROR"
           : status >= CUDNN_STATUS_NOT_SUPPORTED ? "CUDNN_STATUS_NOT_SUPPORTED" : "CUDNN_STATUS_BAD_PARAM";
}

static void last_error_string(char *message, size_t bytes) { snprintf(message, bytes, "%s", last_error); }

/* ---- the handle -------------------------------------------------------------------------------------------------- */

static cudnnStatus_t create(cudnnHandle_t *handle)
{
    if (fake_call("cudnnCreate")) return CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
    *handle = fake_object_create(DNN_HANDLE, sizeof(dnn_handle));
    return *handle ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
}

static cudnnStatus_t destroy(cudnnHandle_t handle)
{
    const bool fails = fake_call("cudnnDestroy");
    if (!fake_object_is(handle, DNN_HANDLE, "cudnnDestroy")) return CUDNN_STATUS_BAD_PARAM;
    fake_object_destroy(handle);
    return fails ? CUDNN_STATUS_INTERNAL_ERROR : CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t set_stream(cudnnHandle_t handle, cudaStream_t stream)
{
    if (fake_call("cudnnSetStream")) return CUDNN_STATUS_INTERNAL_ERROR;
    if (!fake_object_is(handle, DNN_HANDLE, "cudnnSetStream")) return CUDNN_STATUS_BAD_PARAM;
    ((dnn_handle *)handle)->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

/* ---- attributes -------------------------------------------------------------------------------------------------- */

static size_t size_of(cudnnBackendAttributeType_t type)
{
    switch (type) {
    case CUDNN_TYPE_BOOLEAN: return sizeof(bool);
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR: return sizeof(void *);
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE: return 8;
    default: return 4; /* floats and enums */
    }
}

const dnn_attribute *dnn_find(const dnn_descriptor *d, cudnnBackendAttributeName_t name)
{
    for (int i = 0; i < d->n; i++) {
        if (d->attribute[i].name == name) return &d->attribute[i];
    }
    return NULL;
}

int64_t dnn_int(const dnn_descriptor *d, cudnnBackendAttributeName_t name, int i, int64_t otherwise)
{
    const dnn_attribute *a = dnn_find(d, name);
    if (!a || i >= a->count) return otherwise;
    return a->type == CUDNN_TYPE_BOOLEAN ? ((bool *)a->data)[i] : a->type == CUDNN_TYPE_INT64 ? ((int64_t *)a->data)[i] : ((int32_t *)a->data)[i];
}

double dnn_real(const dnn_descriptor *d, cudnnBackendAttributeName_t name, double otherwise)
{
    const dnn_attribute *a = dnn_find(d, name);
    return !a ? otherwise : a->type == CUDNN_TYPE_DOUBLE ? *(double *)a->data : (double)*(float *)a->data;
}

void *dnn_pointer(const dnn_descriptor *d, cudnnBackendAttributeName_t name, int i)
{
    const dnn_attribute *a = dnn_find(d, name);
    return a && i < a->count ? ((void **)a->data)[i] : NULL;
}

bool dnn_is(const void *p, cudnnBackendDescriptorType_t type, const char *what)
{
    const dnn_descriptor *d = p;
    if (!fake_object_is(p, DNN_DESCRIPTOR, what)) return false;
    if (d->type == type && d->finalized) return true;
    fake_violation("%s: a descriptor of type %d%s, and should be %d, finalized", what, d->type, d->finalized ? "" : ", not finalized", type);
    return false;
}

/* The rule for an attribute of a living descriptor, or NULL after a violation. */
static const rule *rule_for(const char *call, const dnn_descriptor *d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type)
{
    if (!fake_object_is(d, DNN_DESCRIPTOR, call)) return NULL;
    for (int i = 0; i < RULES; i++) {
        if (rules[i].of != d->type || rules[i].name != name) continue;
        if (rules[i].type == type) return &rules[i];
        fake_violation("%s: attribute %d is of type %d, got %d", call, name, rules[i].type, type);
        return NULL;
    }
    fake_violation("%s: attribute %d of a descriptor of type %d is not one that this fake knows", call, name, d->type);
    return NULL;
}

static bool references_are_right(const rule *r, int64_t count, const void *elements)
{
    for (int64_t i = 0; i < count && (r->type == CUDNN_TYPE_HANDLE || r->type == REFERENCE); i++) {
        const void *p = ((void *const *)elements)[i];
        if (r->type == CUDNN_TYPE_HANDLE && !fake_object_is(p, DNN_HANDLE, "cudnnBackendSetAttribute")) return false;
        if (r->type != REFERENCE) continue;
        if (!fake_object_is(p, DNN_DESCRIPTOR, "cudnnBackendSetAttribute")) return false;
        if (((const dnn_descriptor *)p)->finalized) continue;
        fake_violation("cudnnBackendSetAttribute: attribute %d is a descriptor that is not finalized", r->name);
        return false;
    }
    return true;
}

static cudnnStatus_t set_attribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                   cudnnBackendAttributeType_t type, int64_t count, const void *elements)
{
    static const char call[] = "cudnnBackendSetAttribute";
    dnn_descriptor *d = descriptor;
    if (fake_call(call)) return CUDNN_STATUS_INTERNAL_ERROR;
    const rule *r = rule_for(call, d, name, type);
    if (!r) return CUDNN_STATUS_BAD_PARAM;
    if (d->finalized || r->use == ANSWER || !elements || count < r->least || count > r->most) {
        fake_violation("%s: attribute %d, %lld elements at %p%s", call, name, (long long)count, elements,
                       d->finalized ? ", after the descriptor was finalized" : "");
        return CUDNN_STATUS_BAD_PARAM;
    }
    if (!references_are_right(r, count, elements)) return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
    dnn_attribute *a = (dnn_attribute *)dnn_find(d, name);
    if (!a) a = &d->attribute[d->n++];
    free(a->data);
    *a = (dnn_attribute){ name, type, count, malloc((size_t)count * size_of(type)) };
    if (!a->data) return CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
    memcpy(a->data, elements, (size_t)count * size_of(type));
    return CUDNN_STATUS_SUCCESS;
}

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

static cudnnStatus_t create_descriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *made)
{
    if (fake_call("cudnnBackendCreateDescriptor")) return CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
    bool known = false;
    for (int i = 0; i < RULES; i++) known = known || rules[i].of == type;
    if (!known) {
        fake_violation("cudnnBackendCreateDescriptor: type %d is not one that this fake knows", type);
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    dnn_descriptor *d = fake_object_create(DNN_DESCRIPTOR, sizeof *d);
    *made = d;
    if (!d) return CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
    d->type = type;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t destroy_descriptor(cudnnBackendDescriptor_t descriptor)
{
    dnn_descriptor *d = descriptor;
    const bool fails = fake_call("cudnnBackendDestroyDescriptor");
    if (!fake_object_is(d, DNN_DESCRIPTOR, "cudnnBackendDestroyDescriptor")) return CUDNN_STATUS_BAD_PARAM;
    for (int i = 0; i < d->n; i++) free(d->attribute[i].data);
    fake_object_destroy(d);
    return fails ? CUDNN_STATUS_INTERNAL_ERROR : CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_plan(dnn_descriptor *d)
{
    dnn_program p;
    const dnn_descriptor *config = dnn_pointer(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, 0);
    if (!dnn_is(config, CONFIG, "a plan's configuration")) return CUDNN_STATUS_BAD_PARAM;
    d->graph = config->graph;
    d->engine = config->engine;
    const cudnnStatus_t s = dnn_make_program(d->graph, &p);
    return s == CUDNN_STATUS_SUCCESS ? dnn_plan_status(&p, d->engine) : s;
}

static cudnnStatus_t check_references(dnn_descriptor *d)
{
    dnn_program p;
    const dnn_descriptor *engine;
    switch (d->type) {
    case GRAPH: return dnn_make_program(d, &p);
    case ENGINE:
    case HEURISTIC:
        d->graph = dnn_pointer(d, d->type == ENGINE ? CUDNN_ATTR_ENGINE_OPERATION_GRAPH : CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, 0);
        d->engine = dnn_int(d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0, -1);
        if (!dnn_is(d->graph, GRAPH, "an engine's graph") || dnn_make_program(d->graph, &p) != CUDNN_STATUS_SUCCESS)
            return CUDNN_STATUS_BAD_PARAM;
        return dnn_supports(&p) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN;
    case CONFIG:
        engine = dnn_pointer(d, CUDNN_ATTR_ENGINECFG_ENGINE, 0);
        if (!dnn_is(engine, ENGINE, "a configuration's engine")) return CUDNN_STATUS_BAD_PARAM;
        d->graph = engine->graph;
        d->engine = engine->engine;
        return CUDNN_STATUS_SUCCESS;
    case PLAN: return check_plan(d);
    default: return CUDNN_STATUS_SUCCESS;
    }
}

static cudnnStatus_t finalize(cudnnBackendDescriptor_t descriptor)
{
    static const char call[] = "cudnnBackendFinalize";
    dnn_descriptor *d = descriptor;
    if (fake_call(call)) return CUDNN_STATUS_INTERNAL_ERROR;
    if (!fake_object_is(d, DNN_DESCRIPTOR, call)) return CUDNN_STATUS_BAD_PARAM;
    if (d->finalized) fake_violation("%s: twice", call);
    for (int i = 0; i < RULES; i++) {
        if (rules[i].of != d->type || rules[i].use != REQUIRED || dnn_find(d, rules[i].name)) continue;
        fake_violation("%s: a descriptor of type %d without attribute %d", call, d->type, rules[i].name);
        return CUDNN_STATUS_BAD_PARAM;
    }
    cudnnStatus_t s = d->type == TENSOR ? dnn_check_tensor(d) : d->type == CONVOLUTION ? dnn_check_convolution(d)
                      : d->type == FORWARD || d->type == DATA || d->type == FILTER || d->type == ON_POINTS ? dnn_check_operation(d)
                                                                                                           : check_references(d);
    d->finalized = s == CUDNN_STATUS_SUCCESS;
    return s;
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

/* Fills in a descriptor that the caller has made. */
static bool answer_reference(void *to, cudnnBackendDescriptorType_t type, dnn_descriptor *graph, int64_t engine)
{
    dnn_descriptor *d = to;
    if (!fake_object_is(d, DNN_DESCRIPTOR, "cudnnBackendGetAttribute")) return false;
    if (d->type != type || d->finalized) {
        fake_violation("cudnnBackendGetAttribute: the answer needs a new descriptor of type %d, got type %d", type, d->type);
        return false;
    }
    d->graph = graph;
    d->engine = engine;
    d->finalized = true;
    return true;
}

static int64_t answer(dnn_descriptor *d, cudnnBackendAttributeName_t name, int64_t wanted, void *elements)
{
    dnn_program p;
    int64_t engines[DNN_ENGINES], n = 0;
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    if (dnn_make_program(d->graph, &p) != CUDNN_STATUS_SUCCESS) return -1;
    switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
        n = dnn_engines(&p, dnn_int(d, CUDNN_ATTR_ENGINEHEUR_MODE, 0, 0) == CUDNN_HEUR_MODE_FALLBACK, engines);
        for (int64_t i = 0; i < n && i < wanted; i++) {
            if (!answer_reference(((void **)elements)[i], CONFIG, d->graph, engines[i])) return -1;
        }
        return n;
    case CUDNN_ATTR_ENGINECFG_ENGINE:
        return wanted < 1 || answer_reference(*(void **)elements, ENGINE, d->graph, d->engine) ? 1 : -1;
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
        if (wanted > 0) *(int64_t *)elements = d->engine;
        return 1;
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
        n = dnn_notes(&p, d->engine, notes);
        for (int64_t i = 0; i < n && i < wanted; i++) ((cudnnBackendNumericalNote_t *)elements)[i] = notes[i];
        return n;
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
        if (wanted > 0) *(int64_t *)elements = dnn_plan_workspace(&p, d->engine);
        return 1;
    case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE: return 0;
    default: fake_violation("cudnnBackendGetAttribute: attribute %d is not one that this fake answers", name); return -1;
    }
}

static cudnnStatus_t get_attribute(cudnnBackendDescriptor_t const descriptor, cudnnBackendAttributeName_t name,
                                   cudnnBackendAttributeType_t type, int64_t wanted, int64_t *count, void *elements)
{
    static const char call[] = "cudnnBackendGetAttribute";
    dnn_descriptor *d = descriptor;
    if (fake_call(call)) return CUDNN_STATUS_INTERNAL_ERROR;
    if (!rule_for(call, d, name, type)) return CUDNN_STATUS_BAD_PARAM;
    if (!d->finalized || wanted < 0 || (wanted > 0 && !elements)) {
        fake_violation("%s: attribute %d, %lld elements at %p%s", call, name, (long long)wanted, elements,
                       d->finalized ? "" : ", before the descriptor was finalized");
        return CUDNN_STATUS_BAD_PARAM;
    }
    const int64_t n = answer(d, name, wanted, elements);
    if (n < 0) return CUDNN_STATUS_BAD_PARAM;
    if (count) *count = wanted > 0 && n > wanted ? wanted : n;
    return CUDNN_STATUS_SUCCESS;
}

void fake_cudnn_calls(dr_cuda_calls *calls)
{
    calls->cudnnGetVersion = get_version;
    calls->cudnnGetErrorString = error_string;
    calls->cudnnGetLastErrorString = last_error_string;
    calls->cudnnCreate = create;
    calls->cudnnDestroy = destroy;
    calls->cudnnSetStream = set_stream;
    calls->cudnnBackendCreateDescriptor = create_descriptor;
    calls->cudnnBackendDestroyDescriptor = destroy_descriptor;
    calls->cudnnBackendSetAttribute = set_attribute;
    calls->cudnnBackendGetAttribute = get_attribute;
    calls->cudnnBackendFinalize = finalize;
    calls->cudnnBackendExecute = fake_cudnn_execute;
}
