/* uniform.c: every time counts the same: the plain mean squared error of the network's output.
 *   w = 1 */
#include <drift/plugin.h>

typedef struct { int64_t unused; } uniform;

static double weight(void *self, const dr_coef *c)
{
    (void)self, (void)c;
    return 1.0;
}

DR_WEIGHTING(uniform, "Every time counts the same", NULL, .weight = weight)
