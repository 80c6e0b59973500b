/* class_accuracy.c: the share of rows whose largest logit is the label's.
 *   accuracy = (1/N) sum_n [argmax_k logits[n,k] = label[n]] */
#include <drift/plugin.h>
#include <stdlib.h>

typedef struct {
    int64_t n, room;
    uint8_t *correct; /* [n]: 1 or 0 */
} class_accuracy;

static dr_status reset(void *self)
{
    class_accuracy *m = self;
    m->n = 0;
    return DR_OK;
}

static void destroy(void *self)
{
    class_accuracy *m = self;
    free(m->correct);
}

static dr_status make_room(class_accuracy *m, int64_t n)
{
    if (n <= m->room) return DR_OK;
    const int64_t room = 2 * m->room > n ? 2 * m->room : n;
    uint8_t *grown = realloc(m->correct, (size_t)room);
    if (!grown) return dr_fail(DR_ENOMEM, "metric class_accuracy: no memory for %lld rows", (long long)n);
    m->correct = grown, m->room = room;
    return DR_OK;
}

/* host is room for both, [2B]. */
static dr_status compare(class_accuracy *m, dr_tensor *best, dr_tensor *label, int64_t B, int32_t *host)
{
    if (dr_tensor_read(best, DR_I32, host) || dr_tensor_read(label, DR_I32, host + B)) return dr_failed();
    if (make_room(m, m->n + B)) return dr_failed();
    for (int64_t b = 0; b < B; b++) m->correct[m->n++] = host[b] == host[B + b];
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
    const dr_status status = compare(self, dr_argmax(output, 1), label, B, host);
    free(host);
    return status;
}

static int64_t samples(void *self) { return ((const class_accuracy *)self)->n; }

static dr_status evaluate(void *self, const int64_t *rows, int64_t n, double *value)
{
    const class_accuracy *m = self;
    int64_t correct = 0;
    for (int64_t i = 0; i < n; i++) correct += m->correct[rows[i]];
    *value = (double)correct / (double)n;
    return DR_OK;
}

DR_METRIC(class_accuracy, "Share of samples whose largest logit is their label's", NULL, .space = DR_SPACE_LOGITS,
          .values = 1, .value_name = { "class_accuracy" }, .range = { { 0.0, 1.0 } }, .reset = reset, .update = update,
          .samples = samples, .evaluate = evaluate, .destroy = destroy, .better = { 1 })
