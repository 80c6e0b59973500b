/* sgd.c: gradient descent with momentum, as torch.optim.SGD.
 *   g += weight_decay p;  m = momentum m + g (m starts at 0);  p -= lr m, or lr (g + momentum m) with nesterov */
#include "launch_step.h"

typedef struct {
    double lr, momentum, weight_decay;
    _Bool nesterov;
} sgd;

static const dr_param params[] = {
    DR_REAL(sgd, lr, 1e-3, 0, 1e6, "learning rate"),
    DR_REAL(sgd, momentum, 0, 0, 1, "share of the last step's direction that is kept"),
    DR_REAL(sgd, weight_decay, 0, 0, 1e3, "times the weight, added to the gradient (L2)"),
    DR_BOOL(sgd, nesterov, 0, "look ahead along the momentum"),
    DR_END
};

static dr_status step(void *self, dr_optim_state *s)
{
    const sgd *g = self;
    const dr_sgd_step_attr attr = { .momentum = g->momentum, .weight_decay = g->weight_decay,
                                    .nesterov = g->nesterov };
    return launch_step("sgd_step", &attr, s, 1, 0);
}

DR_OPTIMIZER(sgd, "Gradient descent, with momentum", params, .slots = 1, .slot_name = { "momentum_buffer" },
             .step = step)
