/* conv2d_act.c: what follows a convolution's sums, see conv2d_act.h. */
#include "conv2d_act.h"
#include "vector_math.h"
#include <string.h>

void dr_conv2d_epilogue(const dr_kargs *a, conv_shape *s, int64_t act)
{
    s->act = act;
    s->add = dr_optional(a, 3);
    s->add_rows = s->add ? a->in[3].shape[0] : 0;
}

/* ---- in oneDNN's primitive --------------------------------------------------------------------------------------- */

static dnnl_status_t append(dnnl_post_ops_t ops, int64_t act)
{
    switch (act) {
    case DR_ACT_RELU: return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_relu, 0.0f, 0.0f);
    case DR_ACT_GELU: return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_gelu_erf, 0.0f, 0.0f);
    case DR_ACT_GELU_TANH: return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_gelu_tanh, 0.0f, 0.0f);
    case DR_ACT_SILU: return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_swish, 1.0f, 0.0f);
    default: return dnnl_success;
    }
}

dnnl_status_t dr_conv2d_act_attr_of(dnnl_primitive_attr_t *attr, const dr_onednn *o, const conv_shape *s)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t status = dnnl_primitive_attr_clone(attr, dr_onednn_attr(o));
    if (status == dnnl_success) status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success && s->add) status = dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
    if (status == dnnl_success) status = append(ops, s->act);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*attr, ops);
    if (ops) dnnl_post_ops_destroy(ops);
    return status;
}

static const float *add_of(const conv_shape *s, int64_t b, int64_t image)
{
    return s->add ? (const float *)s->add + b % s->add_rows * image : NULL;
}

void dr_conv2d_lay_add(const conv_shape *s, void *y, int64_t image)
{
    if (!s->add) return;
    const int64_t bytes = image * (s->dtype == DR_BF16 ? 2 : 4);
#pragma omp parallel for schedule(static) if (s->B * image > DR_CPU_PARALLEL)
    for (int64_t b = 0; b < s->B; b++)
        memcpy((char *)y + b * bytes, (const char *)s->add + b % s->add_rows * bytes, (size_t)bytes);
}

/* ---- by itself --------------------------------------------------------------------------------------------------- */

VM_INLINE void finish_with(int act, float *restrict y, const float *restrict add, int64_t n)
{
    if (add) {
        for (int64_t i = 0; i < n; i++) y[i] = vm_act(act, y[i] + add[i]);
    } else {
        for (int64_t i = 0; i < n; i++) y[i] = vm_act(act, y[i]);
    }
}

static void finish(int64_t act, float *y, const float *add, int64_t n)
{
    switch (act) {
    case DR_ACT_RELU: finish_with(DR_ACT_RELU, y, add, n); break;
    case DR_ACT_GELU: finish_with(DR_ACT_GELU, y, add, n); break;
    case DR_ACT_GELU_TANH: finish_with(DR_ACT_GELU_TANH, y, add, n); break;
    case DR_ACT_SILU: finish_with(DR_ACT_SILU, y, add, n); break;
    default: finish_with(DR_ACT_NONE, y, add, n); break;
    }
}

void dr_conv2d_finish_pixels(int64_t act, float *const *pixel, const float *const *add, int64_t n, int64_t channels)
{
    for (int64_t i = 0; i < n; i++) {
        if (pixel[i]) finish(act, pixel[i], add ? add[i] : NULL, channels);
    }
}

void dr_conv2d_finish(const conv_shape *s, float *y, int64_t image)
{
    if (!s->add && s->act == DR_ACT_NONE) return;
#pragma omp parallel for schedule(static) if (s->B * image > DR_CPU_PARALLEL)
    for (int64_t b = 0; b < s->B; b++) finish(s->act, y + b * image, add_of(s, b, image), image);
}
