/* affine.c: y = scale x + shift, of f32 or bf16. */
#include "bf16.h"
#include "walk.h"

VM_INLINE void piece(int type, const dr_kargs *a, int64_t first, int64_t n)
{
    const dr_affine_attr *attr = a->attr;
    const float scale = (float)attr->scale, shift = (float)attr->shift;
    const void *restrict x = dr_from(type, dr_in(a, 0), first);
    void *restrict y = dr_into(type, dr_out(a, 0), first);
    for (int64_t i = 0; i < n; i++) dr_store(type, y, i, scale * dr_load(type, x, i) + shift);
}

static void piece_f32(const void *a, int64_t first, int64_t n) { piece(DR_F32, a, first, n); }
static void piece_bf16(const void *a, int64_t first, int64_t n) { piece(DR_BF16, a, first, n); }
static void affine_f32(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), piece_f32, a); }
static void affine_bf16(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), piece_bf16, a); }

DR_KERNEL(affine, DR_F32, affine_f32)
DR_KERNEL(affine, DR_BF16, affine_bf16)
