/* noise_levels.h: grids that are laid in the noise level sigma/alpha rather than in time. */
#ifndef NOISE_LEVELS_H
#define NOISE_LEVELS_H

#include <drift/plugin.h>

typedef struct noise_levels {
    double most, least; /* sigma/alpha of the first and the last level */
    double first;       /* t of the first one */
    int64_t last;       /* index of the last level: n - 1 where t_data is a further step to no noise at all, else n */
} noise_levels;

/* For n steps of this model. sigma_min, sigma_max: 0 means the process's own ends. Where those say nothing - alpha is 0
 * at pure noise, sigma is 0 at the data - `most` is 80, and `least` is that of a chain's first step, or 0.002 (Karras et
 * al. 2022), and a hundredth of `most` at the most. `name` is the component's, for messages. */
dr_status noise_levels_for(const char *name, dr_model *f, double sigma_min, double sigma_max, int64_t n, noise_levels *l);

/* Fills t[0..n]: level i is at(l, i/last, shape), decreasing in its second argument, at(0) = most. */
void noise_levels_lay(const noise_levels *l, dr_model *f, double (*at)(const noise_levels *l, double u, double shape),
                      double shape, int64_t n, double *t);

#endif
