/* conv2d.c: convolution, its two gradients and transposed convolution, by oneDNN; forward also with an activation.
 *   y[b,co,oy,ox] = bias[co] + sum over ci,ky,kx of x[b,ci,oy s - p + ky,ox s - p + kx] weight[co,ci,ky,kx]
 * Images lie channels-last, weights row-major; oneDNN chooses the weights' own layout and they are reordered at each
 * call, which costs under 1% of a layer. Some cases are faster otherwise: conv2d_whole.c (the kernel covers the image),
 * conv2d_thin.c (one channel on one side); and, as conv2d_choice.c finds, conv2d_weight.c and conv2d_weight_bf16.c
 * (weight gradients of larger images) and conv2d_winograd.c (kernels 3x3 and 4x4). In bf16 the reordering also rounds
 * the f32 weights, and gradients of weights are f32. */
#include "conv2d_act.h"
#include "conv2d_choice.h"
#include "conv2d_thin.h"
#include "conv2d_weight.h"
#include "conv2d_weight_bf16.h"
#include "conv2d_whole.h"
#include "conv2d_winograd.h"
#include "onednn.h"
#include <string.h>

enum { PIXELS_PER_LAYOUT = 4096 };

static conv_shape shape_between(const dr_view *x, const dr_view *y, int64_t k, int64_t stride, int64_t padding,
                                bool bias)
{
    return (conv_shape){ .B = x->shape[0],
                         .Ci = x->shape[1],
                         .H = x->shape[2],
                         .W = x->shape[3],
                         .Co = y->shape[1],
                         .Ho = y->shape[2],
                         .Wo = y->shape[3],
                         .k = k,
                         .stride = stride,
                         .padding = padding,
                         .bias = bias,
                         .dtype = x->dtype };
}

/* weight and bias, NULL where there is none, as the caller has them */
static conv_shape with_weights(conv_shape s, const dr_view *weight, const dr_view *bias)
{
    s.weight_dtype = weight->dtype;
    s.bias_dtype = bias ? bias->dtype : DR_F32;
    return s;
}

static const dr_view *bias_view(const dr_kargs *a) { return dr_optional(a, 2) ? &a->in[2] : NULL; }

static dr_onednn_key key_of(dr_onednn_kind kind, const conv_shape *s)
{
    const dr_onednn_key key = { { kind, s->B, s->Ci, s->H, s->W, s->Co, s->Ho, s->Wo, s->k, s->stride, s->padding,
                                  s->bias, s->act, s->add != NULL, s->dtype, s->weight_dtype, s->bias_dtype } };
    return key;
}

typedef struct conv_descs {
    dnnl_memory_desc_t x, weight, bias, y;
} conv_descs;

static dnnl_memory_desc_t desc(dnnl_status_t *status, int rank, const dnnl_dims_t dims, int32_t dtype,
                               dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t d = NULL;
    const dnnl_data_type_t type = dtype == DR_BF16 ? dnnl_bf16 : dnnl_f32;
    if (*status == dnnl_success) *status = dnnl_memory_desc_create_with_tag(&d, rank, dims, type, tag);
    return d;
}

static conv_descs descs_of(dnnl_status_t *status, const conv_shape *s, bool transpose, int32_t weight_dtype,
                           dnnl_format_tag_t weight_tag)
{
    const dnnl_dims_t input = { s->B, s->Ci, s->H, s->W }, output = { s->B, s->Co, s->Ho, s->Wo }, channels = { s->Co };
    const dnnl_dims_t weight = { s->Co, s->Ci, s->k,
                                 s->k }; /* oneDNN names output channels first, also when transposed */
    if (transpose && weight_tag == dnnl_oihw) weight_tag = dnnl_iohw;
    return (conv_descs){
        .x = desc(status, 4, input, s->dtype, dnnl_nhwc),
        .weight = desc(status, 4, weight, weight_dtype, weight_tag),
        .bias = s->bias ? desc(status, 1, channels, s->bias_dtype, dnnl_a) : NULL,
        .y = desc(status, 4, output, s->dtype, dnnl_nhwc),
    };
}

static void descs_free(const conv_descs *d)
{
    if (d->x) dnnl_memory_desc_destroy(d->x);
    if (d->weight) dnnl_memory_desc_destroy(d->weight);
    if (d->bias) dnnl_memory_desc_destroy(d->bias);
    if (d->y) dnnl_memory_desc_destroy(d->y);
}

