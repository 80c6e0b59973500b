/* average.h: average = decay average + (1 - decay) param for n elements, in double, since decay is close to 1. Shared by
 * ema.c and adam.c, so that both round alike. */
#ifndef DRIFT_CPU_AVERAGE_H
#define DRIFT_CPU_AVERAGE_H

#include <stdint.h>

static inline void dr_cpu_average(double decay, float *restrict average, const float *restrict param, int64_t n)
{
    for (int64_t i = 0; i < n; i++) average[i] = (float)(decay * (double)average[i] + (1 - decay) * (double)param[i]);
}

#endif
