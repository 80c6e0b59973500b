/* cosine.c: abar follows a squared cosine; known as squaredcos_cap_v2.     Nichol & Dhariwal 2021
 *   f(s) = cos^2((s + offset)/(1 + offset) pi/2),  beta_i = min(1 - f((i+1)/T)/f(i/T), beta_max) */
#include <drift/plugin.h>
#include <math.h>

typedef struct { double offset, beta_max; } cosine;

static const dr_param params[] = {
    DR_REAL(cosine, offset, 0.008, 0, 1, "keeps the first betas from vanishing"),
    DR_REAL(cosine, beta_max, 0.999, 1e-12, 0.999999, "cap of beta, which would reach 1 at the end"),
    DR_END
};

static double signal(const cosine *s, double u)
{
    const double half_pi = 1.57079632679489661923;
    const double c = cos((u + s->offset) / (1.0 + s->offset) * half_pi);
    return c * c;
}

static double beta(void *self, int64_t i, int64_t T)
{
    const cosine *s = self;
    return fmin(1.0 - signal(s, (double)(i + 1) / (double)T) / signal(s, (double)i / (double)T), s->beta_max);
}

DR_SCHEDULE(cosine, "abar follows a squared cosine", params, .beta = beta)
