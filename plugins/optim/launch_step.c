/* launch_step.c: one launch of an optimizer's op over all weights, see launch_step.h. */
#include "launch_step.h"
#include <stdlib.h>

dr_status launch_step(const char *op, const void *attr, const dr_optim_state *s, int slots)
{
    const int64_t each = 2 + slots, n = 1 + s->n * each;
    dr_tensor **in = calloc((size_t)n, sizeof *in);
    if (!in) return dr_fail(DR_ENOMEM, "optimizer step: no memory for %lld weights", (long long)s->n);

    in[0] = s->lr_and_step;
    for (int64_t i = 0; i < s->n; i++) {
        dr_tensor **weight = in + 1 + i * each;
        weight[0] = s->param[i];
        weight[1] = s->grad[i];
        for (int k = 0; k < slots; k++) weight[2 + k] = s->slot[k][i];
    }
    const dr_status status = dr_apply(op, in, (int)n, attr, NULL);
    free(in);
    return status;
}
