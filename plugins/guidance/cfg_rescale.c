/* cfg_rescale.c: classifier-free guidance whose result keeps the contrast of the conditional prediction.     Lin et al. 2024
 *   g = u + scale (c - u),  r = g std(c)/std(g),  y = phi r + (1 - phi) g
 * std is over the pixels and channels of one image, of what the network predicts. */
#include <drift/plugin.h>

typedef struct { double scale, phi; } cfg_rescale;

static const dr_param params[] = {
    DR_REAL(cfg_rescale, scale, 5.0, -1000, 1000, "gamma: how far to go from the unconditional to the conditional prediction"),
    DR_REAL(cfg_rescale, phi, 0.7, 0, 1, "share of the rescaled prediction; 0 is plain guidance"),
    DR_END
};

/* Of each image: [B,1,1,1]. */
static dr_tensor *variance(dr_tensor *x)
{
    static const int64_t pixels[] = { 1, 2, 3 };
    dr_tensor *centred = dr_sub(x, dr_mean(x, 3, pixels, 1));
    return dr_mean(dr_square(centred), 3, pixels, 1);
}

static dr_tensor *eval(void *self, dr_model *f, dr_tensor *x, double t, const dr_cond *cond)
{
    const cfg_rescale *p = self;
    const double least = 1e-20; /* of a variance: an even image stays as it is */
    dr_tensor *u = NULL;
    dr_tensor *c = dr_predict_pair(f, x, t, cond, &u); /* [B,C,H,W] */
    dr_tensor *g = dr_axpy(p->scale, dr_sub(c, u), u);
    dr_tensor *ratio = dr_sqrt(dr_div(variance(c), dr_affine(1.0, variance(g), least))); /* [B,1,1,1] */
    return dr_mul(g, dr_affine(p->phi, ratio, 1.0 - p->phi));
}

DR_GUIDANCE(cfg_rescale, "Classifier-free guidance, rescaled to the conditional prediction's contrast", params, .eval = eval)
