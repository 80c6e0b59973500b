/* cross_entropy.c: loss = mean over rows of -log softmax(logits)[label]. */
#include "element.h"

static bool labels_fit(const dr_kargs *a, const double *label, int64_t B, int64_t K)
{
    for (int64_t b = 0; b < B; b++) {
        if (label[b] >= 0 && label[b] < (double)K) continue;
        dr_fail(DR_EINVAL, "%s: label %.0f of row %lld is outside [0, %lld]", a->op, label[b], (long long)b,
                (long long)K - 1);
        return false;
    }
    return true;
}

static void cross_entropy_ref(const dr_kargs *a) /* logits [B,K], label i32 [B] -> loss [], log-probabilities [B,K] */
{
    const int64_t B = a->in[0].shape[0], K = a->in[0].shape[1];
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *label = m.in[1];
    double *loss = m.out[0];
    const bool fit = labels_fit(a, label, B, K);
    for (int64_t b = 0; fit && b < B; b++) {
        const double *logits = m.in[0] + b * K;
        double *log_p = m.out[1] + b * K, largest = -INFINITY, sum = 0;
        for (int64_t k = 0; k < K; k++) largest = fmax(largest, logits[k]);
        for (int64_t k = 0; k < K; k++) sum += exp(logits[k] - largest);
        for (int64_t k = 0; k < K; k++) log_p[k] = logits[k] - largest - log(sum);
        loss[0] -= log_p[(int64_t)label[b]];
    }
    loss[0] /= (double)B;
    dr_ref_close(&m);
}

static void cross_entropy_backward_ref(const dr_kargs *a) /* log-probabilities, label, dloss [] -> dlogits [B,K] */
{
    const int64_t B = a->in[0].shape[0], K = a->in[0].shape[1];
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *log_p = m.in[0], *label = m.in[1], dloss = m.in[2][0];
    for (int64_t b = 0; b < B; b++)
        for (int64_t k = 0; k < K; k++) {
            double wanted = label[b] == (double)k;
            m.out[0][b * K + k] = dloss * (exp(log_p[b * K + k]) - wanted) / (double)B;
        }
    dr_ref_close(&m);
}

DR_KERNEL(cross_entropy, DR_ANY_DTYPE, cross_entropy_ref)
DR_KERNEL(cross_entropy_backward, DR_ANY_DTYPE, cross_entropy_backward_ref)
