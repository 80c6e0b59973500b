/* log_normal.c: the noise level is log-normal, whatever the process's time.     Karras et al. 2022, table 1
 *   ln(sigma/alpha) = P_mean + P_std z,  z ~ N(0,1);   t is where the process has that ratio
 * Held within the process's training times; a chain takes the nearest whole step. */
#include "training_range.h"

typedef struct { double P_mean, P_std; } log_normal;

static const dr_param params[] = {
    DR_REAL(log_normal, P_mean, -1.2, -20, 20, "mean of ln(sigma/alpha)"),
    DR_REAL(log_normal, P_std, 1.2, 0, 20, "standard deviation of ln(sigma/alpha)"),
    DR_END
};

static double draw(void *self, const dr_instance *process, double u)
{
    const log_normal *p = self;
    const double z = p->P_std > 0.0 ? p->P_std * dr_normal_quantile(u) : 0.0;
    const double t = dr_process_time(process, exp(p->P_mean + z));
    return within_training_range(process, chain_steps(process) > 0 ? round(t) : t);
}

DR_TIME_SAMPLING(log_normal, "The noise level sigma/alpha is log-normal, as in EDM", params, .draw = draw)
