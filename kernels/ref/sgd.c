/* sgd.c: one step of gradient descent with momentum, for all weights at once.     Sutskever et al. 2013
 *   g += wd p,  b = momentum b + g,  p -= lr b, or lr (g + momentum b) with nesterov
 * b starts at 0, so it is g at the first step. */
#include "element.h"

static void sgd_step_ref(const dr_kargs *a) /* {lr, step} f64 [2]; then param, grad, momentum_buffer of each weight */
{
    const dr_sgd_step_attr *attr = a->attr;
    const double lr = dr_ref_load(&a->in[0], 0);
    for (int k = 1; k + 2 < a->n_in; k += 3) {
        const dr_view *param = &a->in[k], *grad = &a->in[k + 1], *momentum_buffer = &a->in[k + 2];
        for (int64_t i = 0; i < dr_numel(param); i++) {
            double p = dr_ref_load(param, i), g = dr_ref_load(grad, i) + attr->weight_decay * p;
            double b = attr->momentum * dr_ref_load(momentum_buffer, i) + g;
            dr_ref_store(param, i, p - lr * (attr->nesterov ? g + attr->momentum * b : b));
            dr_ref_store(momentum_buffer, i, b);
        }
    }
}

DR_KERNEL(sgd_step, DR_ANY_DTYPE, sgd_step_ref)
