/* fold_batch_norm.c: weight' = s weight, bias' = s (bias - mean) + beta, s = gamma/sqrt(var + eps) in double. */
#include "cpu_backend.h"
#include <math.h>

/* weight [Co,Ci,k,k] or [Ci,Co,k,k], gamma, beta, mean, var [Co], bias [Co] or NULL -> weight', bias' */
static void fold_batch_norm_f32(const dr_kargs *a)
{
    const dr_fold_batch_norm_attr *attr = a->attr;
    const float *weight = dr_in(a, 0), *gamma = dr_in(a, 1), *beta = dr_in(a, 2), *mean = dr_in(a, 3);
    const float *var = dr_in(a, 4), *bias = dr_optional(a, 5);
    float *to_weight = dr_out(a, 0), *to_bias = dr_out(a, 1);
    const dr_view *w = &a->in[0];
    const int64_t outer = attr->transposed ? w->shape[0] : 1, Co = w->shape[attr->transposed ? 1 : 0];
    const int64_t run = dr_count(w, attr->transposed ? 2 : 1, 4); /* values with one output channel, side by side */

    for (int64_t c = 0; c < Co; c++) {
        const double s = (double)gamma[c] / sqrt((double)var[c] + attr->eps);
        to_bias[c] = (float)(s * ((bias ? (double)bias[c] : 0.0) - (double)mean[c]) + (double)beta[c]);
        for (int64_t o = 0; o < outer; o++) {
            const float *restrict from = weight + (o * Co + c) * run;
            float *restrict to = to_weight + (o * Co + c) * run;
            const float scale = (float)s;
            for (int64_t i = 0; i < run; i++) to[i] = scale * from[i];
        }
    }
}

DR_KERNEL(fold_batch_norm, DR_F32, fold_batch_norm_f32)
