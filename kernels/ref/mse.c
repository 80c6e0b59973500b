/* mse.c: the squared error sum of w (pred - target)^2, w one weight per row, over the number of elements if a mean. */
#include "element.h"

static void mse_ref(const dr_kargs *a) /* pred [B,..], target [B,..], weight [B] or NULL -> loss [] */
{
    const int64_t n = dr_numel(&a->in[0]), row = dr_ref_count(&a->in[0], 1, a->in[0].rank);
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *pred = m.in[0], *target = m.in[1], *weight = m.in[2];
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double error = pred[i] - target[i];
        sum += (weight ? weight[i / row] : 1) * error * error;
    }
    m.out[0][0] = ((const dr_mse_attr *)a->attr)->reduction == DR_REDUCE_MEAN ? sum / (double)n : sum;
    dr_ref_close(&m);
}

static void mse_backward_ref(const dr_kargs *a) /* pred, target, dloss [], weight [B] or NULL -> dpred */
{
    const int64_t n = dr_numel(&a->in[0]), row = dr_ref_count(&a->in[0], 1, a->in[0].rank);
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *pred = m.in[0], *target = m.in[1], *weight = m.in[3];
    double share = m.in[2][0];
    if (((const dr_mse_backward_attr *)a->attr)->reduction == DR_REDUCE_MEAN) share /= (double)n;
    for (int64_t i = 0; i < n; i++) m.out[0][i] = share * 2 * (weight ? weight[i / row] : 1) * (pred[i] - target[i]);
    dr_ref_close(&m);
}

DR_KERNEL(mse, DR_ANY_DTYPE, mse_ref)
DR_KERNEL(mse_backward, DR_ANY_DTYPE, mse_backward_ref)
