/* conv2d.c: convolution, its two gradients and transposed convolution.
 *   y[b,co,oy,ox] = bias[co] + sum over ci,ky,kx of x[b,ci,oy s - p + ky,ox s - p + kx] weight[co,ci,ky,kx]
 * Images lie channels-last, weights row-major: they are turned to [Co,k,k,Ci], and in bf16 rounded, in one kernel before
 * the product; gradients of weights are turned back in the kernel that sums the bias' gradient. conv2d_choice.c chooses who
 * makes the product. One channel on one side goes to conv2d_thin.cu; where the kernel covers the image there is one
 * product, [B,k k Ci] by [k k Ci,Co], and it runs as a 1x1 convolution. */
#include "conv2d.h"
#include "conv2d_choice.h"
#include "conv2d_tile.h"
#include "conv2d_weight_tile.h"
#include "cuda_graph.h"

#include <stdlib.h>
#include <string.h>

static dr_conv_shape shape_between(const dr_view *x, const dr_view *y, int64_t k, int64_t stride, int64_t padding)
{
    return (dr_conv_shape){ .B = x->shape[0], .Ci = x->shape[1], .H = x->shape[2], .W = x->shape[3], .Co = y->shape[1],
                            .Ho = y->shape[2], .Wo = y->shape[3], .k = k, .stride = stride, .padding = padding };
}

static size_t size_of(int32_t dtype) { return dtype == DR_BF16 ? 2 : 4; }
static size_t rounded(size_t bytes) { return (bytes + 255) / 256 * 256; }

/* ---- a call -------------------------------------------------------------------------------------------------------------- */

static dr_conv_call call_of(dr_conv_kind kind, const dr_conv_shape *s, int32_t dtype)
{
    dr_conv_call c = { .kind = kind, .shape = *s, .Ci = s->Ci, .taps = s->k * s->k, .dtype = dtype, .weight_dtype = dtype };
    c.whole = s->k > 1 && s->padding == 0 && s->H == s->k && s->W == s->k;
    if (c.whole || (s->k == 1 && s->padding == 0 && s->stride == 1)) { /* pixels make no difference to a product */
        c.shape = (dr_conv_shape){ s->B, c.whole ? s->Ci * c.taps : s->Ci, c.whole ? 1 : s->H, c.whole ? 1 : s->W, s->Co,
                                   s->Ho, s->Wo, 1, 1, 0 };
    }
    return c;
}

static bool is_thin(const dr_kargs *a, dr_conv_kind kind, const dr_conv_shape *s)
{
    const char *conv = getenv("DRIFT_CUDA_CONV");
    if (conv && strcmp(conv, "cudnn") == 0 && dr_cuda_of(a)->cudnn->handle) return false;
    return dr_conv2d_thin_suits(kind, s);
}

/* Kernels count pixels and channels in 32 bits. */
static bool fits(const dr_kargs *a, const dr_conv_shape *s)
{
    const int64_t most = INT32_MAX;
    if (s->B * s->H * s->W < most && s->B * s->Ho * s->Wo < most && s->Ci * s->k * s->k < most && s->Co * s->k * s->k < most &&
        s->padding < most / 4)
        return true;
    dr_cuda_refuse(a, DR_EUNSUPPORTED, "images of more than 2^31 pixels are too large for cuda: use smaller batches");
    return false;
}

/* ---- images: x -> y, or y -> x ------------------------------------------------------------------------------------------- */

/* Where `add` has fewer rows than the batch a fused graph runs once for each time that it serves. */
static bool run_plan(const dr_conv_call *c, const dr_conv_choice *choice, const void *weight, const void *bias, void *workspace)
{
    const bool fused = choice->form == DR_CONV_CUDNN_FUSED;
    const dr_conv_shape *s = &c->shape;
    const size_t y = (size_t)(s->Co * s->Ho * s->Wo) * size_of(c->dtype), x = (size_t)(s->Ci * s->H * s->W) * size_of(c->dtype);
    const int64_t rows = fused && c->after.add ? c->after.add_rows : s->B;
    for (int64_t b = 0; b < s->B; b += rows) {
        void *const pointers[DR_CUDNN_TENSORS] = {
            [DR_CUDNN_FROM] = (char *)c->from + (size_t)b * (c->kind == DR_CONV_DATA ? y : x),
            [DR_CUDNN_WEIGHT] = (void *)weight,
            [DR_CUDNN_TO] = (char *)c->to + (size_t)b * (c->kind == DR_CONV_DATA ? x : y),
            [DR_CUDNN_BIAS] = fused ? (void *)bias : NULL,
            [DR_CUDNN_ADD] = fused ? (void *)c->after.add : NULL,
        };
        if (!dr_cudnn_plan_run(choice->plan, pointers, workspace)) return false;
    }
    return true;
}

