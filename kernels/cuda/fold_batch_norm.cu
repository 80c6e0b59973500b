/* fold_batch_norm.cu: weight' = s weight, bias' = s (bias - mean) + beta, s = gamma/sqrt(var + eps) for each output
 * channel of a convolution: it then does what convolution and normalisation did.     Jacob et al. 2018, section 3.2 */
#include "cuda_kernel.h"

typedef struct fold_vectors {
    const float *gamma, *beta, *mean, *var, *bias; /* [Co]; bias may be NULL */
} fold_vectors;

/* `run` values of one output channel lie side by side, and Co such runs before the first channel comes again. */
__global__ void fold(const float *__restrict__ weight, fold_vectors v, float *__restrict__ to_weight, float *to_bias,
                     int64_t n, int64_t Co, int64_t run, float eps)
{
    const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i < Co) {
        const float s = v.gamma[i] / sqrtf(v.var[i] + eps);
        to_bias[i] = s * ((v.bias ? v.bias[i] : 0.0f) - v.mean[i]) + v.beta[i];
    }
    if (i >= n) return;
    const int64_t c = i / run % Co;
    to_weight[i] = v.gamma[c] / sqrtf(v.var[c] + eps) * weight[i];
}

/* weight [Co,Ci,k,k] or [Ci,Co,k,k], gamma, beta, mean, var [Co], bias [Co] or NULL -> weight', bias' */
static void fold_batch_norm(const dr_kargs *a)
{
    const dr_fold_batch_norm_attr *attr = (const dr_fold_batch_norm_attr *)a->attr;
    const dr_view *w = &a->in[0];
    const int64_t Co = w->shape[attr->transposed ? 1 : 0], run = dr_count(w, attr->transposed ? 2 : 1, 4),
                  n = dr_numel(w);
    const fold_vectors v = { (const float *)dr_in(a, 1), (const float *)dr_in(a, 2), (const float *)dr_in(a, 3),
                             (const float *)dr_in(a, 4), (const float *)dr_optional(a, 5) };
    const int64_t threads = n > Co ? n : Co;
    if (threads == 0) return;
    DR_LAUNCH(a, fold, (unsigned)dr_blocks_for(threads, 256), 256, 0, (const float *)dr_in(a, 0), v,
              (float *)dr_out(a, 0), (float *)dr_out(a, 1), n, Co, run, (float)attr->eps);
}

DR_KERNEL(fold_batch_norm, DR_F32, fold_batch_norm)
