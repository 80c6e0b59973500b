/* dynamic_threshold.c: an image whose estimate leaves [-1, 1] is cut where few of its pixels are, and scaled back, so
 * that strong guidance neither saturates it nor washes it out.     Saharia et al. 2022 (Imagen), section 2.3
 *   s = clamp(quantile_ratio |x0| over the image, 1, max),   x0' = clamp(x0, -s, s)/s
 * The quantile is interpolated linearly. max = 1 is a plain clip to [-1, 1]. The data must lie in [-1, 1]. */
#include <drift/plugin.h>

typedef struct { double ratio, max; } dynamic_threshold;

static const dr_param params[] = {
    DR_REAL(dynamic_threshold, ratio, 0.95, 0, 1, "share of an image's values that lie within the threshold"),
    DR_REAL(dynamic_threshold, max, 1.5, 1, 1e6, "largest threshold"),
    DR_END
};

/* s of each image: [B] */
static dr_tensor *dynamic_thresholds(dr_tensor *x0, double ratio, double max)
{
    return dr_clamp(dr_quantile(dr_abs(x0), ratio), 1.0, max);
}

static dr_tensor *apply(void *self, dr_tensor *x0)
{
    const dynamic_threshold *c = self;
    if (!x0) return NULL;
    const dr_view *v = dr_tensor_view(x0);
    const int64_t shape[DR_MAX_RANK] = { v->shape[0], 1, 1, 1, 1 };
    dr_tensor *s = dr_reshape(dynamic_thresholds(x0, c->ratio, c->max), v->rank, shape); /* [B,1,1,1] */
    return dr_div(dr_maximum(dr_minimum(x0, s), dr_scale(-1.0, s)), s);
}

DR_CLIP(dynamic_threshold, "Cut at a quantile of each image's values, scaled back to [-1, 1]", params, .apply = apply)

DR_EXPORT(dynamic_thresholds, "tensor(tensor,real,real)",
          "the dynamic threshold of each image: x0 [B,C,H,W], ratio, max -> [B]")