/* What a run needs of the workspace, in this order. */
typedef struct run_memory {
    size_t weight, sums, plan; /* images: weight and bias, turned; WEIGHT: parts of the bias' and the weight's gradients */
    char *at;
} run_memory;

static bool take_memory(const dr_kargs *a, run_memory *m, const dr_conv_choice *choice)
{
    m->plan = choice->plan ? dr_cudnn_plan_workspace(choice->plan) : 0;
    const size_t bytes = m->weight + m->sums + m->plan;
    m->at = bytes > 0 ? dr_cuda_workspace(a, bytes) : NULL;
    return bytes == 0 || m->at;
}

static bool run_images(const dr_kargs *a, const dr_conv_call *c, const dr_conv_choice *choice)
{
    const dr_conv_shape *s = &c->shape;
    const bool data = c->kind == DR_CONV_DATA, fused = choice->form == DR_CONV_CUDNN_FUSED;
    const bool weight_stays = c->taps == 1 && c->weight_dtype == c->dtype && (!choice->plan || ((uintptr_t)c->second & 15) == 0);
    const bool bias_stays = !fused || !c->after.bias || c->after.bias_dtype == c->dtype;
    const int64_t n = s->B * (data ? s->Ci * s->H * s->W : s->Co * s->Ho * s->Wo);
    run_memory m = { .weight = weight_stays ? 0 : rounded((size_t)(s->Co * c->Ci * c->taps) * size_of(c->dtype)),
                     .sums = bias_stays ? 0 : rounded((size_t)c->after.channels * size_of(c->dtype)) };
    if (!take_memory(a, &m, choice)) return false;
    const void *weight = weight_stays ? c->second : m.at, *bias = bias_stays ? c->after.bias : m.at + m.weight;
    const dr_conv_last turned = { .weight = weight_stays ? NULL : c->second, .weight_dtype = c->weight_dtype, .dtype = c->dtype,
                                  .Co = s->Co, .Ci = c->Ci, .taps = c->taps, .channels = c->after.channels, .last = m.at,
                                  .bias = bias_stays ? NULL : c->after.bias, .bias_last = bias_stays ? NULL : m.at + m.weight };
    dr_conv_weight_last(a, &turned);
    if (choice->form == DR_CONV_TILE) {
        dr_conv2d_tile(a, (int)choice->index, c->kind, s, c->from, weight, &c->after, c->to);
        return true;
    }
    if (!choice->plan) {
        dr_conv2d_direct(a, c->kind, s, c->dtype, c->from, weight, &c->after, c->to);
        return true;
    }
    if (!run_plan(c, choice, weight, bias, m.plan ? m.at + m.weight + m.sums : NULL)) return false;
    if (!fused && !dr_conv_nothing_after(&c->after))
        dr_conv_finish(a, c->to, c->dtype, s->B, n / s->B / c->after.channels, &c->after);
    return true;
}

static dr_conv_after after_of(const dr_kargs *a, int64_t act)
{
    const void *bias = dr_optional(a, 2), *add = dr_optional(a, 3);
    return (dr_conv_after){ .bias = bias, .bias_dtype = bias ? a->in[2].dtype : DR_F32, .channels = a->out[0].shape[1],
                            .add = add, .add_rows = add ? a->in[3].shape[0] : 0, .act = act };
}

static void convolve(const dr_kargs *a, dr_conv_kind kind, const dr_conv_shape *s, const dr_conv_after *after)
{
    dr_conv_call c = call_of(kind, s, a->in[0].dtype);
    c.weight_dtype = a->in[1].dtype;
    c.from = dr_in(a, 0);
    c.second = dr_in(a, 1);
    c.to = dr_out(a, 0);
    c.after = *after;
    if (dr_numel(&a->out[0]) == 0 || !fits(a, s)) return;
    if (is_thin(a, kind, s)) dr_conv2d_thin(a, kind, s, c.dtype, c.from, c.second, c.weight_dtype, after, c.to);
    else dr_conv_run(a, &c, run_images);
}

