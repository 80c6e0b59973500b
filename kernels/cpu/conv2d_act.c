/* conv2d_act.c: the activation behind a convolution, see conv2d_act.h. */
#include "conv2d_act.h"
#include "vector_math.h"
#include "walk.h"

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

dnnl_status_t dr_conv2d_act_attr_of(dnnl_primitive_attr_t *attr, const dr_onednn *o, int64_t act)
{
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t status = dnnl_primitive_attr_clone(attr, dr_onednn_attr(o));
    if (status == dnnl_success) status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success) status = append(ops, act);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*attr, ops);
    if (ops) dnnl_post_ops_destroy(ops);
    return status;
}

VM_INLINE void all(int act, float *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = vm_act(act, y[i]);
}

static void activate(int64_t act, float *y, int64_t n)
{
    switch (act) {
    case DR_ACT_RELU: all(DR_ACT_RELU, y, n); break;
    case DR_ACT_GELU: all(DR_ACT_GELU, y, n); break;
    case DR_ACT_GELU_TANH: all(DR_ACT_GELU_TANH, y, n); break;
    case DR_ACT_SILU: all(DR_ACT_SILU, y, n); break;
    default: break;
    }
}

void dr_conv2d_activate_pixels(int64_t act, float *const *pixel, int64_t n, int64_t channels)
{
    for (int64_t i = 0; act != DR_ACT_NONE && i < n; i++) {
        if (pixel[i]) activate(act, pixel[i], channels);
    }
}

typedef struct activation {
    int64_t act;
    float *y;
} activation;

static void piece(const void *ctx, int64_t first, int64_t n)
{
    const activation *a = ctx;
    activate(a->act, a->y + first, n);
}

void dr_conv2d_activate(int64_t act, float *y, int64_t n)
{
    const activation a = { act, y };
    if (act != DR_ACT_NONE) dr_pieces(n, piece, &a);
}
