/* process.c: the weight that the process itself has; what is used where no weighting is given.
 *   w = the process's weight: 1 but where a process says otherwise (edm's lambda c_out^2 is 1 too) */
#include <drift/plugin.h>

typedef struct { int64_t unused; } process;

static double weight(void *self, const dr_coef *c)
{
    (void)self;
    return c->weight;
}

DR_WEIGHTING(process, "The process's own weight; the default", NULL, .weight = weight)
