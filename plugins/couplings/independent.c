/* independent.c: image i goes with noise i, which knows nothing of it.
 *   (x0, eps) ~ p(x0) N(0, I) */
#include <drift/plugin.h>

typedef struct { int64_t unused; } independent;

static dr_status pair(void *self, dr_tensor *x0, dr_tensor *eps, dr_tensor *label, int64_t *order)
{
    (void)self, (void)eps, (void)label;
    const int64_t B = dr_tensor_view(x0)->shape[0];
    for (int64_t i = 0; i < B; i++) order[i] = i;
    return DR_OK;
}

DR_COUPLING(independent, "Image i goes with noise i", NULL, .pair = pair)
