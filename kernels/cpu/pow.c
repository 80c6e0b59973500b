/* pow.c: y = x^e for a constant exponent, of f32 or bf16. The usual ones have loops of their own; others go through the
 * C library. */
#include "bf16.h"
#include "walk.h"

VM_INLINE void piece(int type, const dr_kargs *a, int64_t first, int64_t n)
{
    const double e = ((const dr_pow_attr *)a->attr)->exponent;
    const void *restrict x = dr_from(type, dr_in(a, 0), first);
    void *restrict y = dr_into(type, dr_out(a, 0), first);
    if (e == 1.0) {
        for (int64_t i = 0; i < n; i++) dr_store(type, y, i, dr_load(type, x, i));
    } else if (e == 2.0) {
        for (int64_t i = 0; i < n; i++) dr_store(type, y, i, dr_load(type, x, i) * dr_load(type, x, i));
    } else if (e == 3.0) {
        for (int64_t i = 0; i < n; i++) {
            const float value = dr_load(type, x, i);
            dr_store(type, y, i, value * value * value);
        }
    } else if (e == -1.0) {
        for (int64_t i = 0; i < n; i++) dr_store(type, y, i, 1.0f / dr_load(type, x, i));
    } else {
        for (int64_t i = 0; i < n; i++) dr_store(type, y, i, (float)pow((double)dr_load(type, x, i), e));
    }
}

static void piece_f32(const void *a, int64_t first, int64_t n) { piece(DR_F32, a, first, n); }
static void piece_bf16(const void *a, int64_t first, int64_t n) { piece(DR_BF16, a, first, n); }
static void pow_f32(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), piece_f32, a); }
static void pow_bf16(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), piece_bf16, a); }

DR_KERNEL(pow, DR_F32, pow_f32)
DR_KERNEL(pow, DR_BF16, pow_bf16)
