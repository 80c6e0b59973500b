/* group_norm.c: y = act(gamma (x - mean)/sqrt(var + eps) + beta), mean and var over a group of channels of one image.
 * x is [B,C,...]: as [B,G,S] each group's S = C/G L elements lie together; the channel of element i is g C/G + i / L.
 * gamma and beta are [C], or [B,C] where each image has its own.     Wu & He 2018 */
#include "element.h"

static void group_norm_act_ref(const dr_kargs *a) /* x, gamma, beta -> y, mean [B,G], rstd [B,G] */
{
    const dr_group_norm_act_attr *attr = a->attr;
    const dr_view *view = &a->in[0];
    const int64_t B = view->shape[0], C = view->shape[1], L = dr_ref_count(view, 2, view->rank);
    const int64_t G = attr->groups, S = C / G * L, own = a->in[1].rank == 2 ? C : 0; /* between images' gammas */
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;

    for (int64_t b = 0; b < B; b++)
        for (int64_t g = 0; g < G; g++) {
            const double *x = m.in[0] + (b * G + g) * S, *gamma = m.in[1] + b * own, *beta = m.in[2] + b * own;
            double *y = m.out[0] + (b * G + g) * S;
            double mean = 0, var = 0;
            for (int64_t i = 0; i < S; i++) mean += x[i] / (double)S;
            for (int64_t i = 0; i < S; i++) var += (x[i] - mean) * (x[i] - mean) / (double)S;
            const double rstd = 1 / sqrt(var + attr->eps);
            for (int64_t i = 0; i < S; i++) {
                int64_t c = g * (C / G) + i / L;
                y[i] = dr_ref_activate(attr->act, gamma[c] * (x[i] - mean) * rstd + beta[c]);
            }
            m.out[1][b * G + g] = mean;
            m.out[2][b * G + g] = rstd;
        }
    dr_ref_close(&m);
}

/* x, gamma, beta, mean, rstd, dy -> dx, dgamma, dbeta. With h = (x - mean) rstd, z = gamma h + beta and
 * dh = gamma act'(z) dy: dx = rstd (dh - (sum dh)/S - h (sum dh h)/S). */
static void group_norm_act_backward_ref(const dr_kargs *a)
{
    const dr_group_norm_act_backward_attr *attr = a->attr;
    const dr_view *view = &a->in[0];
    const int64_t B = view->shape[0], C = view->shape[1], L = dr_ref_count(view, 2, view->rank);
    const int64_t G = attr->groups, S = C / G * L, own = a->in[1].rank == 2 ? C : 0; /* between images' gammas */
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;

    for (int64_t b = 0; b < B; b++)
        for (int64_t g = 0; g < G; g++) {
            const double mean = m.in[3][b * G + g], rstd = m.in[4][b * G + g];
            const double *x = m.in[0] + (b * G + g) * S, *dy = m.in[5] + (b * G + g) * S;
            const double *gamma = m.in[1] + b * own, *beta = m.in[2] + b * own;
            double *dx = m.out[0] + (b * G + g) * S, *dgamma = m.out[1] + b * own, *dbeta = m.out[2] + b * own;
            double sum_dh = 0, sum_dh_h = 0;
            for (int64_t i = 0; i < S; i++) {
                int64_t c = g * (C / G) + i / L;
                double h = (x[i] - mean) * rstd;
                double dz = dr_ref_activate_slope(attr->act, gamma[c] * h + beta[c]) * dy[i];
                dgamma[c] += dz * h;
                dbeta[c] += dz;
                dx[i] = gamma[c] * dz; /* dh, of which the next loop makes dx */
                sum_dh += dx[i];
                sum_dh_h += dx[i] * h;
            }
            for (int64_t i = 0; i < S; i++) {
                double h = (x[i] - mean) * rstd;
                dx[i] = rstd * (dx[i] - sum_dh / (double)S - h * sum_dh_h / (double)S);
            }
        }
    dr_ref_close(&m);
}

DR_KERNEL(group_norm_act, DR_ANY_DTYPE, group_norm_act_ref)
DR_KERNEL(group_norm_act_backward, DR_ANY_DTYPE, group_norm_act_backward_ref)
