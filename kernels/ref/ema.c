/* ema.c: average = decay average + (1 - decay) param, for all weights at once. */
#include "element.h"

static void ema_step_ref(const dr_kargs *a) /* decay f64 []; then average, param of each weight */
{
    const double decay = dr_ref_load(&a->in[0], 0);
    for (int k = 1; k + 1 < a->n_in; k += 2) {
        const dr_view *average = &a->in[k], *param = &a->in[k + 1];
        for (int64_t i = 0; i < dr_numel(average); i++)
            dr_ref_store(average, i, decay * dr_ref_load(average, i) + (1 - decay) * dr_ref_load(param, i));
    }
}

DR_KERNEL(ema_step, DR_ANY_DTYPE, ema_step_ref)
