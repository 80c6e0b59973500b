/* layer_norm.c: y = gamma (x - mean)/sqrt(var + eps) + beta over the last axis.     Ba, Kiros, Hinton 2016
 * Sums are doubles; a mean is subtracted in two parts, high + low, so that its own rounding does not show in y. x and y
 * are f32 or bf16, all else is f32. */
#include "bf16.h"
#include "cpu_backend.h"
#include <stdbool.h>
#include <string.h>

VM_INLINE void row(int type, const void *x, const float *gamma, const float *beta, void *restrict y, float *mean_out,
                   float *rstd_out, int64_t D, double eps)
{
    double sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < D; i++) sum += (double)dr_load(type, x, i);
    const double mean = sum / (double)D;
    const float high = (float)mean, low = (float)(mean - (double)high);
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < D; i++) {
        const double d = (double)((dr_load(type, x, i) - high) - low);
        squares += d * d;
    }
    const double rstd = 1 / sqrt(squares / (double)D + eps);
    const float scale = (float)rstd;
    for (int64_t i = 0; i < D; i++) {
        const float h = ((dr_load(type, x, i) - high) - low) * scale, z = gamma ? gamma[i] * h : h;
        dr_store(type, y, i, beta ? z + beta[i] : z);
    }
    *mean_out = high;
    *rstd_out = scale;
}

/* x [..,D], gamma [D] or NULL, beta [D] or NULL -> y, mean [..], rstd [..] */
static void layer_norm(const dr_kargs *a)
{
    const double eps = ((const dr_layer_norm_attr *)a->attr)->eps;
    const dr_view *view = &a->in[0];
    const int64_t rows = dr_count(view, 0, view->rank - 1), D = view->shape[view->rank - 1];
    const void *x = dr_in(a, 0);
    const float *gamma = dr_optional(a, 1), *beta = dr_optional(a, 2);
    void *y = dr_out(a, 0);
    float *mean = dr_out(a, 1), *rstd = dr_out(a, 2);
    const bool narrow = view->dtype == DR_BF16;
#pragma omp parallel for schedule(static) if (rows * D > DR_CPU_PARALLEL)
    for (int64_t r = 0; r < rows; r++) {
        if (narrow)
            row(DR_BF16, dr_from(DR_BF16, x, r * D), gamma, beta, dr_into(DR_BF16, y, r * D), mean + r, rstd + r, D,
                eps);
        else row(DR_F32, dr_from(DR_F32, x, r * D), gamma, beta, dr_into(DR_F32, y, r * D), mean + r, rstd + r, D, eps);
    }
}

/* dx of one row, and what it adds to dgamma and dbeta. With h = (x - mean) rstd and dh = gamma dy:
 * dx = rstd (dh - (sum dh)/D - h (sum dh h)/D). */
VM_INLINE void row_backward(int type, const void *x, const void *dy, const float *gamma, float rstd,
                            void *restrict dx, double *restrict dgamma, double *restrict dbeta, int64_t D)
{
    double sum = 0, sum_dh = 0, sum_dh_h = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < D; i++) sum += (double)dr_load(type, x, i);
    const double mean = sum / (double)D; /* the one that forward gives out is rounded, which shows where rstd is large */
#pragma omp simd reduction(+ : sum_dh, sum_dh_h)
    for (int64_t i = 0; i < D; i++) {
        const double h = ((double)dr_load(type, x, i) - mean) * (double)rstd, own = (double)dr_load(type, dy, i);
        const double dh = gamma ? (double)gamma[i] * own : own;
        dgamma[i] += own * h;
        dbeta[i] += own;
        sum_dh += dh;
        sum_dh_h += dh * h;
    }
    const double mean_dh = sum_dh / (double)D, mean_dh_h = sum_dh_h / (double)D;
    for (int64_t i = 0; i < D; i++) { /* over few values the three terms nearly cancel */
        const double h = ((double)dr_load(type, x, i) - mean) * (double)rstd, own = (double)dr_load(type, dy, i);
        const double dh = gamma ? (double)gamma[i] * own : own;
        dr_store(type, dx, i, (float)((double)rstd * (dh - mean_dh - h * mean_dh_h)));
    }
}

/* x, mean, rstd, dy, gamma or NULL -> dx, dgamma, dbeta */
static void layer_norm_backward(const dr_kargs *a)
{
    const dr_view *view = &a->in[0];
    const int64_t rows = dr_count(view, 0, view->rank - 1), D = view->shape[view->rank - 1];
    const void *x = dr_in(a, 0), *dy = dr_in(a, 3);
    const float *rstd = dr_in(a, 2), *gamma = dr_optional(a, 4);
    void *dx = dr_out(a, 0);
    float *dgamma = dr_out(a, 1), *dbeta = dr_out(a, 2);
    const bool narrow = view->dtype == DR_BF16;
    const dr_blocks cut = dr_cut(rows, 16);
    double *partial = dr_cpu_workspace(a, (size_t)((cut.count + 1) * 2 * D) * sizeof(double)); /* [blocks,2,D] */
    if (!partial) return;

#pragma omp parallel for schedule(static) if (rows * D > DR_CPU_PARALLEL)
    for (int64_t b = 0; b < cut.count; b++) {
        double *own = partial + b * 2 * D;
        memset(own, 0, (size_t)(2 * D) * sizeof(double));
        for (int64_t r = b * cut.size; r < dr_min64((b + 1) * cut.size, rows); r++) {
            if (narrow)
                row_backward(DR_BF16, dr_from(DR_BF16, x, r * D), dr_from(DR_BF16, dy, r * D), gamma, rstd[r],
                             dr_into(DR_BF16, dx, r * D), own, own + D, D);
            else
                row_backward(DR_F32, dr_from(DR_F32, x, r * D), dr_from(DR_F32, dy, r * D), gamma, rstd[r],
                             dr_into(DR_F32, dx, r * D), own, own + D, D);
        }
    }
    double *total = partial + cut.count * 2 * D;
    memset(total, 0, (size_t)(2 * D) * sizeof(double));
    for (int64_t b = 0; b < cut.count; b++)
        for (int64_t i = 0; i < 2 * D; i++) total[i] += partial[b * 2 * D + i];
    for (int64_t i = 0; i < D; i++) {
        dgamma[i] = (float)total[i];
        dbeta[i] = (float)total[D + i];
    }
}

DR_KERNEL(layer_norm, DR_F32, layer_norm)
DR_KERNEL(layer_norm, DR_BF16, layer_norm)
DR_KERNEL(layer_norm_backward, DR_F32, layer_norm_backward)
DR_KERNEL(layer_norm_backward, DR_BF16, layer_norm_backward)
