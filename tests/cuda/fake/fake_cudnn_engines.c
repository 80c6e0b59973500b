/* fake_cudnn_engines.c: which graphs the fake cuDNN takes, and by which engines. It takes less than cuDNN does:
 * convolutions of channels-last images by filters that lie as [Co,k,k,Ci]; x and filter of one type, sums in f32, a result of
 * their type or f32; pointwise operations only behind a forward or data convolution.
 *
 *   engine 0  multiplies and adds, one operation alone; no notes
 *   engine 1  TENSOR_CORE: rounds f32 factors to TF32; needs tensors aligned to 16 bytes, and even channels in bf16
 *   engine 2  as 1, and NONDETERMINISTIC: backward alone; the order of sums alternates from run to run
 *   engine 3  as 1, and DOWN_CONVERT_INPUTS (f32 to bf16) or REDUCED_PRECISION_REDUCTION (bf16 sums)
 *   engine 4  is advised first, and no plan of it can be finalized
 *
 * So a test sees which engines are left out, and that another is taken where a plan is refused. More are refused by
 * fake_cudnn_refuse_engines() and by DRIFT_FAKE_CUDNN_REFUSE, a mask of engines. */
#include "fake_cudnn.h"

#include <stdlib.h>

static uint32_t refused;

void fake_cudnn_refuse_engines(uint32_t mask) { refused = mask; }

static const dnn_op *convolution_of(const dnn_program *p)
{
    return p->op[0].kind == DNN_POINTWISE ? NULL : &p->op[0];
}

/* ---- graphs ------------------------------------------------------------------------------------------------------ */

static bool is_channels_last(const dnn_tensor *t, bool packed)
{
    const int64_t C = t->dims[1], H = t->dims[2], W = t->dims[3];
    if (C > 1 && t->strides[1] != 1) return false;
    if (W > 1 && t->strides[3] < C) return false;
    if (!packed) return true;
    return (W == 1 || t->strides[3] == C) && (H == 1 || t->strides[2] == W * C) && (t->dims[0] == 1 || t->strides[0] == H * W * C);
}

static bool convolution_is_taken(const dnn_program *p, const dnn_op *op)
{
    const dnn_tensor *x = &p->tensor[op->x], *w = &p->tensor[op->w], *y = &p->tensor[op->y];
    const dnn_tensor *filter = op->kind == DNN_FILTER ? y : w;
    if (!is_channels_last(filter, true)) dnn_say("the filter does not lie as [Co,k,k,Ci]");
    else if (x->bf16 != w->bf16) dnn_say("a convolution of two types");
    else if (y->bf16 && !x->bf16) dnn_say("a convolution of f32 into bf16");
    else if (op->kind == DNN_FILTER && p->n_ops > 1) dnn_say("operations behind a gradient of weights");
    else if (op->beta != 0.0) dnn_say("a convolution that adds to its output");
    else return true;
    return false;
}

bool dnn_supports(const dnn_program *p)
{
    for (int i = 0; i < p->n_tensors; i++) {
        if (is_channels_last(&p->tensor[i], false)) continue;
        dnn_say("tensor %lld is not channels-last", (long long)p->tensor[i].uid);
        return false;
    }
    for (int i = 1; i < p->n_ops; i++) {
        if (p->op[i].kind == DNN_POINTWISE && p->op[i].x == p->op[i - 1].y) continue;
        dnn_say("operation %d of the graph is not a pointwise one of what the one before it makes", i);
        return false;
    }
    return !convolution_of(p) || convolution_is_taken(p, convolution_of(p));
}

/* ---- engines ----------------------------------------------------------------------------------------------------- */

static bool in_f32(const dnn_program *p) { return !p->tensor[p->op[0].x].bf16; }

int dnn_engines(const dnn_program *p, bool fallback, int64_t list[DNN_ENGINES])
{
    const dnn_op *convolution = convolution_of(p);
    int n = 0;
    if (!dnn_supports(p)) return 0;
    if (!fallback) list[n++] = 4;
    if (!fallback && convolution && convolution->kind != DNN_FORWARD) list[n++] = 2;
    if (!fallback && convolution) list[n++] = 3;
    if (!fallback) list[n++] = 1;
    if (p->n_ops == 1) list[n++] = 0;
    return n;
}

int dnn_notes(const dnn_program *p, int64_t engine, cudnnBackendNumericalNote_t list[CUDNN_NUMERICAL_NOTE_TYPE_COUNT])
{
    int n = 0;
    if (engine >= 1 && engine <= 3) list[n++] = CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
    if (engine == 2) list[n++] = CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
    if (engine == 3)
        list[n++] = in_f32(p) ? CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS : CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION;
    return n;
}

cudnnStatus_t dnn_plan_status(const dnn_program *p, int64_t engine)
{
    static bool asked;
    const char *mask = asked ? NULL : getenv("DRIFT_FAKE_CUDNN_REFUSE");
    asked = true;
    if (mask) refused = (uint32_t)strtoul(mask, NULL, 0);
    if (engine < 0 || engine >= DNN_ENGINES || engine == 4 || (refused >> engine & 1) != 0) {
        dnn_say("engine %lld cannot do this", (long long)engine);
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    if (engine == 0 && p->n_ops > 1) return CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN;
    for (int i = 0; i < p->n_tensors && engine > 0; i++) {
        const dnn_tensor *t = &p->tensor[i];
        if (t->is_virtual || (t->alignment >= 16 && (!t->bf16 || t->dims[1] % 2 == 0))) continue;
        dnn_say("engine %lld: tensor %lld is not aligned to 16 bytes, or has odd channels", (long long)engine, (long long)t->uid);
        return CUDNN_STATUS_NOT_SUPPORTED_SHAPE;
    }
    return CUDNN_STATUS_SUCCESS;
}

int64_t dnn_plan_workspace(const dnn_program *p, int64_t engine)
{
    const dnn_tensor *y = &p->tensor[p->op[0].y];
    return engine == 0 ? 0 : 16 + 4 * y->dims[0] * y->dims[1] * y->dims[2] * y->dims[3];
}
