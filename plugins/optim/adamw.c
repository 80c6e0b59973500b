/* adamw.c: Adam with decoupled weight decay, as torch.optim.AdamW.     Loshchilov & Hutter 2019
 *   p -= lr weight_decay p;  then Adam's step with the gradient as it is (adam.c) */
#include "launch_step.h"

typedef struct { double lr, beta1, beta2, eps, weight_decay; } adamw;

static const dr_param params[] = {
    DR_REAL(adamw, lr, 1e-3, 0, 1e3, "learning rate"),
    DR_REAL(adamw, beta1, 0.9, 0, 0.999999, "decay of the mean of gradients"),
    DR_REAL(adamw, beta2, 0.999, 0, 0.99999999, "decay of the mean of squared gradients"),
    DR_REAL(adamw, eps, 1e-8, 0, 1, "added to the square root"),
    DR_REAL(adamw, weight_decay, 0.01, 0, 1e3, "times lr: the share of each weight that a step takes away"),
    DR_END
};

static dr_status step(void *self, dr_optim_state *s)
{
    const adamw *a = self;
    const dr_adam_step_attr attr = { .beta1 = a->beta1, .beta2 = a->beta2, .eps = a->eps,
                                     .weight_decay = a->weight_decay, .decoupled = 1, .averages = s->averages };
    return launch_step("adam_step", &attr, s, 2, s->averages);
}

DR_OPTIMIZER(adamw, "Adam with decoupled weight decay", params, .slots = 2, .slot_name = { "exp_avg", "exp_avg_sq" },
             .step = step)
