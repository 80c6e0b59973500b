/* pow.c: y = x^e for a constant exponent. The usual ones have loops of their own; others go through the C library. */
#include "walk.h"
#include <math.h>

static void piece(const void *ctx, int64_t first, int64_t n)
{
    const dr_kargs *a = ctx;
    const double e = ((const dr_pow_attr *)a->attr)->exponent;
    const float *restrict x = (const float *)dr_in(a, 0) + first;
    float *restrict y = (float *)dr_out(a, 0) + first;
    if (e == 1.0) {
        for (int64_t i = 0; i < n; i++) y[i] = x[i];
    } else if (e == 2.0) {
        for (int64_t i = 0; i < n; i++) y[i] = x[i] * x[i];
    } else if (e == 3.0) {
        for (int64_t i = 0; i < n; i++) y[i] = x[i] * x[i] * x[i];
    } else if (e == -1.0) {
        for (int64_t i = 0; i < n; i++) y[i] = 1.0f / x[i];
    } else {
        for (int64_t i = 0; i < n; i++) y[i] = (float)pow((double)x[i], e);
    }
}

static void pow_f32(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), piece, a); }

DR_KERNEL(pow, DR_F32, pow_f32)
