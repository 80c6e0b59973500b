/* even.c: steps of equal length in the process's own time.
 *   t_i = t_noise + (t_data - t_noise) i/n
 * On the whole numbers of a discrete chain, where it has at least n steps. The host's choice for samplers that say
 * nothing about their grid. */
#include <drift/plugin.h>
#include <math.h>

typedef struct { int64_t unused; } even;

static dr_status lay(void *self, dr_model *f, int64_t n, double *t)
{
    double t_noise, t_data;
    int64_t chain;
    (void)self;
    dr_model_range(f, &t_noise, &t_data, &chain);
    for (int64_t i = 0; i <= n; i++) {
        t[i] = t_noise + (t_data - t_noise) * (double)i / (double)n;
        if (chain >= n) t[i] = round(t[i]);
    }
    t[n] = t_data;
    return DR_OK;
}

DR_TIMESTEPS(even, "Steps of equal length in the process's own time", NULL, .lay = lay)
