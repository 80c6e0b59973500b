/* adam.cu: one step of Adam, or of AdamW with decoupled decay, for all weights at once.     Kingma & Ba 2015
 *   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2                                       Loshchilov & Hutter 2019
 *   p -= lr m/(1 - b1^step) / (sqrt(v/(1 - b2^step)) + eps)
 * Weight decay enters as g += wd p, or decoupled as p *= 1 - lr wd before the update. Averages of a weight are moved in the
 * same pass over memory. lr, step and the averages' decays are read on the device: a graph is replayed with others. */
#include "tensor_table.h"

struct step_size {                    /* what is the same for all elements */
    float beta1, rest1, beta2, rest2; /* rest = 1 - beta */
    float rate;                       /* lr / (1 - b1^step) */
    float correction, eps;            /* 1/sqrt(1 - b2^step) */
    float decay, keep;                /* added to the gradient; or the factor of p */
};

__device__ inline step_size step_size_of(const dr_adam_step_attr &attr, double lr, double step)
{
    step_size s;
    s.beta1 = (float)attr.beta1;
    s.rest1 = (float)(1.0 - attr.beta1);
    s.beta2 = (float)attr.beta2;
    s.rest2 = (float)(1.0 - attr.beta2);
    s.rate = (float)(lr / (1.0 - pow(attr.beta1, step)));
    s.correction = (float)(1.0 / sqrt(1.0 - pow(attr.beta2, step)));
    s.eps = (float)attr.eps;
    s.decay = attr.decoupled ? 0.0f : (float)attr.weight_decay;
    s.keep = attr.decoupled ? (float)(1.0 - lr * attr.weight_decay) : 1.0f;
    return s;
}

enum { PARAM, GRAD, EXP_AVG, EXP_AVG_SQ, AVERAGE }; /* of a group */

/* numbers: f64 lr, step, decays */
template <int AVERAGES>
__global__ void adam_step(tensor_table<4 + AVERAGES> t, const double *numbers, dr_adam_step_attr attr)
{
    __shared__ step_size shared;
    const chunk k = chunk_of(t, (int32_t)blockIdx.x);
    float *const *at = t.at[k.row];
    pack<float, 4> p[CHUNK_PACKS], g[CHUNK_PACKS], m[CHUNK_PACKS], v[CHUNK_PACKS];
    if (threadIdx.x == 0) shared = step_size_of(attr, numbers[0], numbers[1]);
#pragma unroll
    for (int j = 0; j < CHUNK_PACKS; j++) { /* on their way while the powers are taken */
        const int64_t i = (j * CHUNK_THREADS + (int)threadIdx.x) * 4;
        p[j] = load_four(at[PARAM] + k.from, i, k.n);
        g[j] = load_four(at[GRAD] + k.from, i, k.n);
        m[j] = load_four(at[EXP_AVG] + k.from, i, k.n);
        v[j] = load_four(at[EXP_AVG_SQ] + k.from, i, k.n);
    }
    __syncthreads();
    const step_size s = shared;
#pragma unroll
    for (int j = 0; j < CHUNK_PACKS; j++) {
        const int64_t i = (j * CHUNK_THREADS + (int)threadIdx.x) * 4;
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const float grad = fmaf(s.decay, p[j].v[e], g[j].v[e]);
            m[j].v[e] = s.beta1 * m[j].v[e] + s.rest1 * grad;
            v[j].v[e] = s.beta2 * v[j].v[e] + s.rest2 * (grad * grad);
            p[j].v[e] = p[j].v[e] * s.keep - s.rate * m[j].v[e] / (sqrtf(v[j].v[e]) * s.correction + s.eps);
        }
        store_four(at[PARAM] + k.from, i, k.n, p[j]);
        store_four(at[EXP_AVG] + k.from, i, k.n, m[j]);
        store_four(at[EXP_AVG_SQ] + k.from, i, k.n, v[j]);
#pragma unroll
        for (int a = 0; a < AVERAGES; a++) {
            pack<float, 4> average = load_four(at[AVERAGE + a] + k.from, i, k.n);
            for (int e = 0; e < 4; e++) average.v[e] = moved_average(numbers[2 + a], average.v[e], p[j].v[e]);
            store_four(at[AVERAGE + a] + k.from, i, k.n, average);
        }
    }
}

template <int AVERAGES> static void adam_step_with(const dr_kargs *a)
{
    for (int from = 1; from < a->n_in;) {
        tensor_table<4 + AVERAGES> t;
        from = fill_table(&t, a, from);
        if (t.rows == 0) continue;
        DR_LAUNCH(a, adam_step<AVERAGES>, (unsigned)t.first[t.rows], CHUNK_THREADS, 0, t, (const double *)dr_in(a, 0),
                  *(const dr_adam_step_attr *)a->attr);
    }
}

/* {lr, step, decays} f64; then param, grad, exp_avg, exp_avg_sq, averages of each weight, in place. Those of a weight
 * lie alike. */
static void adam_step(const dr_kargs *a)
{
    switch (((const dr_adam_step_attr *)a->attr)->averages) {
    case 0: adam_step_with<0>(a); return;
    case 1: adam_step_with<1>(a); return;
    case 2: adam_step_with<2>(a); return;
    case 3: adam_step_with<3>(a); return;
    default: adam_step_with<4>(a); return;
    }
}

DR_KERNEL(adam_step, DR_F32, adam_step)
