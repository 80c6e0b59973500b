/* multistep.h: an estimate of the data from this step's and the last one's, for dpmpp_2m.c and dpmpp_2m_sde.c. */
#ifndef MULTISTEP_H
#define MULTISTEP_H

#include <drift/plugin.h>
#include <math.h>

/* lambda = log(alpha/sigma), infinite at pure noise and at the data. */
static inline double multistep_lambda(dr_model *f, double t)
{
    dr_coef c;
    dr_model_coef(f, t, &c);
    return log(c.alpha) - log(c.sigma);
}

/* D at t for a step of the sampler `name` to t_next: half a step's extrapolation, in lambda, of the model's x0_hat here and in the step before
 * (first order where there was none, or where a step is infinite). Remembers both for the next step. */
static inline dr_tensor *multistep_x0(const char *name, dr_model *f, dr_tensor *x, double t, double t_next)
{
    dr_tensor *x0 = dr_eval_x0(f, x, t); /* [B,C,H,W] */
    dr_tensor *last = dr_recall(f, "multistep.x0"), *last_t = dr_recall(f, "multistep.t"), *D = x0;
    const double h = multistep_lambda(f, t_next) - multistep_lambda(f, t);
    if (!(h > 0.0)) {
        dr_fail(DR_EINVAL, "sampler %s: t = %g to %g does not go towards the data", name, t, t_next);
        return NULL;
    }
    if (last && last_t && isfinite(h)) {
        const double before = multistep_lambda(f, t) - multistep_lambda(f, dr_tensor_item(last_t));
        const double half = isfinite(before) ? h / (2.0 * before) : 0.0; /* 1/(2r) */
        if (half > 0.0) D = dr_axpy(half, dr_sub(x0, last), x0);
    }
    dr_remember(f, "multistep.x0", x0);
    dr_remember(f, "multistep.t", dr_tensor_from(DR_F64, 0, NULL, &t));
    return D;
}

#endif
