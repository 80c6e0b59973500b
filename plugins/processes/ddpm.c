/* ddpm.c: the discrete chain of denoising diffusion.     Ho, Jain & Abbeel 2020; v: Salimans & Ho 2022
 *   abar_t = prod_{i<t} (1 - beta_i),  abar_0 = 1;   x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps,  t = 1..T
 * Between whole t, log abar is interpolated linearly, so that ODE samplers may stop anywhere. The network sees t/T, or
 * the step's index t - 1, which counts from 0 (diffusers). */
#include "prediction.h"

#include <math.h>
#include <stdlib.h>

enum { TIME_FRACTION = 0, TIME_INDEX };

typedef struct {
    int64_t T, predict;
    dr_instance *schedule;
    double *log_abar; /* [T+1], log_abar[0] = 0 */
    int64_t time;
} ddpm;

static const dr_param params[] = {
    DR_INT(ddpm, T, 300, 1, 1000000, "steps of the chain"),
    DR_ENUM(ddpm, predict, PREDICT_EPS, PREDICTIONS, PREDICTIONS_DOC),
    DR_COMPONENT_PARAM(ddpm, schedule, "schedule:linear", "beta of each step"),
    DR_ENUM(ddpm, time, TIME_FRACTION, "fraction|index", "what the network is told: t/T, or the step's index t - 1"),
    DR_END
};

static void destroy(void *self)
{
    ddpm *d = self;
    free(d->log_abar);
    d->log_abar = NULL;
}

/* In double and in logarithms: near t = 1, 1 - abar would lose its digits in single precision. */
static dr_status fill_table(ddpm *d)
{
    for (int64_t i = 0; i < d->T; i++) {
        const double beta = dr_schedule_beta(d->schedule, i, d->T);
        if (dr_failed()) return dr_failed();
        if (!(beta > 0.0 && beta < 1.0)) {
            return dr_fail(DR_EINVAL, "process ddpm: schedule %s: beta of step %lld is %g, outside (0, 1)",
                           d->schedule->component->name, (long long)i, beta);
        }
        d->log_abar[i + 1] = d->log_abar[i] + log1p(-beta);
    }
    return DR_OK;
}

static dr_status create(void *self)
{
    ddpm *d = self;
    d->log_abar = calloc((size_t)d->T + 1, sizeof *d->log_abar);
    if (!d->log_abar) return dr_fail(DR_ENOMEM, "process ddpm: no memory for T = %lld", (long long)d->T);
    return fill_table(d);
}

static double draw_t(void *self, double u)
{
    const ddpm *d = self;
    return 1.0 + fmin(floor(u * (double)d->T), (double)d->T - 1.0); /* 1..T */
}

/* alpha^2 = abar = exp(L), so dalpha = alpha L'/2 and dsigma = -abar L'/(2 sigma), infinite at t = 0 (sigma = 0). */
static void coef(void *self, double t, dr_coef *c)
{
    const ddpm *d = self;
    const double clamped = fmin(fmax(t, 0.0), (double)d->T);
    const int64_t above = clamped > 1.0 ? (int64_t)ceil(clamped) : 1; /* the interval (above-1, above] */
    const double slope = d->log_abar[above] - d->log_abar[above - 1];
    const double log_abar = d->log_abar[above] - ((double)above - clamped) * slope;

    c->alpha = exp(log_abar / 2.0);
    c->sigma = clamped > 0.0 ? sqrt(-expm1(log_abar)) : 0.0;
    c->dalpha = c->alpha * slope / 2.0;
    c->dsigma = clamped > 0.0 ? -c->alpha * c->alpha * slope / (2.0 * c->sigma) : INFINITY;
    c->c_in = 1.0, c->weight = 1.0;
    c->time = d->time == TIME_INDEX ? fmax(t - 1.0, 0.0) : t / (double)d->T;
    set_target((prediction)d->predict, c);
}

static void range(void *self, double *t_noise, double *t_data, int64_t *steps)
{
    const ddpm *d = self;
    *t_noise = (double)d->T, *t_data = 0.0, *steps = d->T;
}

DR_PROCESS(ddpm, "x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps: a chain of T steps", params, .create = create,
           .destroy = destroy, .draw_t = draw_t, .coef = coef, .range = range)
