/* fake_cudnn_run.c: plans of the fake cuDNN: what a variant pack must have, and the graph on the processor, by plain loops.
 * Tensors are turned into f32 arrays [B,H,W,C] first, and the results of operations lie in such. */
#include "fake_cudnn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int64_t count_of(const dnn_tensor *t) { return t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3]; }

/* ---- tensors to arrays and back ---------------------------------------------------------------------------------- */

/* The place in memory of element i of the array [B,H,W,C]. */
static int64_t place(const dnn_tensor *t, int64_t i)
{
    const int64_t C = t->dims[1], H = t->dims[2], W = t->dims[3];
    return i / (C * W * H) * t->strides[0] + i % C * t->strides[1] + i / (C * W) % H * t->strides[2] + i / C % W * t->strides[3];
}

static float *new_array(const dnn_tensor *t)
{
    float *array = malloc((size_t)count_of(t) * sizeof *array);
    if (array) return array;
    fprintf(stderr, "fake cuDNN: out of memory\n");
    abort();
}

static float *read_tensor(const dnn_tensor *t, const void *data)
{
    const int64_t n = count_of(t);
    float *array = new_array(t);
    for (int64_t i = 0; i < n; i++) array[i] = fake_load(data, t->bf16, place(t, i));
    return array;
}

static void write_tensor(const dnn_tensor *t, void *data, const float *array)
{
    const int64_t n = count_of(t);
    for (int64_t i = 0; i < n; i++) fake_store(data, t->bf16, place(t, i), array[i]);
}

/* ---- convolutions ------------------------------------------------------------------------------------------------ */

static float to_tf32(float v) /* 10 bits of mantissa, to nearest */
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    if (v == v) bits = (bits + 0xfff + (bits >> 13 & 1)) & 0xffffe000u;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void round_factors(float *array, const dnn_tensor *t, int64_t engine)
{
    const int64_t n = count_of(t);
    if (t->bf16 || engine == 0) return;
    for (int64_t i = 0; i < n; i++) array[i] = engine == 3 ? fake_rounded(array[i], true) : to_tf32(array[i]);
}

typedef struct walk { /* over a convolution's result, its filter, and the pixel of the image that they meet at */
    const dnn_op *op;
    const dnn_tensor *image, *filter, *result;
    bool backward;    /* in the other order */
    int64_t b, p, q, r, s, step;
    int64_t at_image, at_filter, at_result; /* where the channels begin; of channel k's filter: + k filter_step */
    int64_t filter_step;
} walk;

static bool next(walk *w)
{
    const int64_t *y = w->result->dims, *x = w->image->dims, *f = w->filter->dims;
    const int64_t steps = y[0] * y[2] * y[3] * f[2] * f[3];
    while (w->step < steps) {
        int64_t i = w->backward ? steps - 1 - w->step : w->step;
        w->step++;
        w->s = i % f[3], i /= f[3];
        w->r = i % f[2], i /= f[2];
        w->q = i % y[3], i /= y[3];
        w->p = i % y[2], w->b = i / y[2];
        const int64_t h = w->p * w->op->stride[0] - w->op->padding[0] + w->r * w->op->dilation[0];
        const int64_t v = w->q * w->op->stride[1] - w->op->padding[1] + w->s * w->op->dilation[1];
        if (h < 0 || h >= x[2] || v < 0 || v >= x[3]) continue;
        w->at_image = ((w->b * x[2] + h) * x[3] + v) * x[1];
        w->at_result = ((w->b * y[2] + w->p) * y[3] + w->q) * y[1];
        w->at_filter = (w->r * f[3] + w->s) * f[1];
        w->filter_step = f[2] * f[3] * f[1];
        return true;
    }
    return false;
}

static void convolve(walk *w, dnn_kind kind, const float *x, const float *second, float *out, bool coarse)
{
    const int64_t Ci = w->filter->dims[1], Co = w->filter->dims[0];
    while (next(w))
        for (int64_t k = 0; k < Co; k++) {
            const int64_t at_r = w->at_result + k;
            for (int64_t c = 0; c < Ci; c++) {
                const int64_t at_i = w->at_image + c, at_f = w->at_filter + k * w->filter_step + c;
                const int64_t to = kind == DNN_FORWARD ? at_r : kind == DNN_DATA ? at_i : at_f;
                const float v = kind == DNN_FORWARD ? x[at_i] * second[at_f] : kind == DNN_DATA ? x[at_r] * second[at_f] : x[at_i] * second[at_r];
                out[to] = fake_rounded(out[to] + v, coarse);
            }
        }
}

