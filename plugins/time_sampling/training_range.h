/* training_range.h: from a wanted time to one that a process can be trained on: held between the ends of what the process
 * itself draws (draw_t is monotone), and on a whole step of a discrete chain. */
#ifndef DRIFT_TRAINING_RANGE_H
#define DRIFT_TRAINING_RANGE_H

#include <drift/plugin.h>
#include <math.h>

static inline double within_training_range(const dr_instance *process, double t)
{
    const double a = dr_process_draw_t(process, 0.0), b = dr_process_draw_t(process, nextafter(1.0, 0.0));
    return fmin(fmax(t, fmin(a, b)), fmax(a, b));
}

/* 0: continuous time. */
static inline int64_t chain_steps(const dr_instance *process)
{
    double t_noise, t_data;
    int64_t steps;
    dr_process_range(process, &t_noise, &t_data, &steps);
    return steps;
}

#endif
