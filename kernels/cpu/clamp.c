/* clamp.c: y = min(max(x, low), high); NaN stays NaN. */
#include "walk.h"

static void piece(const void *ctx, int64_t first, int64_t n)
{
    const dr_kargs *a = ctx;
    const dr_clamp_attr *attr = a->attr;
    const float low = (float)attr->min, high = (float)attr->max;
    const float *restrict x = (const float *)dr_in(a, 0) + first;
    float *restrict y = (float *)dr_out(a, 0) + first;
    for (int64_t i = 0; i < n; i++) {
        const float raised = x[i] < low ? low : x[i];
        y[i] = raised > high ? high : raised;
    }
}

static void clamp_f32(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), piece, a); }

DR_KERNEL(clamp, DR_F32, clamp_f32)
