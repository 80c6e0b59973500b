/* my_timesteps.c: steps that grow shorter toward the data.
 *   t_i = t_data + (t_noise - t_data) (1 - i/n)^power,  i = 0..n */
#include <drift/plugin.h>
#include <math.h>

/* Parameters: each is a field here and a row below, with its default, smallest and largest value. */
typedef struct { double power; } my_timesteps;

static const dr_param params[] = {
    DR_REAL(my_timesteps, power, 2, 0.2, 10, "1: even steps; above 1: more of them near the data"),
    DR_END
};

/* Fills t[0..n]: t[0] is t_noise, t[n] is t_data, and each t is strictly nearer to the data than the one before; the host
 * checks that. A chain of whole steps (chain > 0) runs from t = chain down to 0, and its times are whole numbers: rounded,
 * but at least one below the last and with room for those that follow. */
static dr_status lay(void *self, dr_model *f, int64_t n, double *t)
{
    const my_timesteps *p = self;
    double t_noise, t_data;
    int64_t chain;
    dr_model_range(f, &t_noise, &t_data, &chain);
    if (chain > 0 && chain < n) {
        return dr_fail(DR_EINVAL, "timesteps my_timesteps: %lld steps cannot be chosen from a chain of %lld", (long long)n,
                       (long long)chain);
    }
    t[0] = t_noise;
    for (int64_t i = 1; i < n; i++) {
        t[i] = t_data + (t_noise - t_data) * pow(1.0 - (double)i / (double)n, p->power);
        if (chain > 0) t[i] = fmax(fmin(round(t[i]), t[i - 1] - 1.0), (double)(n - i));
    }
    t[n] = t_data;
    return DR_OK;
}

DR_TIMESTEPS(my_timesteps, "Steps that grow shorter toward the data", params, .lay = lay)