static dnnl_status_t forward_desc(dnnl_primitive_desc_t *pd, dr_onednn *o, bool transpose, const conv_shape *s,
                                  const conv_descs *d, const_dnnl_primitive_attr_t attr)
{
    const dnnl_dims_t strides = { s->stride, s->stride }, dilation = { 0, 0 }, before = { s->padding, s->padding };
    /* What is added after the last row follows from the sizes: a stride need not use all of it. */
    const dnnl_dims_t after = { transpose ? (s->H - 1) * s->stride + s->k - s->Ho - s->padding
                                          : (s->Ho - 1) * s->stride + s->k - s->H - s->padding,
                                transpose ? (s->W - 1) * s->stride + s->k - s->Wo - s->padding
                                          : (s->Wo - 1) * s->stride + s->k - s->W - s->padding };
    return transpose
               ? dnnl_deconvolution_forward_primitive_desc_create(pd, dr_onednn_engine(o), dnnl_forward_training,
                                                                  dnnl_deconvolution_direct, d->x, d->weight, d->bias,
                                                                  d->y, strides, dilation, before, after, attr)
               : dnnl_convolution_forward_primitive_desc_create(pd, dr_onednn_engine(o), dnnl_forward_training,
                                                                dnnl_convolution_direct, d->x, d->weight, d->bias, d->y,
                                                                strides, dilation, before, after, attr);
}

/* The activation rides in the primitive, on what is still in registers. */
static dnnl_status_t forward_act_desc(dnnl_primitive_desc_t *pd, dr_onednn *o, bool transpose, const conv_shape *s,
                                      const conv_descs *d)
{
    if (s->act == DR_ACT_NONE && !s->add) return forward_desc(pd, o, transpose, s, d, dr_onednn_attr(o));
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t status = dr_conv2d_act_attr_of(&attr, o, s);
    if (status == dnnl_success) status = forward_desc(pd, o, transpose, s, d, attr);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return status;
}

static dnnl_status_t backward_desc(dnnl_primitive_desc_t *pd, dr_onednn *o, dr_onednn_kind kind, const conv_shape *s,
                                   const conv_descs *d)
{
    const dnnl_dims_t strides = { s->stride, s->stride }, dilation = { 0, 0 }, before = { s->padding, s->padding };
    const dnnl_dims_t after = { (s->Ho - 1) * s->stride + s->k - s->H - s->padding,
                                (s->Wo - 1) * s->stride + s->k - s->W - s->padding };
    dnnl_primitive_desc_t hint = NULL;
    dnnl_status_t status = dnnl_success;
    const conv_descs forward = descs_of(&status, s, false, s->dtype, dnnl_format_tag_any);
    if (status == dnnl_success) status = forward_desc(&hint, o, false, s, &forward, dr_onednn_attr(o));
    descs_free(&forward);
    if (status != dnnl_success) return status;
    status =
        kind == DR_ONEDNN_CONV_BACKWARD_DATA
            ? dnnl_convolution_backward_data_primitive_desc_create(pd, dr_onednn_engine(o), dnnl_convolution_direct,
                                                                   d->x, d->weight, d->y, strides, dilation, before,
                                                                   after, hint, dr_onednn_attr(o))
            : dnnl_convolution_backward_weights_primitive_desc_create(pd, dr_onednn_engine(o), dnnl_convolution_direct,
                                                                      d->x, d->weight, d->bias, d->y, strides, dilation,
                                                                      before, after, hint, dr_onednn_attr(o));
    dnnl_primitive_desc_destroy(hint);
    return status;
}