void dr_conv2d_forward(const dr_kargs *a, int64_t stride, int64_t padding, int64_t act)
{
    const dr_conv_shape s = shape_between(&a->in[0], &a->out[0], a->in[1].shape[2], stride, padding);
    const dr_conv_after after = after_of(a, act);
    convolve(a, DR_CONV_FORWARD, &s, &after);
}

/* The convolution that this transposes goes from its result to x, with the weight [Ci,Co,k,k] as it lies. */
void dr_conv2d_transposed(const dr_kargs *a, int64_t stride, int64_t padding, int64_t act)
{
    const dr_conv_shape s = shape_between(&a->out[0], &a->in[0], a->in[1].shape[2], stride, padding);
    const dr_conv_after after = after_of(a, act);
    convolve(a, DR_CONV_DATA, &s, &after);
}

/* ---- the gradient in weight and bias ------------------------------------------------------------------------------------ */

/* The parts that the two gradients come in, before they are added up. */
typedef struct weight_parts {
    int64_t weight, bias;
    int32_t dtype; /* the weight's; the bias' is f32 */
} weight_parts;

static weight_parts parts_of(const dr_conv_call *c, const dr_conv_choice *choice)
{
    const dr_conv_shape *s = &c->shape;
    const int64_t bias = dr_bias_parts(s->B * s->Ho * s->Wo);
    if (choice->plan) return (weight_parts){ 1, bias, c->dtype };
    if (choice->form == DR_CONV_DIRECT) return (weight_parts){ dr_conv2d_direct_weight_parts(s), bias, DR_F32 };
    const int64_t both = dr_conv2d_weight_tile_parts((int)choice->index, s);
    return (weight_parts){ both, both, DR_F32 };
}

/* Sums of the two gradients in parts; the weight's, where they need no turning, into dw. */
static bool sum_weight(const dr_kargs *a, const dr_conv_call *c, const dr_conv_choice *choice, void *to, float *bias,
                       void *workspace)
{
    const dr_conv_shape *s = &c->shape;
    if (choice->form == DR_CONV_TILE) {
        dr_conv2d_weight_tile(a, (int)choice->index, s, c->from, c->second, to, bias);
        return true;
    }
    if (bias) dr_bias_gradient(a, c->second, c->dtype, s->B * s->Ho * s->Wo, s->Co, bias);
    if (choice->form == DR_CONV_DIRECT) {
        dr_conv2d_direct_weight(a, s, c->dtype, c->from, c->second, to);
        return true;
    }
    void *const pointers[DR_CUDNN_TENSORS] = { [DR_CUDNN_FROM] = (void *)c->from, [DR_CUDNN_WEIGHT] = (void *)c->second,
                                               [DR_CUDNN_TO] = to };
    return dr_cudnn_plan_run(choice->plan, pointers, workspace);
}

/* [parts,Co,taps,Ci] -> dw, [parts,Co] -> db */
static void finish_weight(const dr_kargs *a, const dr_conv_call *c, weight_parts n, const void *weight, const float *bias)
{
    const dr_conv_parts p = { .weight = weight, .weight_dtype = n.dtype, .parts = n.weight, .Co = c->shape.Co, .Ci = c->Ci,
                              .taps = c->taps, .dw = c->to, .bias = bias, .bias_parts = n.bias, .db = c->db };
    dr_conv_finish_weight(a, &p);
}

static size_t bias_bytes(const dr_conv_call *c, int64_t parts)
{
    return c->db ? rounded((size_t)(parts * c->shape.Co) * sizeof(float)) : 0;
}

static bool run_weight(const dr_kargs *a, const dr_conv_call *c, const dr_conv_choice *choice)
{
    const weight_parts n = parts_of(c, choice);
    const bool straight = c->taps == 1 && n.weight == 1 && n.dtype == DR_F32;
    const size_t size = (size_t)(c->shape.Co * c->Ci * c->taps) * size_of(n.dtype);
    run_memory m = { .weight = bias_bytes(c, n.bias), .sums = straight ? 0 : rounded((size_t)n.weight * size) };
    if (!take_memory(a, &m, choice)) return false;
    void *to = straight ? c->to : m.at + m.weight;
    float *bias = c->db ? (float *)m.at : NULL;
    if (!sum_weight(a, c, choice, to, bias, m.plan ? m.at + m.weight + m.sums : NULL)) return false;
    finish_weight(a, c, n, straight ? NULL : to, bias);
    return true;
}

