/* adam.c: Adam, as torch.optim.Adam.     Kingma & Ba 2015
 *   g += weight_decay p;  m = beta1 m + (1-beta1) g;  v = beta2 v + (1-beta2) g^2
 *   p -= lr/(1-beta1^k) m/(sqrt(v/(1-beta2^k)) + eps),  k = 1, 2, ... */
#include "launch_step.h"

typedef struct { double lr, beta1, beta2, eps, weight_decay; } adam;

static const dr_param params[] = {
    DR_REAL(adam, lr, 1e-3, 0, 1e3, "learning rate"),
    DR_REAL(adam, beta1, 0.9, 0, 0.999999, "decay of the mean of gradients"),
    DR_REAL(adam, beta2, 0.999, 0, 0.99999999, "decay of the mean of squared gradients"),
    DR_REAL(adam, eps, 1e-8, 0, 1, "added to the square root"),
    DR_REAL(adam, weight_decay, 0, 0, 1e3, "times the weight, added to the gradient (L2)"),
    DR_END
};

static dr_status step(void *self, dr_optim_state *s)
{
    const adam *a = self;
    const dr_adam_step_attr attr = { .beta1 = a->beta1, .beta2 = a->beta2, .eps = a->eps,
                                     .weight_decay = a->weight_decay, .decoupled = 0, .averages = s->averages };
    return launch_step("adam_step", &attr, s, 2, s->averages);
}

DR_OPTIMIZER(adam, "Adam", params, .slots = 2, .slot_name = { "exp_avg", "exp_avg_sq" }, .step = step)
