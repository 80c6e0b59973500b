/* noise_levels.c: grids that are laid in the noise level sigma/alpha rather than in time, see noise_levels.h. */
#include "noise_levels.h"
#include <math.h>

static double level_at(dr_model *f, double t)
{
    dr_coef c;
    dr_model_coef(f, t, &c);
    return c.alpha > 0.0 ? c.sigma / c.alpha : INFINITY;
}

static int is_same(double a, double b) { return a == b || (isfinite(b) && fabs(a - b) <= 1e-9 * fabs(b)); }

static double smallest(dr_model *f, double t_noise, double t_data, int64_t chain, double most)
{
    if (chain > 1) return level_at(f, t_data + (t_noise - t_data) / (double)chain);
    return fmin(0.002, most / 100.0);
}

dr_status noise_levels_for(const char *name, dr_model *f, double sigma_min, double sigma_max, int64_t n, noise_levels *l)
{
    double t_noise, t_data;
    int64_t chain;
    dr_model_range(f, &t_noise, &t_data, &chain);
    const double noisiest = level_at(f, t_noise), cleanest = level_at(f, t_data);

    if (sigma_max > noisiest && !is_same(sigma_max, noisiest)) {
        return dr_fail(DR_EINVAL, "timesteps %s: sigma_max = %g is above the process's most noise, %g", name, sigma_max,
                       noisiest);
    }
    if (sigma_min > 0.0 && sigma_min < cleanest && !is_same(sigma_min, cleanest)) {
        return dr_fail(DR_EINVAL, "timesteps %s: sigma_min = %g is below the process's least noise, %g", name, sigma_min,
                       cleanest);
    }
    const int whole = sigma_max <= 0.0 || is_same(sigma_max, noisiest);
    l->most = sigma_max > 0.0 ? sigma_max : isfinite(noisiest) ? noisiest : 80.0;
    l->first = whole ? t_noise : dr_process_time(dr_model_process(f), sigma_max);
    l->least = sigma_min > 0.0 ? sigma_min : cleanest > 0.0 ? cleanest : smallest(f, t_noise, t_data, chain, l->most);
    l->last = cleanest > 0.0 && is_same(l->least, cleanest) ? n : n - 1;
    if (l->least < l->most || n == 1) return DR_OK;
    return dr_fail(DR_EINVAL, "timesteps %s: from sigma = %g to %g is not towards the data", name, l->most, l->least);
}

void noise_levels_lay(const noise_levels *l, dr_model *f, double (*at)(const noise_levels *l, double u, double shape),
                      double shape, int64_t n, double *t)
{
    double t_noise;
    int64_t chain;
    dr_model_range(f, &t_noise, &t[n], &chain); /* t[n] = t_data, exactly */
    t[0] = l->first;
    for (int64_t i = 1; i < n; i++) {
        t[i] = dr_process_time(dr_model_process(f), at(l, (double)i / (double)l->last, shape));
    }
}
