/* gaussian_blur.c: a low-pass filter.
 *   y = sum over i, j = -r..r of w_i w_j x[.+i,.+j],  w_i = exp(-i^2/(2 sigma^2))/sum, with reflection at the edges
 * sigma and kernel are for images of reference_size rows, and are scaled with the image: at 256 rows, sigma 2 and
 * kernel 33 = 2 16 + 1 at 64 become 8 and 129. */
#include "scaled_size.h"

typedef struct {
    double sigma;
    int64_t kernel, reference_size;
} gaussian_blur;

static const dr_param params[] = {
    DR_REAL(gaussian_blur, sigma, 2.0, 1e-6, 1e6, "standard deviation, in pixels of an image of reference_size rows"),
    DR_INT(gaussian_blur, kernel, 33, 1, 4095, "odd: 2 r + 1, r in such pixels"),
    DR_INT(gaussian_blur, reference_size, 64, 0, 1048576,
           "rows of the image that sigma and kernel are meant for; 0: not scaled"),
    DR_END,
};

static dr_status create(void *self) { return check_odd("gaussian_blur", ((const gaussian_blur *)self)->kernel); }

static dr_tensor *apply(void *self, dr_tensor *x)
{
    const gaussian_blur *f = self;
    const double scale = scale_of_image(x, f->reference_size);
    return dr_gaussian_blur(x, scaled_kernel(f->kernel, scale), f->sigma * scale);
}

DR_FILTER(gaussian_blur, "A Gaussian blur, which grows with the image", params, .apply = apply, .create = create,
          .flags = DR_FILTER_KEEPS_CONSTANTS)
