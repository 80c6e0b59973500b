/* my_ema.c: an average of weights given by its half-life, which is short at first.     Karras et al. 2022 (EDM), table 7
 *   d = 2^(-1/h),  h = min(half_life, ramp step):  after h steps half of the average is of older weights */
#include <drift/plugin.h>
#include <math.h>

/* Parameters: each is a field here and a row below, with its default, smallest and largest value. */
typedef struct { double half_life, ramp; } my_ema;

static const dr_param params[] = {
    DR_REAL(my_ema, half_life, 1000, 1e-3, 1e12, "steps after which a half is older weights"),
    DR_REAL(my_ema, ramp, 0.05, 0, 1e6, "the half-life is at most this times the steps done; 0: no ramp"),
    DR_END
};

/* After optimizer step 1, 2, ... the host does  average = d average + (1-d) weight  with this d, in [0,1]. It owns the
 * averages, saves and resumes them: d is a pure function of the step. */
static double decay(void *self, int64_t step)
{
    const my_ema *e = self;
    const double h = e->ramp > 0.0 ? fmin(e->half_life, e->ramp * (double)step) : e->half_life;
    return exp2(-1.0 / h);
}

DR_EMA(my_ema, "Given by its half-life, with a ramp", params, .decay = decay)
