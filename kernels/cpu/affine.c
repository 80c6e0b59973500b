/* affine.c: y = scale x + shift. */
#include "walk.h"

static void piece(const void *ctx, int64_t first, int64_t n)
{
    const dr_kargs *a = ctx;
    const dr_affine_attr *attr = a->attr;
    const float scale = (float)attr->scale, shift = (float)attr->shift;
    const float *restrict x = (const float *)dr_in(a, 0) + first;
    float *restrict y = (float *)dr_out(a, 0) + first;
    for (int64_t i = 0; i < n; i++) y[i] = scale * x[i] + shift;
}

static void affine_f32(const dr_kargs *a) { dr_pieces(dr_numel(&a->out[0]), piece, a); }

DR_KERNEL(affine, DR_F32, affine_f32)
