/* my_clip.c: an estimate of the data that leaves the data's range is scaled down as a whole: nothing saturates.
 *   x0' = x0 / max(1, max |x0|/limit),  the largest value of each image alone */
#include <drift/plugin.h>

/* Parameters: each is a field here and a row below, with its default, smallest and largest value. */
typedef struct { double limit; } my_clip;

static const dr_param params[] = {
    DR_REAL(my_clip, limit, 1, 1e-6, 1e6, "largest value of the data; it must lie around 0"),
    DR_END
};

/* [B,C,H,W] -> the same shape, for every estimate of the data that a sampler asks for, after guidance; noise and velocity
 * follow from the result, so every sampler is clipped. An image must not depend on the others of its batch. */
static dr_tensor *apply(void *self, dr_tensor *x0)
{
    const my_clip *c = self;
    const dr_view *v = dr_tensor_view(x0);
    if (!v) return NULL;                                     /* an earlier error; the host has its message */
    dr_tensor *largest = dr_amax(dr_abs(x0), v->rank - 1, (int64_t[]){ 1, 2, 3, 4 }, 1);    /* [B,1,1,1] */
    return dr_div(x0, dr_clamp(dr_scale(1.0 / c->limit, largest), 1.0, 1e30));
}

/* .create would refuse parameters that do not go together. */
DR_CLIP(my_clip, "Scaled down as a whole until it fits", params, .apply = apply)
