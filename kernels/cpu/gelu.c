/* gelu.c: y = x Phi(x), or its tanh form; the formulas are in vector_math.h.     Hendrycks & Gimpel 2016 */
#include "vector_math.h"
#include "walk.h"

static bool tanh_form(const dr_kargs *a) { return ((const dr_gelu_attr *)a->attr)->approximate != 0; }

static void gelu_piece(const void *ctx, int64_t first, int64_t n)
{
    const dr_kargs *a = ctx;
    const float *restrict x = (const float *)dr_in(a, 0) + first;
    float *restrict y = (float *)dr_out(a, 0) + first;
    if (tanh_form(a)) {
        for (int64_t i = 0; i < n; i++) y[i] = vm_gelu_tanh(x[i]);
    } else {
        for (int64_t i = 0; i < n; i++) y[i] = vm_gelu(x[i]);
    }
}

static void gelu_backward_piece(const void *ctx, int64_t first, int64_t n)
{
    const dr_kargs *a = ctx;
    const float *restrict x = (const float *)dr_in(a, 0) + first, *restrict dy = (const float *)dr_in(a, 1) + first;
    float *restrict dx = (float *)dr_out(a, 0) + first;
    if (tanh_form(a)) {
        for (int64_t i = 0; i < n; i++) dx[i] = vm_gelu_tanh_slope(x[i]) * dy[i];
    } else {
        for (int64_t i = 0; i < n; i++) dx[i] = vm_gelu_slope(x[i]) * dy[i];
    }
}

static void gelu_f32(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), gelu_piece, a); } /* x -> y */
static void gelu_backward_f32(const dr_kargs *a)
{
    dr_pieces(dr_numel(&a->out[0]), gelu_backward_piece, a);
} /* x, dy -> dx */

DR_KERNEL(gelu, DR_F32, gelu_f32)
DR_KERNEL(gelu_backward, DR_F32, gelu_backward_f32)
