/* launch_step.c: one launch of an optimizer's op over all weights, see launch_step.h. */
#include "launch_step.h"
#include <stdlib.h>

dr_status launch_step(const char *op, const void *attr, dr_optim_state *s, int slots, int averages)
{
    const int64_t each = 2 + slots + averages, n = 1 + s->n * each;
    dr_tensor **in = calloc((size_t)n, sizeof *in);
    if (!in) return dr_fail(DR_ENOMEM, "optimizer step: no memory for %lld weights", (long long)s->n);

    in[0] = averages > 0 ? s->with_decays : s->lr_and_step;
    for (int64_t i = 0; i < s->n; i++) {
        dr_tensor **weight = in + 1 + i * each;
        weight[0] = s->param[i];
        weight[1] = s->grad[i];
        for (int k = 0; k < slots; k++) weight[2 + k] = s->slot[k][i];
        for (int k = 0; k < averages; k++) weight[2 + slots + k] = s->average[k][i];
    }
    const dr_status status = dr_apply(op, in, (int)n, attr, NULL);
    free(in);
    s->averaged = averages > 0;
    return status;
}
