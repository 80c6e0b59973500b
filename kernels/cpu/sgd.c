/* sgd.c: one step of gradient descent with momentum, for all weights at once.     Sutskever et al. 2013
 *   g += wd p,  b = momentum b + g,  p -= lr b, or lr (g + momentum b) with nesterov
 * b starts at 0, so it is g at the first step. Memory is what limits this, so it computes in double. */
#include "cpu_backend.h"

enum { BLOCK = 4096 }; /* as large for any number of threads, so that each element is computed alike */

static void step(const dr_sgd_step_attr *attr, double lr, float *restrict param, const float *restrict grad,
                 float *restrict momentum_buffer, int64_t n)
{
    const double momentum = attr->momentum, weight_decay = attr->weight_decay;
    const int nesterov = attr->nesterov;
#pragma omp parallel for schedule(static) if (n > DR_CPU_PARALLEL)
    for (int64_t from = 0; from < n; from += BLOCK)
        for (int64_t i = from; i < dr_min64(from + BLOCK, n); i++) {
            const double p = (double)param[i], g = (double)grad[i] + weight_decay * p;
            const double b = momentum * (double)momentum_buffer[i] + g;
            param[i] = (float)(p - lr * (nesterov ? g + momentum * b : b));
            momentum_buffer[i] = (float)b;
        }
}

static void sgd_step_f32(const dr_kargs *a) /* {lr, step} f64 [2]; then param, grad, momentum_buffer of each weight */
{
    const double lr = *(const double *)dr_in(a, 0);
    for (int k = 1; k + 2 < a->n_in; k += 3)
        step(a->attr, lr, dr_in(a, k), dr_in(a, k + 1), dr_in(a, k + 2), dr_numel(&a->in[k]));
}

DR_KERNEL(sgd_step, DR_F32, sgd_step_f32)
