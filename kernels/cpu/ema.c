/* ema.c: average = decay average + (1 - decay) param, for all weights at once. In double, since decay is close to 1. */
#include "average.h"
#include "cpu_backend.h"

enum { BLOCK = 4096 }; /* as large for any number of threads, so that each element is computed alike */

static void step(double decay, float *average, const float *param, int64_t n)
{
#pragma omp parallel for schedule(static) if (n > DR_CPU_PARALLEL)
    for (int64_t from = 0; from < n; from += BLOCK)
        dr_cpu_average(decay, average + from, param + from, dr_min64(BLOCK, n - from));
}

static void ema_step_f32(const dr_kargs *a) /* decay f64 []; then average, param of each weight */
{
    const double decay = *(const double *)dr_in(a, 0);
    for (int k = 1; k + 1 < a->n_in; k += 2) step(decay, dr_in(a, k), dr_in(a, k + 1), dr_numel(&a->in[k]));
}

DR_KERNEL(ema_step, DR_F32, ema_step_f32)
