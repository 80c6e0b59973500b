/* class_accuracy.c: the share of rows whose largest logit is the label's.
 *   accuracy = (1/N) sum_n [argmax_k logits[n,k] = label[n]] */
#include <drift/plugin.h>
#include <math.h>
#include <stdlib.h>

typedef struct { int64_t correct, samples; } class_accuracy;

static dr_status reset(void *self)
{
    *(class_accuracy *)self = (class_accuracy){ 0, 0 };
    return DR_OK;
}

/* Adds the rows where best[b] = label[b]; host is room for both, [2B]. */
static dr_status count(class_accuracy *m, dr_tensor *best, dr_tensor *label, int64_t B, int32_t *host)
{
    if (dr_tensor_read(best, DR_I32, host) || dr_tensor_read(label, DR_I32, host + B)) return dr_failed();
    for (int64_t b = 0; b < B; b++) m->correct += host[b] == host[B + b];
    m->samples += B;
    return DR_OK;
}

static dr_status update(void *self, dr_tensor *output, dr_tensor *label) /* logits [B,K], label [B] i32 */
{
    const dr_view *logits = dr_tensor_view(output), *truth = dr_tensor_view(label);
    if (dr_failed()) return dr_failed();
    if (!logits || !truth) return dr_fail(DR_EINVAL, "metric class_accuracy: needs logits and labels");
    if (logits->rank != 2 || truth->rank != 1 || truth->shape[0] != logits->shape[0]) {
        return dr_fail(DR_ESHAPE, "metric class_accuracy: expects logits [B,K] and labels [B]");
    }
    const int64_t B = logits->shape[0];
    int32_t *host = malloc(2 * (size_t)B * sizeof *host + 1);
    if (!host) return dr_fail(DR_ENOMEM, "metric class_accuracy: no memory for %lld rows", (long long)B);
    const dr_status status = count(self, dr_argmax(output, 1), label, B, host);
    free(host);
    return status;
}

static dr_status result(void *self, double *value, int64_t *samples)
{
    const class_accuracy *m = self;
    *value = m->samples ? (double)m->correct / (double)m->samples : NAN;
    *samples = m->samples;
    return DR_OK;
}

DR_METRIC(class_accuracy, "Share of samples whose largest logit is their label's", NULL, .reset = reset,
          .update = update, .result = result)
