/* clip.c: clipping gradients by their common norm: g *= min(1, max_norm/(norm + 1e-6)).     Pascanu et al. 2013 */
#include "cpu_backend.h"
#include <math.h>

static double squares(const float *x, int64_t n)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

static double squares_in_blocks(const float *x, int64_t n)
{
    const dr_blocks cut = dr_cut(n, DR_CPU_PARALLEL / 4);
    double partial[DR_CPU_BLOCKS], sum = 0;
#pragma omp parallel for schedule(static) if (n > DR_CPU_PARALLEL)
    for (int64_t b = 0; b < cut.count; b++)
        partial[b] = squares(x + b * cut.size, dr_min64(cut.size, n - b * cut.size));
    for (int64_t b = 0; b < cut.count; b++) sum += partial[b];
    return sum;
}

static void square_norm_f32(const dr_kargs *a) /* tensors -> f64 [], the sum of all squares */
{
    double sum = 0;
    for (int k = 0; k < a->n_in; k++) sum += squares_in_blocks(dr_in(a, k), dr_numel(&a->in[k]));
    *(double *)dr_out(a, 0) = sum;
}

static void scale(float *x, double factor, int64_t n)
{
#pragma omp parallel for simd schedule(static) if (n > DR_CPU_PARALLEL)
    for (int64_t i = 0; i < n; i++) x[i] = (float)(factor * (double)x[i]);
}

static void clip_step_f32(const dr_kargs *a) /* squared norm f64 []; then the gradients, in place */
{
    const double norm = sqrt(*(const double *)dr_in(a, 0));
    const double factor = ((const dr_clip_step_attr *)a->attr)->max_norm / (norm + 1e-6);
    if (factor >= 1) return;
    for (int k = 1; k < a->n_in; k++) scale(dr_in(a, k), factor, dr_numel(&a->in[k]));
}

DR_KERNEL(square_norm, DR_F32, square_norm_f32)
DR_KERNEL(clip_step, DR_F32, clip_step_f32)
