/* box.c: the mean of the kernel x kernel pixels around each pixel, with reflection at the edges.
 *   y = 1/k^2 sum over i, j = -r..r of x[.+i,.+j],  k = 2 r + 1 */
#include "scaled_size.h"

typedef struct {
    int64_t kernel, reference_size;
} box;

static const dr_param params[] = {
    DR_INT(box, kernel, 5, 1, 4095, "odd: 2 r + 1, r in pixels of an image of reference_size rows"),
    DR_INT(box, reference_size, 64, 0, 1048576, "rows of the image that kernel is meant for; 0: not scaled"),
    DR_END,
};

static dr_status create(void *self) { return check_odd("box", ((const box *)self)->kernel); }

static dr_tensor *apply(void *self, dr_tensor *x)
{
    const box *f = self;
    const int64_t kernel = scaled_kernel(f->kernel, scale_of_image(x, f->reference_size)), r = kernel / 2;
    dr_tensor *wide = dr_pad(x, DR_PAD_REFLECT, DR_SHAPE(r, r, r, r), 0.0); /* [B,C,H+2r,W+2r] */
    return dr_avg_pool2d(wide, kernel, 1);
}

DR_FILTER(box, "The mean of a square around each pixel", params, .apply = apply, .create = create,
          .flags = DR_FILTER_KEEPS_CONSTANTS)
