/* launch_step.c: an optimizer's op over all weights, in one launch or few, see launch_step.h. */
#include "launch_step.h"
#include <stdlib.h>

enum { MOST_INPUTS = 2048 }; /* that an op takes: larger networks take several launches */

/* The weights first .. first + n - 1; `in` has room for their tensors. */
static dr_status launch_some(const char *op, const void *attr, dr_optim_state *s, int slots, int averages,
                             int64_t first, int64_t n, dr_tensor **in)
{
    const int64_t each = 2 + slots + averages;
    in[0] = averages > 0 ? s->with_decays : s->lr_and_step;
    for (int64_t i = 0; i < n; i++) {
        dr_tensor **weight = in + 1 + i * each;
        weight[0] = s->param[first + i];
        weight[1] = s->grad[first + i];
        for (int k = 0; k < slots; k++) weight[2 + k] = s->slot[k][first + i];
        for (int k = 0; k < averages; k++) weight[2 + slots + k] = s->average[k][first + i];
    }
    return dr_apply(op, in, (int)(1 + n * each), attr, NULL);
}

dr_status launch_step(const char *op, const void *attr, dr_optim_state *s, int slots, int averages)
{
    const int64_t each = 2 + slots + averages, most = (MOST_INPUTS - 1) / each;
    dr_tensor **in = calloc((size_t)(1 + (s->n < most ? s->n : most) * each), sizeof *in);
    if (!in) return dr_fail(DR_ENOMEM, "optimizer step: no memory for %lld weights", (long long)s->n);

    dr_status status = DR_OK;
    for (int64_t first = 0; first < s->n && status == DR_OK; first += most) {
        status = launch_some(op, attr, s, slots, averages, first, s->n - first < most ? s->n - first : most, in);
    }
    free(in);
    s->averaged = averages > 0;
    return status;
}