/* The plan of one kind for one shape; its arguments are x, weight, bias, y, whichever way they go. */
static dr_onednn_plan *conv_plan(const dr_kargs *a, dr_onednn_kind kind, const conv_shape *s)
{
    dr_onednn *o = ((cpu *)a->backend)->onednn;
    const dr_onednn_key key = key_of(kind, s);
    dr_onednn_plan *plan = dr_onednn_find(o, &key);
    if (plan) return plan;

    const bool transpose = kind == DR_ONEDNN_CONV_TRANSPOSE;
    const bool forward = transpose || kind == DR_ONEDNN_CONV, to_x = kind == DR_ONEDNN_CONV_BACKWARD_DATA;
    dnnl_status_t status = dnnl_success;
    dnnl_primitive_desc_t pd = NULL;
    const bool to_weight = kind == DR_ONEDNN_CONV_BACKWARD_WEIGHT; /* a sum over the batch: f32 */
    const conv_descs any = descs_of(&status, s, transpose, to_weight ? DR_F32 : s->dtype, dnnl_format_tag_any);
    if (status == dnnl_success)
        status = forward ? forward_act_desc(&pd, o, transpose, s, &any) : backward_desc(&pd, o, kind, s, &any);
    descs_free(&any);
    if (dr_onednn_check(a, status, "primitive descriptor") != DR_OK) return NULL;

    const int32_t first = s->weight_dtype == DR_F16 ? s->dtype : s->weight_dtype; /* what f16 is made of, to begin with */
    const conv_descs plain = descs_of(&status, s, transpose, first, dnnl_oihw);
    if (dr_onednn_check(a, status, "memory descriptor") != DR_OK) {
        descs_free(&plain);
        dnnl_primitive_desc_destroy(pd);
        return NULL;
    }
    const bool widens = s->weight_dtype == DR_F16 || (s->weight_dtype == DR_BF16 && s->dtype == DR_F32);
    const dr_onednn_arg args[DR_ONEDNN_ARGS] = {
        { to_x ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, to_x, plain.x, 0, 0 },
        { forward || to_x ? DNNL_ARG_WEIGHTS : DNNL_ARG_DIFF_WEIGHTS, !forward && !to_x, plain.weight,
          widens ? s->weight_dtype : 0, s->Co * s->Ci * s->k * s->k },
        { forward ? DNNL_ARG_BIAS : DNNL_ARG_DIFF_BIAS, !forward, plain.bias, 0, 0 },
        { forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, forward, plain.y, 0, 0 },
    };
    return dr_onednn_add(o, a, &key, pd, args, DR_ONEDNN_ARGS);
}

/* Where many pixels share a weight in f32, laying it out at each call costs little, and a second one is much memory. */
static dr_onednn_weight weight_use(const conv_shape *s)
{
    const bool cheap = s->dtype == DR_F32 && s->weight_dtype == DR_F32 && s->B * s->Ho * s->Wo >= PIXELS_PER_LAYOUT;
    return !s->frozen ? DR_WEIGHT_CHANGES : cheap ? DR_WEIGHT_FROZEN : DR_WEIGHT_KEPT;
}

static void run(const dr_kargs *a, dr_onednn_kind kind, const conv_shape *s, void *x, void *weight, void *bias, void *y)
{
    dr_onednn_plan *plan = conv_plan(a, kind, s);
    if (plan) dr_onednn_run(((cpu *)a->backend)->onednn, a, plan, (void *[]){ x, weight, bias, y }, weight_use(s));
}

/* oneDNN sums db in float. Over few values that nearly cancel this shows, and summing them again in double costs nothing:
 * dy [B,Ho,Wo,Co] in memory -> db [Co] */
static void bias_of_few(const conv_shape *s, const float *dy, float *db)
{
    const int64_t rows = s->B * s->Ho * s->Wo, Co = s->Co;
    for (int64_t c = 0; c < Co; c++) {
        double sum = 0;
        for (int64_t r = 0; r < rows; r++) sum += (double)dy[r * Co + c];
        db[c] = (float)sum;
    }
}

static void run_form(const dr_kargs *a, const dr_conv_call *c, dr_conv_form form)
{
    const conv_shape *s = c->shape;
    const dr_winograd_image x = { c->x, s->Ci }, y = { c->y, s->Co };
    const int small = form == DR_CONV_WINOGRAD_SMALL;
    const bool backward_weight = c->kind == DR_ONEDNN_CONV_BACKWARD_WEIGHT;
    if (form == DR_CONV_OUTER && s->dtype == DR_BF16) {
        dr_conv2d_weight_bf16(a, s, c->x, c->y, c->weight, c->bias);
    } else if (form == DR_CONV_OUTER) {
        float *sums = dr_cpu_workspace(a, dr_conv2d_weight_bytes(s));
        if (sums) dr_conv2d_weight(s, c->x, c->y, c->weight, c->bias, sums);
    } else if (form == DR_CONV_ONEDNN && c->kind == DR_ONEDNN_CONV_TRANSPOSE) {
        conv_shape turned = *s;
        turned.Ci = s->Co, turned.H = s->Ho, turned.W = s->Wo;
        turned.Co = s->Ci, turned.Ho = s->H, turned.Wo = s->W;
        dr_conv2d_lay_add(s, c->x, s->H * s->W * s->Ci);
        run(a, c->kind, &turned, c->y, c->weight, c->bias, c->x);
    } else if (form == DR_CONV_ONEDNN) {
        dr_conv2d_lay_add(s, c->y, s->Ho * s->Wo * s->Co);
        run(a, c->kind, s, c->x, c->weight, c->bias, c->y);
        if (backward_weight && s->bias && s->dtype == DR_F32 && s->B * s->Ho * s->Wo * s->Co <= DR_CPU_PARALLEL)
            bias_of_few(s, c->y, c->bias);
    } else if (backward_weight) {
        dr_winograd_weight(a, s, small, x, y, c->weight, c->bias);
    } else if (c->kind == DR_ONEDNN_CONV) {
        dr_winograd_gather(a, s, small, x, c->weight, c->bias, y);
        const int64_t count = s->Co * s->Ci * s->k * s->k;
        if (s->frozen) dr_weight_packed(c->weight, (size_t)count * (s->weight_dtype == DR_F32 ? 4 : 2));
    } else {
        dr_winograd_spread(a, s, small, y, c->weight, c->bias, x);
    }
}

