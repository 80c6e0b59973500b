/* batch_norm.c: y = act(gamma (x - mean)/sqrt(var + eps) + beta), per channel.     Ioffe & Szegedy 2015
 * x is [B,C,...]; n = B times the product of the rest. Training uses the batch's mean and biased variance, in two
 * passes (the one-pass formula cancels when the mean is large); evaluation uses the running ones. */
#include "element.h"

static void batch_norm_act_ref(const dr_kargs *a) /* x, gamma [C], beta [C] -> y, mean [C], var [C] */
{
    const dr_batch_norm_act_attr *attr = a->attr;
    const dr_view *view = &a->in[0];
    const int64_t B = view->shape[0], C = view->shape[1], L = dr_ref_count(view, 2, view->rank), n = B * L;
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *x = m.in[0], *gamma = m.in[1], *beta = m.in[2];
    double *y = m.out[0], *mean = m.out[1], *var = m.out[2];

    for (int64_t c = 0; c < C; c++) {
        for (int64_t b = 0; b < B; b++)
            for (int64_t i = 0; i < L; i++) mean[c] += x[(b * C + c) * L + i] / (double)n;
        for (int64_t b = 0; b < B; b++)
            for (int64_t i = 0; i < L; i++) {
                double centred = x[(b * C + c) * L + i] - mean[c];
                var[c] += centred * centred / (double)n;
            }
        const double rstd = 1 / sqrt(var[c] + attr->eps);
        for (int64_t b = 0; b < B; b++)
            for (int64_t i = 0; i < L; i++) {
                int64_t at = (b * C + c) * L + i;
                y[at] = dr_ref_activate(attr->act, gamma[c] * (x[at] - mean[c]) * rstd + beta[c]);
            }
    }
    dr_ref_close(&m);
}

/* x, gamma, beta, mean, var, dy -> dx, dgamma, dbeta. With h = (x - mean) rstd, z = gamma h + beta, dz = act'(z) dy:
 * dx = gamma rstd (dz - (sum dz)/n - h (sum dz h)/n), since mean and var depend on x too. */
static void batch_norm_act_backward_ref(const dr_kargs *a)
{
    const dr_batch_norm_act_backward_attr *attr = a->attr;
    const dr_view *view = &a->in[0];
    const int64_t B = view->shape[0], C = view->shape[1], L = dr_ref_count(view, 2, view->rank), n = B * L;
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *x = m.in[0], *gamma = m.in[1], *beta = m.in[2], *mean = m.in[3], *var = m.in[4], *dy = m.in[5];
    double *dx = m.out[0], *dgamma = m.out[1], *dbeta = m.out[2];

    for (int64_t c = 0; c < C; c++) {
        const double rstd = 1 / sqrt(var[c] + attr->eps);
        for (int64_t b = 0; b < B; b++)
            for (int64_t i = 0; i < L; i++) {
                int64_t at = (b * C + c) * L + i;
                double h = (x[at] - mean[c]) * rstd;
                double dz = dr_ref_activate_slope(attr->act, gamma[c] * h + beta[c]) * dy[at];
                dgamma[c] += dz * h;
                dbeta[c] += dz;
                dx[at] = dz; /* dz, of which the next loop makes dx */
            }
        for (int64_t b = 0; b < B; b++)
            for (int64_t i = 0; i < L; i++) {
                int64_t at = (b * C + c) * L + i;
                double h = (x[at] - mean[c]) * rstd, dz = dx[at];
                dx[at] = gamma[c] * rstd * (dz - dbeta[c] / (double)n - h * dgamma[c] / (double)n);
            }
    }
    dr_ref_close(&m);
}

static void batch_norm_eval_ref(const dr_kargs *a) /* x, gamma, beta, running_mean [C], running_var [C] -> y */
{
    const dr_batch_norm_eval_attr *attr = a->attr;
    const dr_view *view = &a->in[0];
    const int64_t B = view->shape[0], C = view->shape[1], L = dr_ref_count(view, 2, view->rank);
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *x = m.in[0], *gamma = m.in[1], *beta = m.in[2], *mean = m.in[3], *var = m.in[4];
    for (int64_t b = 0; b < B; b++)
        for (int64_t c = 0; c < C; c++)
            for (int64_t i = 0; i < L; i++) {
                int64_t at = (b * C + c) * L + i;
                double h = (x[at] - mean[c]) / sqrt(var[c] + attr->eps);
                m.out[0][at] = dr_ref_activate(attr->act, gamma[c] * h + beta[c]);
            }
    dr_ref_close(&m);
}

/* running_mean, running_var, mean, var, num_batches_tracked or NULL; all but mean and var in place:
 * running = (1 - momentum) running + momentum batch, where the batch's variance is the unbiased one. */
static void batch_norm_update_ref(const dr_kargs *a)
{
    const dr_batch_norm_update_attr *attr = a->attr;
    const double n = (double)attr->count;
    const double unbiased = n > 1 ? n / (n - 1) : 1; /* the variance of one value stays 0 */
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    double *running_mean = m.in[0], *running_var = m.in[1], *batches = m.in[4];
    const double *mean = m.in[2], *var = m.in[3];
    for (int64_t c = 0; c < dr_numel(&a->in[0]); c++) {
        running_mean[c] = (1 - attr->momentum) * running_mean[c] + attr->momentum * mean[c];
        running_var[c] = (1 - attr->momentum) * running_var[c] + attr->momentum * var[c] * unbiased;
    }
    dr_ref_write(&a->in[0], running_mean);
    dr_ref_write(&a->in[1], running_var);
    if (batches) {
        batches[0] += 1;
        dr_ref_write(&a->in[4], batches);
    }
    dr_ref_drop(&m);
}

DR_KERNEL(batch_norm_act, DR_ANY_DTYPE, batch_norm_act_ref)
DR_KERNEL(batch_norm_act_backward, DR_ANY_DTYPE, batch_norm_act_backward_ref)
DR_KERNEL(batch_norm_eval, DR_ANY_DTYPE, batch_norm_eval_ref)
DR_KERNEL(batch_norm_update, DR_ANY_DTYPE, batch_norm_update_ref)
