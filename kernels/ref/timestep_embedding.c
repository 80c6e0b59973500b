/* timestep_embedding.c: sines and cosines of a time at many frequencies, see core/ops_timestep_embedding.c. */
#include "element.h"

static void timestep_embedding_ref(const dr_kargs *a) /* t [B] -> y [B,dim] */
{
    const dr_timestep_embedding_attr *p = a->attr;
    const int64_t B = a->in[0].shape[0], half = p->dim / 2;
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    for (int64_t b = 0; b < B; b++)
        for (int64_t i = 0; i < half; i++) {
            const double angle = m.in[0][b] * exp(-log(p->max_period) * (double)i / ((double)half - p->shift));
            double *y = m.out[0] + b * p->dim + i;
            y[p->flip ? half : 0] = sin(angle);
            y[p->flip ? 0 : half] = cos(angle);
        }
    dr_ref_close(&m);
}

DR_KERNEL(timestep_embedding, DR_ANY_DTYPE, timestep_embedding_ref)
