/* whole_steps.h: the length of the chain that leading, linspace and trailing choose whole steps of. */
#ifndef WHOLE_STEPS_H
#define WHOLE_STEPS_H

#include <drift/plugin.h>

/* T, for processes whose t runs from T to 0; 0 and an error where time is continuous, or T is less than n. */
static inline int64_t whole_steps(const char *name, dr_model *f, int64_t n)
{
    double t_noise, t_data;
    int64_t chain;
    dr_model_range(f, &t_noise, &t_data, &chain);
    if (chain <= 0 || t_noise != (double)chain || t_data != 0.0) {
        dr_fail(DR_EINVAL, "timesteps %s: chooses among the steps of a discrete chain, but this process's time is "
                           "continuous; timesteps even, karras and log_snr serve it", name);
        return 0;
    }
    if (chain < n) {
        dr_fail(DR_EINVAL, "timesteps %s: %lld steps cannot be chosen from a chain of %lld", name, (long long)n,
                (long long)chain);
        return 0;
    }
    return chain;
}

#endif
