/* custom.c: a view from functions that the script gives.
 *   drift.view.custom { apply = function(x) ... end, invert = function(y) ... end }      x, y [B,C,H,W]
 * Both must be linear and each other's inverse; for noise to stay noise they should be orthogonal too. Of a network
 * with a variance output, invert_variance brings that output back; without it invert does. */
#include <drift/plugin.h>

typedef struct {
    dr_function apply, invert, invert_variance;
} custom;
typedef dr_tensor *map_fn(dr_tensor *x);

static const dr_param params[] = {
    DR_FUNCTION(custom, apply, "tensor(tensor)", "the image as it is seen; required"),
    DR_FUNCTION(custom, invert, "tensor(tensor)", "its inverse; required"),
    DR_FUNCTION(custom, invert_variance, "tensor(tensor)", "the inverse for a network's variance output"),
    DR_END,
};

static dr_status create(void *self)
{
    const custom *v = self;
    if (v->apply && v->invert) return DR_OK;
    return dr_fail(DR_EINVAL, "view custom: %s is required: a function of images", v->apply ? "invert" : "apply");
}

static dr_tensor *apply(void *self, dr_tensor *x) { return ((map_fn *)((const custom *)self)->apply)(x); }
static dr_tensor *invert(void *self, dr_tensor *y) { return ((map_fn *)((const custom *)self)->invert)(y); }

static dr_tensor *invert_variance(void *self, dr_tensor *y)
{
    const custom *v = self;
    return ((map_fn *)(v->invert_variance ? v->invert_variance : v->invert))(y);
}

DR_VIEW(custom, "A view from functions of the script", params, .apply = apply, .invert = invert,
        .invert_variance = invert_variance, .create = create)
