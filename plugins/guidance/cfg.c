/* cfg.c: classifier-free guidance.     Ho & Salimans 2022
 *   y = u + scale (c - u),  c = the model's prediction under the condition, u = without it
 * Both halves run as one batch. scale 1 is the conditional model, 0 the unconditional one: either is one half. */
#include <drift/plugin.h>

typedef struct { double scale; } cfg;

static const dr_param params[] = {
    DR_REAL(cfg, scale, 5.0, -1000, 1000, "gamma: how far to go from the unconditional to the conditional prediction"),
    DR_END
};

static dr_tensor *eval(void *self, dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    const cfg *g = self;
    if (g->scale == 1.0) return dr_predict(f, x, t, cond);
    if (g->scale == 0.0) return dr_predict(f, x, t, dr_cond_null_of(f, cond));
    dr_tensor *u = NULL;
    dr_tensor *c = dr_predict_pair(f, x, t, cond, &u);    /* [B,C,H,W] */
    return dr_axpy(g->scale, dr_sub(c, u), u);
}

DR_GUIDANCE(cfg, "Classifier-free guidance: u + scale (c - u)", params, .eval = eval)