/* Can an epilogue follow in a pass of its own? In bf16 that would round twice. */
static bool finishes_by_itself(const conv_shape *s)
{
    return s->dtype == DR_F32 || (s->act == DR_ACT_NONE && !s->add);
}

/* x on the side that the convolution reads, also where it is transposed */
static void run_best(const dr_kargs *a, dr_onednn_kind kind, const conv_shape *s, void *x, void *weight, void *bias,
                     void *y)
{
    const dr_conv_call call = { kind, s, x, weight, bias, y };
    dr_conv_run(a, &call, run_form);
}

/* ---- kernels: images in f32 or bf16, x's dtype; weights of any dtype in, their gradients out in f32 -------------- */

/* x [B,Ci,H,W], weight [Co,Ci,k,k], bias [Co] or NULL, add [B/n,Co,Ho,Wo] or NULL -> act(y + add) [B,Co,Ho,Wo] */
static void convolve(const dr_kargs *a, int64_t stride, int64_t padding, int64_t act)
{
    const dr_view *x = &a->in[0], *weight = &a->in[1], *bias = bias_view(a), *y = &a->out[0];
    conv_shape s = with_weights(shape_between(x, y, weight->shape[2], stride, padding, bias != NULL), weight, bias);
    dr_conv2d_epilogue(a, &s, act);
    s.frozen = a->frozen >> 1 & 1;
    if (dr_numel(y) == 0) return;
    if (finishes_by_itself(&s) && dr_conv2d_whole_suits(&s)) {
        dr_conv2d_whole_gather(a, &s, dr_in(a, 0), dr_in(a, 1), dr_optional(a, 2), dr_out(a, 0));
        dr_conv2d_finish(&s, dr_out(a, 0), s.Ho * s.Wo * s.Co);
        return;
    }
    if (s.dtype == DR_F32 && s.weight_dtype == DR_F32 && dr_conv2d_thin_forward_suits(&s)) {
        dr_conv2d_thin_forward(a, &s, dr_in(a, 0), dr_in(a, 1), dr_optional(a, 2), dr_out(a, 0));
        dr_conv2d_finish(&s, dr_out(a, 0), s.Ho * s.Wo * s.Co);
        return;
    }
    run_best(a, DR_ONEDNN_CONV, &s, dr_in(a, 0), dr_in(a, 1), dr_optional(a, 2), dr_out(a, 0));
}

static void conv2d(const dr_kargs *a)
{
    const dr_conv2d_attr *attr = a->attr;
    convolve(a, attr->stride, attr->padding, DR_ACT_NONE);
}

static void conv2d_act(const dr_kargs *a)
{
    const dr_conv2d_act_attr *attr = a->attr;
    convolve(a, attr->stride, attr->padding, attr->act);
}

static void conv2d_backward_data(const dr_kargs *a) /* dy [B,Co,Ho,Wo], weight [Co,Ci,k,k] -> dx [B,Ci,H,W] */
{
    const dr_conv2d_backward_data_attr *attr = a->attr;
    const dr_view *x = &a->out[0], *y = &a->in[0], *weight = &a->in[1];
    const conv_shape s =
        with_weights(shape_between(x, y, weight->shape[2], attr->stride, attr->padding, false), weight, NULL);
    if (dr_numel(x) == 0) return;
    if (dr_conv2d_whole_suits(&s)) {
        dr_conv2d_whole_spread(a, &s, dr_in(a, 0), dr_in(a, 1), NULL, dr_out(a, 0));
        return;
    }
    run_best(a, DR_ONEDNN_CONV_BACKWARD_DATA, &s, dr_out(a, 0), dr_in(a, 1), NULL, dr_in(a, 0));
}

