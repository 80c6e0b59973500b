/* my_schedule.c: the signal that is left falls as a power of the steps that are left.
 *   abar(s) = (1 - s)^power,  beta_i = min(1 - abar((i+1)/T)/abar(i/T), beta_max),  i = 0..T-1 */
#include <drift/plugin.h>
#include <math.h>

/* Parameters: each is a field here and a row below, with its default, smallest and largest value. */
typedef struct { double power, beta_max; } my_schedule;

static const dr_param params[] = {
    DR_REAL(my_schedule, power, 2, 0.1, 10, "1: abar falls evenly; the larger, the sooner it is gone"),
    DR_REAL(my_schedule, beta_max, 0.999, 1e-12, 0.999999, "cap of beta, which would reach 1 at the end"),
    DR_END
};

/* The variance that step i of T adds: above 0 and below 1. The paper's t is i + 1. The host asks for all T of them when a
 * process (ddpm, ...) is built, and makes its tables of them in double. */
static double beta(void *self, int64_t i, int64_t T)
{
    const my_schedule *s = self;
    const double left = (double)(T - i);                     /* abar((i+1)/T)/abar(i/T) = ((left-1)/left)^power */
    return fmin(1.0 - pow((left - 1.0) / left, s->power), s->beta_max);
}

DR_SCHEDULE(my_schedule, "The signal falls as a power of the steps left", params, .beta = beta)
