/* ema.cu: average = decay average + (1 - decay) param, for all weights at once. The decay is read on the device: a graph is
 * replayed with others. */
#include "tensor_table.h"

enum { AVERAGE, PARAM, TENSORS }; /* of a group */

__global__ void ema_step(tensor_table<TENSORS> t, const double *decay)
{
    const chunk k = chunk_of(t, (int32_t)blockIdx.x);
    float *const *at = t.at[k.row];
#pragma unroll
    for (int j = 0; j < CHUNK_PACKS; j++) {
        const int64_t i = (j * CHUNK_THREADS + (int)threadIdx.x) * 4;
        pack<float, 4> average = load_four(at[AVERAGE] + k.from, i, k.n);
        const pack<float, 4> param = load_four(at[PARAM] + k.from, i, k.n);
#pragma unroll
        for (int e = 0; e < 4; e++) average.v[e] = moved_average(*decay, average.v[e], param.v[e]);
        store_four(at[AVERAGE] + k.from, i, k.n, average);
    }
}

static void ema_step(const dr_kargs *a) /* decay f64 []; then average, param of each weight */
{
    for (int from = 1; from < a->n_in;) {
        tensor_table<TENSORS> t;
        from = fill_table(&t, a, from);
        if (t.rows == 0) continue;
        DR_LAUNCH(a, ema_step, (unsigned)t.first[t.rows], CHUNK_THREADS, 0, t, (const double *)dr_in(a, 0));
    }
}

DR_KERNEL(ema_step, DR_F32, ema_step)
