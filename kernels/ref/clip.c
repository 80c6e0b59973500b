/* clip.c: clipping gradients by their common norm: g *= min(1, max_norm/(norm + 1e-6)).     Pascanu et al. 2013 */
#include "element.h"

static void square_norm_ref(const dr_kargs *a) /* tensors -> f64 [], the sum of all squares */
{
    double sum = 0;
    for (int k = 0; k < a->n_in; k++)
        for (int64_t i = 0; i < dr_numel(&a->in[k]); i++) sum += dr_ref_load(&a->in[k], i) * dr_ref_load(&a->in[k], i);
    dr_ref_store(&a->out[0], 0, sum);
}

static void clip_step_ref(const dr_kargs *a) /* squared norm f64 []; then the gradients, in place */
{
    const double norm = sqrt(dr_ref_load(&a->in[0], 0));
    const double factor = ((const dr_clip_step_attr *)a->attr)->max_norm / (norm + 1e-6);
    if (factor >= 1) return;
    for (int k = 1; k < a->n_in; k++)
        for (int64_t i = 0; i < dr_numel(&a->in[k]); i++)
            dr_ref_store(&a->in[k], i, factor * dr_ref_load(&a->in[k], i));
}

DR_KERNEL(square_norm, DR_ANY_DTYPE, square_norm_ref)
DR_KERNEL(clip_step, DR_ANY_DTYPE, clip_step_ref)
