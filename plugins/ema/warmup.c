/* warmup.c: a decay that grows to its final value, so that the initial weights are soon forgotten; in the form of
 * TensorFlow's ExponentialMovingAverage.     Abadi et al. 2016
 *   d(step) = min(decay, (1 + step) / (10 + step)),  step = 1, 2, ... */
#include <drift/plugin.h>

typedef struct { double decay; } warmup;

static const dr_param params[] = {
    DR_REAL(warmup, decay, 0.9999, 0, 1, "memory of the average once warm"),
    DR_END
};

static double decay(void *self, int64_t step)
{
    const double rising = (1.0 + (double)step) / (10.0 + (double)step), limit = ((const warmup *)self)->decay;
    return rising < limit ? rising : limit;
}

DR_EMA(warmup, "Grows to its final decay: min(decay, (1+step)/(10+step))", params, .decay = decay)
