/* layer_norm.c: y = gamma (x - mean)/sqrt(var + eps) + beta over the last axis.     Ba, Kiros, Hinton 2016 */
#include "element.h"

/* x [..,D], gamma [D] or NULL, beta [D] or NULL -> y, mean [..], rstd [..] */
static void layer_norm_ref(const dr_kargs *a)
{
    const double eps = ((const dr_layer_norm_attr *)a->attr)->eps;
    const dr_view *view = &a->in[0];
    const int64_t rows = dr_ref_count(view, 0, view->rank - 1), D = view->shape[view->rank - 1];
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *gamma = m.in[1], *beta = m.in[2];

    for (int64_t r = 0; r < rows; r++) {
        const double *x = m.in[0] + r * D;
        double mean = 0, var = 0;
        for (int64_t i = 0; i < D; i++) mean += x[i] / (double)D;
        for (int64_t i = 0; i < D; i++) var += (x[i] - mean) * (x[i] - mean) / (double)D;
        const double rstd = 1 / sqrt(var + eps);
        for (int64_t i = 0; i < D; i++)
            m.out[0][r * D + i] = (gamma ? gamma[i] : 1) * (x[i] - mean) * rstd + (beta ? beta[i] : 0);
        m.out[1][r] = mean;
        m.out[2][r] = rstd;
    }
    dr_ref_close(&m);
}

/* x, mean, rstd, dy, gamma or NULL -> dx, dgamma, dbeta. With h = (x - mean) rstd and dh = gamma dy:
 * dx = rstd (dh - (sum dh)/D - h (sum dh h)/D). */
static void layer_norm_backward_ref(const dr_kargs *a)
{
    const dr_view *view = &a->in[0];
    const int64_t rows = dr_ref_count(view, 0, view->rank - 1), D = view->shape[view->rank - 1];
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *gamma = m.in[4];
    double *dgamma = m.out[1], *dbeta = m.out[2];

    for (int64_t r = 0; r < rows; r++) {
        const double *x = m.in[0] + r * D, *dy = m.in[3] + r * D, mean = m.in[1][r], rstd = m.in[2][r];
        double *dx = m.out[0] + r * D, sum_dh = 0, sum_dh_h = 0;
        for (int64_t i = 0; i < D; i++) {
            double h = (x[i] - mean) * rstd;
            dgamma[i] += dy[i] * h;
            dbeta[i] += dy[i];
            dx[i] = (gamma ? gamma[i] : 1) * dy[i]; /* dh, of which the next loop makes dx */
            sum_dh += dx[i];
            sum_dh_h += dx[i] * h;
        }
        for (int64_t i = 0; i < D; i++) {
            double h = (x[i] - mean) * rstd;
            dx[i] = rstd * (dx[i] - sum_dh / (double)D - h * sum_dh_h / (double)D);
        }
    }
    dr_ref_close(&m);
}

DR_KERNEL(layer_norm, DR_ANY_DTYPE, layer_norm_ref)
DR_KERNEL(layer_norm_backward, DR_ANY_DTYPE, layer_norm_backward_ref)
