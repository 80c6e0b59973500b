/* custom.c: a filter from a function that the script gives. It must be linear.
 *   drift.filter.custom { apply = function(x) return x:avg_pool2d(2, 2):resize(...) end }      x [B,C,H,W] */
#include <drift/plugin.h>

typedef struct {
    dr_function apply;
} custom;

static const dr_param params[] = {
    DR_FUNCTION(custom, apply, "tensor(tensor)", "the filtered image, of the image's shape; required"),
    DR_END,
};

static dr_status create(void *self)
{
    if (((const custom *)self)->apply) return DR_OK;
    return dr_fail(DR_EINVAL, "filter custom: apply is required: a function of images");
}

static dr_tensor *apply(void *self, dr_tensor *x)
{
    return ((dr_tensor * (*)(dr_tensor *))((const custom *)self)->apply)(x);
}

DR_FILTER(custom, "A filter from a function of the script", params, .apply = apply, .create = create)
