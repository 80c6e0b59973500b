/* trailing.c: steps of a chain at even distances, counted from pure noise.     Lin et al. 2024, table 2 ("trailing")
 *   t_i = round(T - i T/n),  i = 0..n-1;  t_n = 0
 * Begins at t = T, where the signal is least. Halves are rounded to the even number. */
#include "whole_steps.h"
#include <math.h>

typedef struct { int64_t unused; } trailing;

static dr_status lay(void *self, dr_model *f, int64_t n, double *t)
{
    const int64_t T = whole_steps("trailing", f, n);
    (void)self;
    if (T == 0) return dr_failed();
    for (int64_t i = 0; i < n; i++) t[i] = rint((double)T - (double)i * ((double)T / (double)n));
    t[n] = 0.0;
    return DR_OK;
}

DR_TIMESTEPS(trailing, "Steps of a chain at even distances, from its end", NULL, .lay = lay)
