/* my_process.c: data and noise mixed along a quarter of a circle; the network predicts the velocity.
 *   x_t = cos(t) x0 + sin(t) eps,  dx/dt = -sin(t) x0 + cos(t) eps;   t = 0 is data, t = pi/2 is noise
 * With data of variance 1 x_t has variance 1 at every t.      Albergo & Vanden-Eijnden 2023; Lu & Song 2025 (TrigFlow) */
#include <drift/plugin.h>
#include <math.h>

#define HALF_PI 1.57079632679489661923

/* Parameters: each is a field here and a row below, with its default, smallest and largest value. */
typedef struct { double t_min; } my_process;

static const dr_param params[] = {
    DR_REAL(my_process, t_min, 0.001, 0, 0.1, "nearest time to the data that is trained on"),
    DR_END
};

/* A training time from a uniform u in [0,1): monotone in u, so that u = 0 and u -> 1 are the ends of training. */
static double draw_t(void *self, double u)
{
    const my_process *p = self;
    return p->t_min + (HALF_PI - p->t_min) * u;
}

/* The nine numbers from which the host makes everything: x_t, the target p x0 + q eps that the network is asked for, the
 * loss, and every sampler's estimates of data, noise and velocity. The network sees c_in x_t and `time`. */
static void coef(void *self, double t, dr_coef *c)
{
    (void)self;
    const double a = t < HALF_PI ? cos(t) : 0.0, s = sin(t); /* cos of the double next to pi/2 is not quite 0 */
    *c = (dr_coef){ .alpha = a, .sigma = s, .dalpha = -s, .dsigma = a, .p = -s, .q = a,
                    .c_in = 1.0, .time = t / HALF_PI, .weight = 1.0 };
}

/* Sampling runs from t_noise to t_data. steps: the length of a discrete chain; 0: time is continuous. */
static void range(void *self, double *t_noise, double *t_data, int64_t *steps)
{
    (void)self;
    *t_noise = HALF_PI, *t_data = 0.0, *steps = 0;
}

/* The t where sigma/alpha is the given ratio. Without it the host bisects. */
static double time_of(void *self, double noise_to_signal)
{
    (void)self;
    return atan(noise_to_signal);
}

/* .create makes tables and .destroy frees them, where a process has any. */
DR_PROCESS(my_process, "x_t = cos(t) x0 + sin(t) eps, velocity predicted", params, .draw_t = draw_t, .coef = coef,
           .range = range, .time = time_of)