static void run_convolution(const dnn_task *t, const dnn_op *op, float *x, float *second, float *out)
{
    static bool other_order;
    const dnn_tensor *tx = &t->program.tensor[op->x], *tw = &t->program.tensor[op->w], *ty = &t->program.tensor[op->y];
    other_order = !other_order;
    walk w = { .op = op,
               .image = op->kind == DNN_DATA ? ty : tx,
               .filter = op->kind == DNN_FILTER ? ty : tw,
               .result = op->kind == DNN_FORWARD ? ty : op->kind == DNN_DATA ? tx : tw,
               .backward = (t->engine == 2 && other_order) != (ty->dims[0] % 3 == 2) }; /* as the batch decides on what is best */
    round_factors(x, tx, t->engine);
    round_factors(second, tw, t->engine);
    memset(out, 0, (size_t)count_of(ty) * sizeof *out);
    convolve(&w, op->kind, x, second, out, t->engine == 3 && tx->bf16);
    for (int64_t i = 0; i < count_of(ty); i++) out[i] *= (float)op->alpha;
}

/* ---- pointwise operations ---------------------------------------------------------------------------------------- */

static float point(const dnn_op *op, float x, float b)
{
    switch (op->mode) {
    case CUDNN_POINTWISE_ADD: return x + b;
    case CUDNN_POINTWISE_SUB: return x - b;
    case CUDNN_POINTWISE_MUL: return x * b;
    case CUDNN_POINTWISE_RELU_FWD:
        return x < (float)op->lower ? (float)(op->lower + op->slope * (x - op->lower)) : x > op->upper ? (float)op->upper : x;
    case CUDNN_POINTWISE_GELU_FWD: return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    case CUDNN_POINTWISE_GELU_APPROX_TANH_FWD: return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    case CUDNN_POINTWISE_SWISH_FWD: return x / (1.0f + expf(-(float)op->swish * x));
    case CUDNN_POINTWISE_SIGMOID_FWD: return 1.0f / (1.0f + expf(-x));
    case CUDNN_POINTWISE_TANH_FWD: return tanhf(x);
    default: return x; /* IDENTITY */
    }
}

static void run_pointwise(const dnn_task *t, const dnn_op *op, const float *x, const float *b, float *out)
{
    const dnn_tensor *ty = &t->program.tensor[op->y], *tb = op->w < 0 ? ty : &t->program.tensor[op->w];
    const int64_t C = ty->dims[1], H = ty->dims[2], W = ty->dims[3], *d = tb->dims;
    for (int64_t i = 0; i < count_of(ty); i++) {
        const int64_t n = i / (C * W * H) % d[0], c = i % C % d[1], h = i / (C * W) % H % d[2], w = i / C % W % d[3];
        const float other = b ? (float)op->beta * b[((n * d[2] + h) * d[3] + w) * d[1] + c] : 0.0f;
        out[i] = point(op, (float)op->alpha * x[i], other);
    }
}

/* ---- the graph --------------------------------------------------------------------------------------------------- */

void dnn_run(void *closure)
{
    const dnn_task *t = closure;
    const dnn_program *p = &t->program;
    float *array[DNN_TENSORS] = { NULL };
    if (t->workspace_bytes) memset(t->workspace, 0xff, t->workspace_bytes); /* NaN */
    for (int i = 0; i < p->n_ops; i++) {
        const dnn_op *op = &p->op[i];
        const int inputs[] = { op->x, op->w };
        for (int j = 0; j < 2; j++) {
            const int in = inputs[j];
            if (in >= 0 && !array[in]) array[in] = read_tensor(&p->tensor[in], t->data[in]);
        }
        const dnn_tensor *y = &p->tensor[op->y];
        float *out = array[op->y] = new_array(y);
        if (op->kind == DNN_POINTWISE) run_pointwise(t, op, array[op->x], op->w < 0 ? NULL : array[op->w], out);
        else run_convolution(t, op, array[op->x], array[op->w], out);
        for (int64_t k = 0; k < count_of(y); k++) out[k] = fake_rounded(out[k], y->bf16);
        if (!y->is_virtual) write_tensor(y, t->data[op->y], out);
    }
    for (int i = 0; i < p->n_tensors; i++) free(array[i]);
}

static size_t bytes_of(const dnn_tensor *t)
{
    int64_t last = 0;
    for (int i = 0; i < 4; i++) last += (t->dims[i] - 1) * t->strides[i];
    return (size_t)(last + 1) * (t->bf16 ? 2 : 4);
}

