/* my_filter.c: the binomial filter, the narrowest of smooth blurs.
 *   y = (x[i-1] + 2 x[i] + x[i+1])/4 along rows, then along columns, `times` times, with reflection at the edges
 * Its standard deviation is sqrt(times/2) pixels. What the filter leaves out is x - y. */
#include <drift/plugin.h>

/* Parameters: each is a field here and a row below, with its default, smallest and largest value. */
typedef struct { int64_t times; } my_filter;

static const dr_param params[] = {
    DR_INT(my_filter, times, 4, 1, 1000, "how often: sqrt(times/2) pixels wide"),
    DR_END
};

/* Along axis 2 (rows) or 3 (columns) of a padded image, back to n. */
static dr_tensor *along(dr_tensor *wide, int dim, int64_t n)
{
    dr_tensor *sides = dr_add(dr_slice(wide, dim, 0, n), dr_slice(wide, dim, 2, n));
    return dr_axpy(0.5, dr_slice(wide, dim, 1, n), dr_scale(0.25, sides));
}

/* [B,C,H,W] -> the same shape; linear, and the same for every image of a batch. */
static dr_tensor *apply(void *self, dr_tensor *x)
{
    const my_filter *f = self;
    const dr_view *v = dr_tensor_view(x);
    if (!v) return NULL;                                     /* an earlier error; the host has its message */
    if (v->rank != 4) {
        dr_fail(DR_ESHAPE, "filter my_filter: takes images [B,C,H,W], got a tensor of rank %d", v->rank);
        return NULL;
    }
    const int64_t H = v->shape[2], W = v->shape[3];
    for (int64_t i = 0; i < f->times; i++) {
        dr_tensor *wide = dr_pad(x, DR_PAD_REFLECT, DR_SHAPE(1, 1, 1, 1), 0.0);              /* [B,C,H+2,W+2] */
        x = along(along(wide, 2, H), 3, W);
    }
    return x;
}

/* The flag is a promise that `make check` tests: an image of one value stays as it is. */
DR_FILTER(my_filter, "The binomial filter", params, .apply = apply, .flags = DR_FILTER_KEEPS_CONSTANTS)
