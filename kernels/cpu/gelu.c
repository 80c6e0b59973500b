/* gelu.c: y = x Phi(x), or its tanh form; the formulas are in vector_math.h.     Hendrycks & Gimpel 2016 */
#include "bf16.h"
#include "walk.h"

VM_INLINE void forward(int type, const dr_kargs *a, int64_t first, int64_t n) /* x -> y */
{
    const void *restrict x = dr_from(type, dr_in(a, 0), first);
    void *restrict y = dr_into(type, dr_out(a, 0), first);
    if (((const dr_gelu_attr *)a->attr)->approximate) {
        for (int64_t i = 0; i < n; i++) dr_store(type, y, i, vm_gelu_tanh(type, dr_load(type, x, i)));
    } else {
        for (int64_t i = 0; i < n; i++) dr_store(type, y, i, vm_gelu(type, dr_load(type, x, i)));
    }
}

VM_INLINE void backward(int type, const dr_kargs *a, int64_t first, int64_t n) /* x, dy -> dx */
{
    const void *restrict x = dr_from(type, dr_in(a, 0), first), *restrict dy = dr_from(type, dr_in(a, 1), first);
    void *restrict dx = dr_into(type, dr_out(a, 0), first);
    if (((const dr_gelu_attr *)a->attr)->approximate) {
        for (int64_t i = 0; i < n; i++)
            dr_store(type, dx, i, vm_gelu_tanh_slope(type, dr_load(type, x, i)) * dr_load(type, dy, i));
    } else {
        for (int64_t i = 0; i < n; i++)
            dr_store(type, dx, i, vm_gelu_slope(type, dr_load(type, x, i)) * dr_load(type, dy, i));
    }
}

static void piece_f32(const void *a, int64_t first, int64_t n) { forward(DR_F32, a, first, n); }
static void piece_bf16(const void *a, int64_t first, int64_t n) { forward(DR_BF16, a, first, n); }
static void backward_piece_f32(const void *a, int64_t first, int64_t n) { backward(DR_F32, a, first, n); }
static void backward_piece_bf16(const void *a, int64_t first, int64_t n) { backward(DR_BF16, a, first, n); }

static void gelu_f32(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), piece_f32, a); }
static void gelu_bf16(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), piece_bf16, a); }
static void gelu_backward_f32(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), backward_piece_f32, a); }
static void gelu_backward_bf16(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), backward_piece_bf16, a); }

DR_KERNEL(gelu, DR_F32, gelu_f32)
DR_KERNEL(gelu, DR_BF16, gelu_bf16)
DR_KERNEL(gelu_backward, DR_F32, gelu_backward_f32)
DR_KERNEL(gelu_backward, DR_BF16, gelu_backward_bf16)
