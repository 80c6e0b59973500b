/* autoguidance.c: a network guided away from a weaker version of itself.     Karras et al. 2024, "Guiding a diffusion model
 * with a bad version of itself"
 *   y = w + scale (c - w),  c = the model's prediction, w = the weak network's under the same condition
 * The weak network is smaller or trained for less. It is the model's network of that name:
 *   drift.sample { ..., networks = { weak = net }, guidance = drift.guidance.autoguidance { scale = 2 } } */
#include <drift/plugin.h>

typedef struct {
    double scale;
    const char *network;
} autoguidance;

static const dr_param params[] = {
    DR_REAL(autoguidance, scale, 2.0, -1000, 1000, "how far to go from the weak network's prediction to the model's"),
    DR_STRING(autoguidance, network, "weak", "name of the weak network among the model's networks"),
    DR_END
};

static dr_tensor *eval(void *self, dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    const autoguidance *g = self;
    dr_tensor *c = dr_predict(f, x, t, cond); /* [B,C,H,W] */
    if (g->scale == 1.0) return c;
    dr_tensor *w = dr_predict_by(f, g->network, x, t, cond);
    return dr_axpy(g->scale, dr_sub(c, w), w);
}

DR_GUIDANCE(autoguidance, "Guided by a weaker network: w + scale (c - w)", params, .eval = eval)
