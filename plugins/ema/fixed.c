/* fixed.c: the same decay after every step.     Polyak & Juditsky 1992; Ho, Jain & Abbeel 2020 (0.9999)
 *   average = d average + (1-d) weight: the last 1/(1-d) steps count. It starts from the initial weights, which are
 *   forgotten after some times as many steps; `warmup` forgets them sooner. */
#include <drift/plugin.h>

typedef struct { double decay; } fixed;

static const dr_param params[] = {
    DR_REAL(fixed, decay, 0.999, 0, 1, "memory of the average"),
    DR_END
};

static double decay(void *self, int64_t step)
{
    (void)step;
    return ((const fixed *)self)->decay;
}

DR_EMA(fixed, "The same decay after every step", params, .decay = decay)
