/* sgd.cu: one step of gradient descent with momentum, for all weights at once.     Sutskever et al. 2013
 *   g += wd p,  b = momentum b + g,  p -= lr b, or lr (g + momentum b) with nesterov
 * b starts at 0, so it is g at the first step. lr is read on the device: a graph is replayed with others. */
#include "tensor_table.h"

enum { PARAM, GRAD, BUFFER, TENSORS }; /* of a group */

__global__ void sgd_step(tensor_table<TENSORS> t, const double *numbers, dr_sgd_step_attr attr) /* numbers: f64 lr, step */
{
    const chunk k = chunk_of(t, (int32_t)blockIdx.x);
    float *const *at = t.at[k.row];
    const float lr = (float)numbers[0], momentum = (float)attr.momentum, decay = (float)attr.weight_decay;
#pragma unroll
    for (int j = 0; j < CHUNK_PACKS; j++) {
        const int64_t i = (j * CHUNK_THREADS + (int)threadIdx.x) * 4;
        pack<float, 4> p = load_four(at[PARAM] + k.from, i, k.n), b = load_four(at[BUFFER] + k.from, i, k.n);
        const pack<float, 4> grad = load_four(at[GRAD] + k.from, i, k.n);
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const float g = fmaf(decay, p.v[e], grad.v[e]);
            b.v[e] = fmaf(momentum, b.v[e], g);
            p.v[e] -= lr * (attr.nesterov ? fmaf(momentum, b.v[e], g) : b.v[e]);
        }
        store_four(at[PARAM] + k.from, i, k.n, p);
        store_four(at[BUFFER] + k.from, i, k.n, b);
    }
}

static void sgd_step(const dr_kargs *a) /* {lr, step} f64 [2]; then param, grad, momentum_buffer of each weight */
{
    for (int from = 1; from < a->n_in;) {
        tensor_table<TENSORS> t;
        from = fill_table(&t, a, from);
        if (t.rows == 0) continue;
        DR_LAUNCH(a, sgd_step, (unsigned)t.first[t.rows], CHUNK_THREADS, 0, t, (const double *)dr_in(a, 0),
                  *(const dr_sgd_step_attr *)a->attr);
    }
}

DR_KERNEL(sgd_step, DR_F32, sgd_step)
