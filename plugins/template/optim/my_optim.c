/* my_optim.c: Lion: the sign of a mean of gradients is the step.     Chen et al. 2023
 *   p -= lr (sign(beta1 m + (1-beta1) g) + weight_decay p);  m = beta2 m + (1-beta2) g  (m starts at 0)
 * Every weight moves by lr whatever its gradient, so lr is 3 to 10 times smaller than Adam's. */
#include <drift/plugin.h>

/* Parameters: each is a field here and a row below. The host wants a real `lr`: decays multiply it. */
typedef struct { double lr, beta1, beta2, weight_decay; } my_optim;

static const dr_param params[] = {
    DR_REAL(my_optim, lr, 1e-4, 0, 1e3, "learning rate: what a step moves each weight by"),
    DR_REAL(my_optim, beta1, 0.9, 0, 1, "share of the old mean in the step's direction"),
    DR_REAL(my_optim, beta2, 0.99, 0, 1, "decay of the mean of gradients"),
    DR_REAL(my_optim, weight_decay, 0, 0, 1e3, "times lr: the share of each weight that a step takes away"),
    DR_END
};

static dr_tensor *sign(dr_tensor *x)
{
    dr_tensor *zero = dr_scale(0.0, x);
    return dr_sub(dr_greater(x, zero), dr_greater(zero, x));
}

/* The weights s->param[i], their gradients s->grad[i] and the host's state s->slot[k][i] (zero at first; the host saves
 * and resumes it) are changed in place, by dr_assign. No gradients are recorded here. The learning rate is taken from
 * s->lr_and_step, f64 [2] on the device, and not from s->lr: so the step can be replayed with a rate that decays.
 * An op of your own that takes all weights at once would be faster (drift.optim.adam has one). */
static dr_status step(void *self, dr_optim_state *s)
{
    const my_optim *o = self;
    dr_tensor *rate = dr_cast(dr_slice(s->lr_and_step, 0, 0, 1), DR_F32);                          /* [1] */
    for (int64_t i = 0; i < s->n; i++) {
        dr_tensor *p = s->param[i], *g = s->grad[i], *m = s->slot[0][i];
        dr_tensor *direction = sign(dr_axpy(o->beta1, m, dr_scale(1.0 - o->beta1, g)));
        dr_tensor *change = dr_mul(dr_axpy(o->weight_decay, p, direction), rate);
        dr_assign(p, dr_sub(p, change));
        dr_assign(m, dr_axpy(o->beta2, m, dr_scale(1.0 - o->beta2, g)));
    }
    return dr_failed();
}

DR_OPTIMIZER(my_optim, "Lion: the sign of a mean of gradients", params, .slots = 1, .slot_name = { "exp_avg" },
             .step = step)
