/* cfg_interval.c: classifier-free guidance at some noise levels only.     Kynkaanniemi et al. 2024
 *   y = u + scale (c - u)  where  low < sigma_t/alpha_t <= high,  y = c elsewhere
 * At high noise guidance narrows what is drawn, at low noise it does nothing: leaving both out also saves their cost. */
#include <drift/plugin.h>

typedef struct { double scale, low, high; } cfg_interval;

static const dr_param params[] = {
    DR_REAL(cfg_interval, scale, 5.0, -1000, 1000, "gamma: how far to go from the unconditional to the conditional prediction"),
    DR_REAL(cfg_interval, low, 0.25, 0, 1e9, "guide above this noise level sigma/alpha"),
    DR_REAL(cfg_interval, high, 4.0, 0, 1e9, "guide up to this noise level sigma/alpha"),
    DR_END
};

static _Bool is_inside(const cfg_interval *g, const dr_coef *c) /* alpha may be 0 */
{
    return c->sigma > g->low * c->alpha && c->sigma <= g->high * c->alpha;
}

static dr_tensor *eval(void *self, dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    const cfg_interval *g = self;
    dr_coef coef;
    dr_model_coef(f, t, &coef);
    if (g->low >= g->high) {
        dr_fail(DR_EINVAL, "guidance cfg_interval: low = %g is not below high = %g", g->low, g->high);
        return NULL;
    }
    if (g->scale == 1.0 || !is_inside(g, &coef)) return dr_predict(f, x, t, cond);
    dr_tensor *u = NULL;
    dr_tensor *c = dr_predict_pair(f, x, t, cond, &u); /* [B,C,H,W] */
    return dr_axpy(g->scale, dr_sub(c, u), u);
}

DR_GUIDANCE(cfg_interval, "Classifier-free guidance within an interval of noise levels", params, .eval = eval)
