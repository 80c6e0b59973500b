/* logit_normal.c: more training in the middle, less at both ends.     Esser et al. 2024 (Stable Diffusion 3), section 3.1
 *   s = 1/(1 + exp(-(mean + std z))),  z ~ N(0,1);   t = t_noise + s (t_data - t_noise)
 * s runs from noise (0) to data (1), as flow_matching's t does: a positive mean trains more near the data. The paper
 * counts from data to noise, so its mean has the other sign. A chain's step is the one whose interval t falls into. */
#include "training_range.h"

typedef struct { double mean, std; } logit_normal;

static const dr_param params[] = {
    DR_REAL(logit_normal, mean, 0, -20, 20, "of the logit of s, 0 at noise and 1 at data: positive is nearer to the data"),
    DR_REAL(logit_normal, std, 1, 0, 20, "of the logit; large values train at the ends"),
    DR_END
};

static double draw(void *self, const dr_instance *process, double u)
{
    const logit_normal *p = self;
    const double z = p->std > 0.0 ? p->std * dr_normal_quantile(u) : 0.0;
    const double s = 1.0 / (1.0 + exp(-(p->mean + z)));
    double t_noise, t_data;
    int64_t steps;
    dr_process_range(process, &t_noise, &t_data, &steps);
    const double t = t_noise + s * (t_data - t_noise);
    return within_training_range(process, steps > 0 ? ceil(t) : t); /* step t of a chain is (t-1, t] */
}

DR_TIME_SAMPLING(logit_normal, "The logit of t is normal: mostly the middle of the way", params, .draw = draw)
