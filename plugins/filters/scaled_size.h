/* scaled_size.h: a filter's size at an image's size. A kernel that is made for images of `reference` rows grows and
 * shrinks with the image, so that both stages of a model are split at the same detail; 0 leaves it as it is. */
#ifndef DRIFT_FILTERS_SCALED_SIZE_H
#define DRIFT_FILTERS_SCALED_SIZE_H

#include <drift/plugin.h>
#include <math.h>

static inline double scale_of_image(dr_tensor *x, int64_t reference)
{
    const dr_view *v = dr_tensor_view(x);
    return v && v->rank == 4 && reference > 0 ? (double)v->shape[2] / (double)reference : 1.0;
}

/* 2 r + 1 for the reach r of an odd kernel, scaled and rounded. */
static inline int64_t scaled_kernel(int64_t kernel, double scale)
{
    return 2 * (int64_t)floor((double)(kernel / 2) * scale + 0.5) + 1;
}

static inline dr_status check_odd(const char *filter, int64_t kernel)
{
    if (kernel % 2 != 0) return DR_OK;
    return dr_fail(DR_EINVAL, "filter %s: kernel = %lld must be odd", filter, (long long)kernel);
}

#endif
