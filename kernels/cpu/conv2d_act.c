/* conv2d_act.c: what follows a convolution's sums, see conv2d_act.h. */
#include "conv2d_act.h"
#include "bf16.h"
#include <string.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

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

/* type and act are constants where this is called; y may be sums */
VM_INLINE void finish_with(int type, int act, const float *sums, const void *add, void *y, int64_t n)
{
    if (add) {
        for (int64_t i = 0; i < n; i++) dr_store(type, y, i, vm_act_to(type, act, sums[i] + dr_load(type, add, i)));
    } else {
        for (int64_t i = 0; i < n; i++) dr_store(type, y, i, vm_act_to(type, act, sums[i]));
    }
}

VM_INLINE void finish_by(int type, int64_t act, const float *sums, const void *add, void *y, int64_t n)
{
    switch (act) {
    case DR_ACT_RELU: finish_with(type, DR_ACT_RELU, sums, add, y, n); break;
    case DR_ACT_GELU: finish_with(type, DR_ACT_GELU, sums, add, y, n); break;
    case DR_ACT_GELU_TANH: finish_with(type, DR_ACT_GELU_TANH, sums, add, y, n); break;
    case DR_ACT_SILU: finish_with(type, DR_ACT_SILU, sums, add, y, n); break;
    default: finish_with(type, DR_ACT_NONE, sums, add, y, n); break;
    }
}

static void finish(int64_t act, float *restrict y, const float *restrict add, int64_t n)
{
    finish_by(DR_F32, act, y, add, y, n);
}

static void finish_f32(int64_t act, const float *restrict sums, const void *restrict add, void *restrict y, int64_t n)
{
    finish_by(DR_F32, act, sums, add, y, n);
}

static void finish_bf16(int64_t act, const float *restrict sums, const void *restrict add, void *restrict y, int64_t n)
{
    finish_by(DR_BF16, act, sums, add, y, n);
}

static void lines_past(char *to, const char *from, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i += 64) {
#if defined(__AVX512F__)
        _mm512_stream_si512((void *)(to + i), _mm512_load_si512(from + i));
#elif defined(__AVX__)
        for (int64_t j = i; j < i + 64; j += 32)
            _mm256_stream_si256((void *)(to + j), _mm256_load_si256((const void *)(from + j)));
#else
        memcpy(to + i, from + i, 64);
#endif
    }
}

void dr_conv2d_finish_pixels(const dr_conv2d_sums *s, const void *const *add, void *const *pixel)
{
    enum { MOST = 32 }; /* channels, where it is past the caches */
    _Alignas(64) char lines[MOST * sizeof(float)];
    void (*finish_one)(int64_t, const float *, const void *, void *, int64_t) =
        s->type == DR_BF16 ? finish_bf16 : finish_f32;
    for (int64_t i = 0; i < s->n; i++) {
        if (!pixel[i]) continue;
        void *to = s->past ? lines : pixel[i];
        finish_one(s->act, s->sums + i * s->pitch, add ? add[i] : NULL, to, s->channels);
        if (s->past) lines_past(pixel[i], lines, s->channels * (s->type == DR_BF16 ? 2 : 4));
    }
}

void dr_conv2d_finish(const conv_shape *s, float *y, int64_t image)
{
    if (!s->add && s->act == DR_ACT_NONE) return;
#pragma omp parallel for schedule(static) if (s->B * image > DR_CPU_PARALLEL)
    for (int64_t b = 0; b < s->B; b++) finish(s->act, y + b * image, add_of(s, b, image), image);
}