static bool shares(const char *a, size_t a_bytes, const char *b, size_t b_bytes) { return a < b + b_bytes && b < a + a_bytes; }

/* The pointer that a pack has for a tensor, into the task. */
static bool take_pointer(dnn_task *t, int i, const dnn_descriptor *pack)
{
    const dnn_tensor *tensor = &t->program.tensor[i];
    const dnn_attribute *ids = dnn_find(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    int found = 0;
    for (int j = 0; j < ids->count; j++) {
        if (((int64_t *)ids->data)[j] != tensor->uid) continue;
        t->data[i] = dnn_pointer(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, j);
        found++;
    }
    if (found != 1) fake_violation("cudnnBackendExecute: the pack has tensor %lld %d times", (long long)tensor->uid, found);
    else if (!fake_on_device(t->data[i], bytes_of(tensor)))
        fake_violation("cudnnBackendExecute: tensor %lld, %zu bytes at %p, is not memory of the device", (long long)tensor->uid,
                       bytes_of(tensor), t->data[i]);
    else if ((uintptr_t)t->data[i] % (uintptr_t)tensor->alignment != 0)
        fake_violation("cudnnBackendExecute: tensor %lld at %p is not aligned to %lld bytes", (long long)tensor->uid, t->data[i],
                       (long long)tensor->alignment);
    else return true;
    return false;
}

/* What is written shares memory with nothing else. */
static bool memory_is_apart(const dnn_task *t)
{
    const dnn_program *p = &t->program;
    const int y = p->op[p->n_ops - 1].y;
    for (int i = 0; i < p->n_tensors; i++) {
        const dnn_tensor *tensor = &p->tensor[i];
        if (tensor->is_virtual) continue;
        if (i != y && shares(t->data[i], bytes_of(tensor), t->data[y], bytes_of(&p->tensor[y])))
            fake_violation("cudnnBackendExecute: tensor %lld shares its memory with what is written", (long long)tensor->uid);
        else if (t->workspace_bytes && shares(t->data[i], bytes_of(tensor), t->workspace, t->workspace_bytes))
            fake_violation("cudnnBackendExecute: tensor %lld lies in the workspace", (long long)tensor->uid);
        else continue;
        return false;
    }
    return true;
}

static bool pack_is_right(dnn_task *t, const dnn_descriptor *pack)
{
    const dnn_attribute *ids = dnn_find(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    const dnn_attribute *pointers = dnn_find(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    int needed = 0;
    for (int i = 0; i < t->program.n_tensors; i++) {
        if (t->program.tensor[i].is_virtual) continue;
        needed++;
        if (!take_pointer(t, i, pack)) return false;
    }
    if (ids->count == needed && pointers->count == needed) return true;
    fake_violation("cudnnBackendExecute: the pack has %lld ids and %lld pointers, the graph %d tensors", (long long)ids->count,
                   (long long)pointers->count, needed);
    return false;
}

cudnnStatus_t fake_cudnn_execute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack)
{
    static const char call[] = "cudnnBackendExecute";
    const dnn_descriptor *d = plan;
    dnn_task t;
    if (fake_call(call)) return CUDNN_STATUS_EXECUTION_FAILED;
    memset(&t, 0, sizeof t);
    if (!fake_object_is(handle, DNN_HANDLE, call) || !dnn_is(d, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, call) ||
        !dnn_is(pack, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, call) ||
        !dnn_is(dnn_pointer(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, 0), CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, call) ||
        dnn_make_program(d->graph, &t.program) != CUDNN_STATUS_SUCCESS || !pack_is_right(&t, pack))
        return CUDNN_STATUS_BAD_PARAM;
    t.engine = d->engine;
    t.workspace = dnn_pointer(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, 0);
    t.workspace_bytes = (size_t)dnn_plan_workspace(&t.program, t.engine);
    if (t.workspace_bytes && (!fake_on_device(t.workspace, t.workspace_bytes) || (uintptr_t)t.workspace % 16 != 0)) {
        fake_violation("%s: the workspace at %p is not %zu bytes of the device, aligned", call, t.workspace, t.workspace_bytes);
        return CUDNN_STATUS_BAD_PARAM;
    }
    if (!memory_is_apart(&t)) return CUDNN_STATUS_BAD_PARAM;
    fake_submit(((dnn_handle *)handle)->stream, call, dnn_run, &t, sizeof t);
    return CUDNN_STATUS_SUCCESS;
}