static void thin_weight(const dr_kargs *a, const dr_conv_call *c)
{
    const dr_conv_shape *s = &c->shape;
    const int64_t P = s->B * s->Ho * s->Wo;
    const weight_parts n = { dr_conv2d_thin_weight_parts(s), dr_bias_parts(P), DR_F32 };
    const size_t bias = bias_bytes(c, n.bias);
    char *memory = dr_cuda_workspace(a, bias + (size_t)(n.weight * s->Co * c->Ci * c->taps) * sizeof(float));
    if (!memory) return;
    if (c->db) dr_bias_gradient(a, c->second, c->dtype, P, s->Co, (float *)memory);
    dr_conv2d_thin_weight(a, s, c->dtype, c->from, c->second, (float *)(memory + bias));
    finish_weight(a, c, n, memory + bias, c->db ? (float *)memory : NULL);
}

static void clear(const dr_kargs *a, int i)
{
    cuda *c = dr_cuda_of(a);
    const size_t bytes = (size_t)dr_numel(&a->out[i]) * sizeof(float);
    if (bytes > 0) dr_cuda_error(c, c->calls->cudaMemsetAsync(dr_out(a, i), 0, bytes, c->stream), a->op);
}

/* x [B,Ci,H,W], dy [B,Co,Ho,Wo] -> dw [Co,Ci,k,k], db [Co] or [0], both f32 */
static void conv2d_backward_weight(const dr_kargs *a)
{
    const dr_conv2d_backward_weight_attr *attr = a->attr;
    const dr_conv_shape s = shape_between(&a->in[0], &a->in[1], attr->kernel, attr->stride, attr->padding);
    dr_conv_call c = call_of(DR_CONV_WEIGHT, &s, a->in[0].dtype);
    c.from = dr_in(a, 0);
    c.second = dr_in(a, 1);
    c.to = dr_out(a, 0);
    c.db = attr->bias ? dr_out(a, 1) : NULL;
    if (dr_numel(&a->in[0]) == 0 || dr_numel(&a->in[1]) == 0) { /* an empty batch */
        clear(a, 0);
        clear(a, 1);
        return;
    }
    if (!fits(a, &s)) return;
    if (is_thin(a, DR_CONV_WEIGHT, &s)) thin_weight(a, &c);
    else dr_conv_run(a, &c, run_weight);
}

static void conv2d(const dr_kargs *a)
{
    const dr_conv2d_attr *attr = a->attr;
    dr_conv2d_forward(a, attr->stride, attr->padding, DR_ACT_NONE);
}

/* dy [B,Co,Ho,Wo], weight [Co,Ci,k,k] -> dx [B,Ci,H,W] */
static void conv2d_backward_data(const dr_kargs *a)
{
    const dr_conv2d_backward_data_attr *attr = a->attr;
    const dr_conv_after nothing = { .channels = a->out[0].shape[1], .act = DR_ACT_NONE };
    const dr_conv_shape s = shape_between(&a->out[0], &a->in[0], a->in[1].shape[2], attr->stride, attr->padding);
    convolve(a, DR_CONV_DATA, &s, &nothing);
}

static void conv_transpose2d(const dr_kargs *a)
{
    const dr_conv_transpose2d_attr *attr = a->attr;
    dr_conv2d_transposed(a, attr->stride, attr->padding, DR_ACT_NONE);
}

DR_KERNEL(conv2d, DR_F32, conv2d)
DR_KERNEL(conv2d, DR_BF16, conv2d)
DR_KERNEL(conv2d_backward_data, DR_F32, conv2d_backward_data)
DR_KERNEL(conv2d_backward_data, DR_BF16, conv2d_backward_data)
DR_KERNEL(conv2d_backward_weight, DR_F32, conv2d_backward_weight)
DR_KERNEL(conv2d_backward_weight, DR_BF16, conv2d_backward_weight)
DR_KERNEL(conv_transpose2d, DR_F32, conv_transpose2d)
DR_KERNEL(conv_transpose2d, DR_BF16, conv_transpose2d)
