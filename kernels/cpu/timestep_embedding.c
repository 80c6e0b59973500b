/* timestep_embedding.c: sines and cosines of a time at many frequencies, see core/ops_timestep_embedding.c.
 * In double: a time of 999 has angles whose rounding to float alone is 3e-5, and the layers behind would see that. */
#include "cpu_backend.h"
#include <math.h>

static void timestep_embedding(const dr_kargs *a) /* t [B] -> y [B,dim] */
{
    const dr_timestep_embedding_attr *p = a->attr;
    const int64_t B = a->in[0].shape[0], half = p->dim / 2;
    const float *t = dr_in(a, 0);
    float *y = dr_out(a, 0);
    for (int64_t i = 0; i < half; i++) {
        const double frequency = exp(-log(p->max_period) * (double)i / ((double)half - p->shift));
        for (int64_t b = 0; b < B; b++) {
            y[b * p->dim + i + (p->flip ? half : 0)] = (float)sin((double)t[b] * frequency);
            y[b * p->dim + i + (p->flip ? 0 : half)] = (float)cos((double)t[b] * frequency);
        }
    }
    for (int64_t b = 0; b < B && p->dim % 2; b++) y[(b + 1) * p->dim - 1] = 0.0f;
}

DR_KERNEL(timestep_embedding, DR_F32, timestep_embedding)
