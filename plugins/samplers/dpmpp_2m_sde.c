/* dpmpp_2m_sde.c: SDE-DPM-Solver++(2M): DPM-Solver++(2M) for the reverse SDE.     Lu et al. 2022 (DPM-Solver++)
 *   h = lambda' - lambda,  D from the last two estimates of the data as in dpmpp_2m.c
 *   x' = sigma'/sigma e^(-eta h) x + alpha' (1 - e^(-(1+eta) h)) D + sigma' sqrt(1 - e^(-2 eta h)) z
 * eta = 1 is the paper's; eta = 0 is dpmpp_2m. */
#include "multistep.h"

typedef struct {
    int64_t steps;
    double eta;
    dr_instance *timesteps;
} dpmpp_2m_sde;

static const dr_param params[] = {
    DR_INT(dpmpp_2m_sde, steps, 25, 0, 1000000, "steps from noise to data; 0: all of the process's"),
    DR_REAL(dpmpp_2m_sde, eta, 1, 0, 1, "share of fresh noise: 0 is the ODE, 1 the reverse SDE"),
    DR_COMPONENT_PARAM(dpmpp_2m_sde, timesteps, "timesteps:even", "how the steps are laid between noise and data"),
    DR_END
};

static dr_tensor *step(void *self, dr_model *f, dr_tensor *x, double t, double t_next, dr_rng *rng)
{
    const dpmpp_2m_sde *p = self;
    dr_coef now, next;
    dr_model_coef(f, t, &now);
    dr_model_coef(f, t_next, &next);
    dr_tensor *D = multistep_x0("dpmpp_2m_sde", f, x, t, t_next);                                         /* [B,C,H,W] */
    const double decay = next.sigma * now.alpha / (next.alpha * now.sigma);               /* e^-h; 0 from pure noise */
    const double kept = pow(decay, p->eta);                                               /* e^(-eta h); 1 for eta = 0 */
    if (next.sigma == 0.0) return next.alpha == 1.0 ? D : dr_scale(next.alpha, D);
    dr_tensor *mean = dr_axpy(next.alpha * (1.0 - decay * kept), D, dr_scale(next.sigma / now.sigma * kept, x));
    if (kept == 1.0) return mean;
    return dr_axpy(next.sigma * sqrt(1.0 - kept * kept), dr_noise_like(x, rng), mean);
}

DR_SAMPLER(dpmpp_2m_sde, "DPM-Solver++(2M) for the reverse SDE", params, .step = step, .order = 0)
