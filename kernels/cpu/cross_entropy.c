/* cross_entropy.c: loss = mean over rows of -log softmax(logits)[label]. logits are f32 or bf16, all else is
 * f32. */
#include "bf16.h"
#include "cpu_backend.h"
#include <stdbool.h>

static bool labels_fit(const dr_kargs *a, const int32_t *label, int64_t B, int64_t K)
{
    for (int64_t b = 0; b < B; b++) {
        if (label[b] >= 0 && label[b] < K) continue;
        dr_fail(DR_EINVAL, "%s: label %d of row %lld is outside [0, %lld]", a->op, (int)label[b], (long long)b,
                (long long)K - 1);
        return false;
    }
    return true;
}

VM_INLINE void log_softmax(int type, const void *logits, float *restrict log_p, int64_t K)
{
    float largest = -INFINITY;
    double sum = 0;
    for (int64_t k = 0; k < K; k++) log_p[k] = dr_load(type, logits, k);
#pragma omp simd reduction(max : largest)
    for (int64_t k = 0; k < K; k++) largest = log_p[k] > largest ? log_p[k] : largest;
#pragma omp simd reduction(+ : sum)
    for (int64_t k = 0; k < K; k++) sum += (double)vm_exp(log_p[k] - largest);
    const float log_sum = (float)log(sum);
    for (int64_t k = 0; k < K; k++) log_p[k] = (log_p[k] - largest) - log_sum;
}

static void cross_entropy(const dr_kargs *a) /* logits [B,K], label i32 [B] -> loss [], log-probabilities [B,K] */
{
    const int64_t B = a->in[0].shape[0], K = a->in[0].shape[1];
    const void *logits = dr_in(a, 0);
    const int32_t *label = dr_in(a, 1);
    float *loss = dr_out(a, 0), *log_p = dr_out(a, 1);
    const bool narrow = a->in[0].dtype == DR_BF16;
    double sum = 0;
    if (!labels_fit(a, label, B, K)) return;
#pragma omp parallel for schedule(static) if (B * K > DR_CPU_PARALLEL / 4)
    for (int64_t b = 0; b < B; b++) {
        if (narrow) log_softmax(DR_BF16, dr_from(DR_BF16, logits, b * K), log_p + b * K, K);
        else log_softmax(DR_F32, dr_from(DR_F32, logits, b * K), log_p + b * K, K);
    }
    for (int64_t b = 0; b < B; b++) sum -= (double)log_p[b * K + label[b]];
    *loss = (float)(sum / (double)B);
}

static void cross_entropy_backward_f32(const dr_kargs *a) /* log-probabilities, label, dloss [] -> dlogits [B,K] */
{
    const int64_t B = a->in[0].shape[0], K = a->in[0].shape[1];
    const float *log_p = dr_in(a, 0), share = *(const float *)dr_in(a, 2) / (float)B;
    const int32_t *label = dr_in(a, 1);
    float *dlogits = dr_out(a, 0);
#pragma omp parallel for schedule(static) if (B * K > DR_CPU_PARALLEL / 4)
    for (int64_t b = 0; b < B; b++) {
        const float *row = log_p + b * K;
        float *to = dlogits + b * K;
        for (int64_t k = 0; k < K; k++) to[k] = share * vm_exp(row[k]);
        if (label[b] >= 0 && label[b] < K) to[label[b]] = (float)((double)share * expm1((double)row[label[b]]));
    }
}

DR_KERNEL(cross_entropy, DR_F32, cross_entropy)
DR_KERNEL(cross_entropy, DR_BF16, cross_entropy)
DR_KERNEL(cross_entropy_backward, DR_F32, cross_entropy_backward_f32)
