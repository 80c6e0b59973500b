/* adam.c: one step of Adam, or of AdamW with decoupled decay, for all weights at once.     Kingma & Ba 2015
 *   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2                                       Loshchilov & Hutter 2019
 *   p -= lr m/(1 - b1^step) / (sqrt(v/(1 - b2^step)) + eps)
 * Weight decay enters as g += wd p, or decoupled as p *= 1 - lr wd before the update. Averages of a weight are moved by
 * blocks, while the block is in the first cache. */
#include "average.h"
#include "walk.h"
#include <math.h>

typedef struct step_size {            /* what is the same for all elements */
    float beta1, rest1, beta2, rest2; /* rest = 1 - beta */
    float rate;                       /* lr / (1 - b1^step) */
    float correction, eps;            /* 1/sqrt(1 - b2^step) */
    float decay, keep;                /* added to the gradient; or the factor of p */
} step_size;

typedef struct weight { /* one weight and its state */
    const step_size *s;
    float *param, *exp_avg, *exp_avg_sq;
    const float *grad;
    const double *decay; /* of each average */
    float *average[4];
    int averages;
} weight;

static void update(const weight *w, int64_t first, int64_t n)
{
    const step_size s = *w->s;
    float *restrict param = w->param + first, *restrict exp_avg = w->exp_avg + first,
                    *restrict exp_avg_sq = w->exp_avg_sq + first;
    const float *restrict grad = w->grad + first;
    for (int64_t i = 0; i < n; i++) {
        const float p = param[i] * s.keep, g = grad[i] + s.decay * param[i];
        const float m = s.beta1 * exp_avg[i] + s.rest1 * g;
        const float v = s.beta2 * exp_avg_sq[i] + s.rest2 * (g * g);
        param[i] = p - s.rate * m / (sqrtf(v) * s.correction + s.eps);
        exp_avg[i] = m;
        exp_avg_sq[i] = v;
    }
}

static void piece(const void *ctx, int64_t first, int64_t n)
{
    enum { BLOCK = 1024 };
    const weight *w = ctx;
    if (w->averages == 0) {
        update(w, first, n);
        return;
    }
    for (int64_t at = first; at < first + n; at += BLOCK) {
        const int64_t count = dr_min64(BLOCK, first + n - at);
        update(w, at, count);
        for (int k = 0; k < w->averages; k++) dr_cpu_average(w->decay[k], w->average[k] + at, w->param + at, count);
    }
}

/* {lr, step, decays} f64; then param, grad, exp_avg, exp_avg_sq, averages of each weight, in place. Those of a weight
 * lie alike. */
static void adam_step_f32(const dr_kargs *a)
{
    const dr_adam_step_attr *attr = a->attr;
    const double lr = ((const double *)dr_in(a, 0))[0], step = ((const double *)dr_in(a, 0))[1];
    const step_size s = {
        .beta1 = (float)attr->beta1,
        .rest1 = (float)(1.0 - attr->beta1),
        .beta2 = (float)attr->beta2,
        .rest2 = (float)(1.0 - attr->beta2),
        .rate = (float)(lr / (1.0 - pow(attr->beta1, step))),
        .correction = (float)(1.0 / sqrt(1.0 - pow(attr->beta2, step))),
        .eps = (float)attr->eps,
        .decay = attr->decoupled ? 0.0f : (float)attr->weight_decay,
        .keep = attr->decoupled ? (float)(1.0 - lr * attr->weight_decay) : 1.0f,
    };
    const int averages = (int)attr->averages;
    for (int k = 1; k + 3 + averages < a->n_in; k += 4 + averages) {
        weight w = { .s = &s, .param = dr_in(a, k), .exp_avg = dr_in(a, k + 2), .exp_avg_sq = dr_in(a, k + 3),
                     .grad = dr_in(a, k + 1), .decay = (const double *)dr_in(a, 0) + 2, .averages = averages };
        for (int m = 0; m < averages; m++) w.average[m] = dr_in(a, k + 4 + m);
        dr_pieces(dr_numel(&a->in[k]), piece, &w);
    }
}

DR_KERNEL(adam_step, DR_F32, adam_step_f32)
