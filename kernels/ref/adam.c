/* adam.c: one step of Adam, or of AdamW with decoupled decay, for all weights at once.     Kingma & Ba 2015
 *   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2                                       Loshchilov & Hutter 2019
 *   p -= lr m/(1 - b1^step) / (sqrt(v/(1 - b2^step)) + eps)
 * Weight decay enters as g += wd p, or decoupled as p *= 1 - lr wd before the update. */
#include "element.h"

/* {lr, step, decays} f64; then param, grad, exp_avg, exp_avg_sq, averages of each weight */
static void adam_step_ref(const dr_kargs *a)
{
    const dr_adam_step_attr *attr = a->attr;
    const double lr = dr_ref_load(&a->in[0], 0), step = dr_ref_load(&a->in[0], 1);
    const double bias1 = 1 - pow(attr->beta1, step), bias2 = 1 - pow(attr->beta2, step);
    const int averages = (int)attr->averages;
    for (int k = 1; k + 3 + averages < a->n_in; k += 4 + averages) {
        const dr_view *param = &a->in[k], *grad = &a->in[k + 1], *exp_avg = &a->in[k + 2], *exp_avg_sq = &a->in[k + 3];
        for (int64_t i = 0; i < dr_numel(param); i++) {
            double p = dr_ref_load(param, i), g = dr_ref_load(grad, i);
            if (attr->decoupled) p *= 1 - lr * attr->weight_decay;
            else g += attr->weight_decay * p;
            double m = attr->beta1 * dr_ref_load(exp_avg, i) + (1 - attr->beta1) * g;
            double v = attr->beta2 * dr_ref_load(exp_avg_sq, i) + (1 - attr->beta2) * g * g;
            p -= lr * (m / bias1) / (sqrt(v) / sqrt(bias2) + attr->eps);
            dr_ref_store(param, i, p);
            dr_ref_store(exp_avg, i, m);
            dr_ref_store(exp_avg_sq, i, v);
            for (int m = 0; m < averages; m++) {
                const double decay = dr_ref_load(&a->in[0], 2 + m);
                const dr_view *average = &a->in[k + 4 + m];
                dr_ref_store(average, i, decay * dr_ref_load(average, i) + (1 - decay) * dr_ref_load(param, i));
            }
        }
    }
}

DR_KERNEL(adam_step, DR_ANY_DTYPE, adam_step_ref)
