/* clamp.c: y = min(max(x, low), high); NaN stays NaN. f32 or bf16. */
#include "bf16.h"
#include "walk.h"

VM_INLINE void piece(int type, const dr_kargs *a, int64_t first, int64_t n)
{
    const dr_clamp_attr *attr = a->attr;
    const float low = (float)attr->min, high = (float)attr->max;
    const void *restrict x = dr_from(type, dr_in(a, 0), first);
    void *restrict y = dr_into(type, dr_out(a, 0), first);
    for (int64_t i = 0; i < n; i++) {
        const float value = dr_load(type, x, i), raised = value < low ? low : value;
        dr_store(type, y, i, raised > high ? high : raised);
    }
}

static void piece_f32(const void *a, int64_t first, int64_t n) { piece(DR_F32, a, first, n); }
static void piece_bf16(const void *a, int64_t first, int64_t n) { piece(DR_BF16, a, first, n); }
static void clamp_f32(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), piece_f32, a); }
static void clamp_bf16(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), piece_bf16, a); }

DR_KERNEL(clamp, DR_F32, clamp_f32)
DR_KERNEL(clamp, DR_BF16, clamp_bf16)
