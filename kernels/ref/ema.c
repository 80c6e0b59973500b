/* ema.c: average = decay average + (1 - decay) param, for all weights at once. */
#include "element.h"

static void ema_step_ref(const dr_kargs *a) /* average, param of each weight */
{
    const double decay = ((const dr_ema_step_attr *)a->attr)->decay;
    for (int k = 0; k + 1 < a->n_in; k += 2) {
        const dr_view *average = &a->in[k], *param = &a->in[k + 1];
        for (int64_t i = 0; i < dr_numel(average); i++)
            dr_ref_store(average, i, decay * dr_ref_load(average, i) + (1 - decay) * dr_ref_load(param, i));
    }
}

DR_KERNEL(ema_step, DR_ANY_DTYPE, ema_step_ref)
