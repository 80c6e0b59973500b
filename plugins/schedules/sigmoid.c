/* sigmoid.c: abar follows a sigmoid.     Jabri, Fleet & Chen 2022 (RIN); compared in Chen 2023
 *   f(s) = (S(end/tau) - S((start + s (end - start))/tau)) / (S(end/tau) - S(start/tau)),  S(x) = 1/(1 + e^-x)
 *   abar_i = f(i/T),  beta_i = min(1 - f((i+1)/T)/f(i/T), beta_max)
 * What other libraries call "sigmoid" for betas that follow a sigmoid is sigmoid_beta. */
#include <drift/plugin.h>
#include <math.h>

typedef struct { double start, end, tau, beta_max; } sigmoid;

static const dr_param params[] = {
    DR_REAL(sigmoid, start, -3, -20, 0, "where on the sigmoid the data lie"),
    DR_REAL(sigmoid, end, 3, 0.1, 20, "where on the sigmoid pure noise lies"),
    DR_REAL(sigmoid, tau, 1, 0.05, 20, "temperature: larger is closer to a line"),
    DR_REAL(sigmoid, beta_max, 0.999, 1e-12, 0.999999, "cap of beta, which would reach 1 at the end"),
    DR_END
};

static double S(double x) { return 1.0 / (1.0 + exp(-x)); }

/* f up to a factor, as S(b) - S(a) = S(b) S(-a) (1 - e^(a-b)), which does not cancel near the end. */
static double signal(const sigmoid *s, double u)
{
    const double a = (s->start + u * (s->end - s->start)) / s->tau, b = s->end / s->tau;
    return S(-a) * -expm1(a - b);
}

static double beta(void *self, int64_t i, int64_t T)
{
    const sigmoid *s = self;
    return fmin(1.0 - signal(s, (double)(i + 1) / (double)T) / signal(s, (double)i / (double)T), s->beta_max);
}

DR_SCHEDULE(sigmoid, "abar follows a sigmoid", params, .beta = beta)