/* x [B,Ci,H,W], dy [B,Co,Ho,Wo] -> dw [Co,Ci,k,k], db [Co] or [0] */
static void conv2d_backward_weight(const dr_kargs *a)
{
    const dr_conv2d_backward_weight_attr *attr = a->attr;
    const dr_view *x = &a->in[0], *y = &a->in[1];
    const conv_shape s = shape_between(x, y, attr->kernel, attr->stride, attr->padding, attr->bias != 0);
    if (dr_numel(x) == 0 || dr_numel(y) == 0) { /* an empty batch */
        memset(dr_out(a, 0), 0, (size_t)dr_numel(&a->out[0]) * sizeof(float));
        if (dr_numel(&a->out[1]) > 0) memset(dr_out(a, 1), 0, (size_t)dr_numel(&a->out[1]) * sizeof(float));
        return;
    }
    if (dr_conv2d_whole_suits(&s)) {
        dr_conv2d_whole_weight(a, &s, dr_in(a, 0), dr_in(a, 1), dr_out(a, 0), dr_out(a, 1));
        return;
    }
    if (s.dtype == DR_F32 && dr_conv2d_thin_weight_suits(&s)) {
        dr_conv2d_thin_weight(a, &s, dr_in(a, 0), dr_in(a, 1), dr_out(a, 0), dr_out(a, 1));
        return;
    }
    run_best(a, DR_ONEDNN_CONV_BACKWARD_WEIGHT, &s, dr_in(a, 0), dr_out(a, 0), dr_out(a, 1), dr_in(a, 1));
}

/* x [B,Ci,H,W], weight [Ci,Co,k,k], bias [Co] or NULL, add [B/n,Co,Ho,Wo] or NULL -> act(y + add) [B,Co,Ho,Wo] */
static void convolve_transposed(const dr_kargs *a, int64_t stride, int64_t padding, int64_t act)
{
    const dr_view *x = &a->in[0], *weight = &a->in[1], *bias = bias_view(a), *y = &a->out[0];
    conv_shape turned = with_weights(shape_between(y, x, weight->shape[2], stride, padding, bias != NULL), weight,
                                     bias); /* what this one transposes */
    dr_conv2d_epilogue(a, &turned, act);
    if (dr_numel(y) == 0) return;
    if (finishes_by_itself(&turned) && dr_conv2d_whole_suits(&turned)) {
        dr_conv2d_whole_spread(a, &turned, dr_in(a, 0), dr_in(a, 1), dr_optional(a, 2), dr_out(a, 0));
        dr_conv2d_finish(&turned, dr_out(a, 0), turned.H * turned.W * turned.Ci);
        return;
    }
    run_best(a, DR_ONEDNN_CONV_TRANSPOSE, &turned, dr_out(a, 0), dr_in(a, 1), dr_optional(a, 2), dr_in(a, 0));
}

static void conv_transpose2d(const dr_kargs *a)
{
    const dr_conv_transpose2d_attr *attr = a->attr;
    convolve_transposed(a, attr->stride, attr->padding, DR_ACT_NONE);
}

static void conv_transpose2d_act(const dr_kargs *a)
{
    const dr_conv_transpose2d_act_attr *attr = a->attr;
    convolve_transposed(a, attr->stride, attr->padding, attr->act);
}

DR_KERNEL(conv2d, DR_F32, conv2d)
DR_KERNEL(conv2d_act, DR_F32, conv2d_act)
DR_KERNEL(conv2d_backward_data, DR_F32, conv2d_backward_data)
DR_KERNEL(conv2d_backward_weight, DR_F32, conv2d_backward_weight)
DR_KERNEL(conv_transpose2d, DR_F32, conv_transpose2d)
DR_KERNEL(conv_transpose2d_act, DR_F32, conv_transpose2d_act)

#if defined(__AVX512BF16__) || defined(__AMX_BF16__)
DR_KERNEL(conv2d, DR_BF16, conv2d)
DR_KERNEL(conv2d_act, DR_BF16, conv2d_act)
DR_KERNEL(conv2d_backward_data, DR_BF16, conv2d_backward_data)
DR_KERNEL(conv2d_backward_weight, DR_BF16, conv2d_backward_weight)
DR_KERNEL(conv_transpose2d, DR_BF16, conv_transpose2d)
DR_KERNEL(conv_transpose2d_act, DR_BF16, conv_transpose2d_act)
#endif
