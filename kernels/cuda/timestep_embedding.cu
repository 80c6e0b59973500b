/* timestep_embedding.cu: sines and cosines of a time at many frequencies, see core/ops_timestep_embedding.c.
 * In double: a time of 999 has angles whose rounding to float alone is 3e-5. */
#include "cuda_kernel.h"

__global__ void timestep_embedding(const float *t, float *y, int64_t n, int64_t dim, double rate, bool flip)
{
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x, half = dim / 2;
    if (i >= n) return; /* n = B dim */
    const int64_t b = i / dim, k = i - b * dim;
    const bool first = k < half;
    const double angle = (double)t[b] * exp(rate * (double)(first ? k : k - half));
    y[i] = k == 2 * half ? 0.0f : (float)(first == flip ? cos(angle) : sin(angle));
}

static void timestep_embedding(const dr_kargs *a) /* t [B] -> y [B,dim] */
{
    const dr_timestep_embedding_attr *p = (const dr_timestep_embedding_attr *)a->attr;
    const int64_t n = dr_numel(&a->out[0]), half = p->dim / 2;
    const double rate = -log(p->max_period) / ((double)half - p->shift);
    if (n == 0) return;
    DR_LAUNCH(a, timestep_embedding, (unsigned)dr_blocks_for(n, 128), 128, 0, (const float *)dr_in(a, 0),
              (float *)dr_out(a, 0), n, p->dim, rate, (bool)p->flip);
}

DR_KERNEL(timestep_embedding, DR_F32, timestep_embedding)
