/* range.c: the estimate of the data held within the data's own range.     Ho, Jain & Abbeel 2020 (in their code)
 *   x0' = min(max(x0, min), max) */
#include <drift/plugin.h>

typedef struct { double min, max; } range;

static const dr_param params[] = {
    DR_REAL(range, min, -1, -1e6, 1e6, "darkest value of the data"),
    DR_REAL(range, max, 1, -1e6, 1e6, "brightest value of the data"),
    DR_END
};

static dr_status create(void *self)
{
    const range *c = self;
    if (c->min < c->max) return DR_OK;
    return dr_fail(DR_EINVAL, "clip range: min = %g is not below max = %g", c->min, c->max);
}

static dr_tensor *apply(void *self, dr_tensor *x0)
{
    const range *c = self;
    return dr_clamp(x0, c->min, c->max);
}

DR_CLIP(range, "Within [min, max], pixel by pixel", params, .create = create, .apply = apply)
