/* motion.c: a blur along a line, as of a camera that moves.
 *   y(p) = mean over s in [-length/2, length/2] of x(p + s direction)
 * The line is sampled densely, each sample shared among the four pixels around it.  Geng et al. 2024, motion hybrids */
#include "scaled_size.h"

#include <stdlib.h>

typedef struct {
    double length, degrees;
    int64_t reference_size;
} motion;

static const dr_param params[] = {
    DR_REAL(motion, length, 17.0, 0, 2047, "of the way, in pixels of an image of reference_size rows"),
    DR_REAL(motion, degrees, 45.0, -360, 360, "direction: 0 along rows, 90 along columns, counterclockwise"),
    DR_INT(motion, reference_size, 64, 0, 1048576, "rows of the image that length is meant for; 0: not scaled"),
    DR_END,
};

/* k x k weights that sum to one */
static void draw_line(double *weight, int64_t k, double length, double degrees)
{
    enum { SAMPLES_A_PIXEL = 16 };
    const double angle = degrees * 3.14159265358979323846 / 180.0, middle = (double)(k / 2);
    const int64_t n = 1 + 2 * (int64_t)ceil(length / 2.0 * SAMPLES_A_PIXEL);
    for (int64_t i = 0; i < n; i++) {
        const double along = n > 1 ? ((double)i / (double)(n - 1) - 0.5) * length : 0.0;
        const double y = middle - along * sin(angle), x = middle + along * cos(angle), fy = y - floor(y),
                     fx = x - floor(x);
        const double share[2][2] = { { (1 - fy) * (1 - fx), (1 - fy) * fx }, { fy * (1 - fx), fy * fx } };
        for (int64_t a = 0; a < 2; a++) {
            for (int64_t b = 0; b < 2; b++) {
                const int64_t row = (int64_t)floor(y) + a, column = (int64_t)floor(x) + b;
                if (share[a][b] > 0.0) weight[row * k + column] += share[a][b] / (double)n;
            }
        }
    }
}

static dr_tensor *kernel_of(int64_t k, double length, double degrees, int32_t dtype)
{
    double *weight = calloc((size_t)(k * k), sizeof *weight);
    if (!weight) {
        dr_fail(DR_ENOMEM, "filter motion: no memory for %lld x %lld weights", (long long)k, (long long)k);
        return NULL;
    }
    draw_line(weight, k, length, degrees);
    dr_tensor *t = dr_tensor_from(DR_F64, DR_SHAPE(1, 1, k, k), weight);
    free(weight);
    return dr_cast(t, (dr_dtype)dtype);
}

static dr_tensor *apply(void *self, dr_tensor *x)
{
    const motion *f = self;
    const dr_view *v = dr_tensor_view(x);
    if (!v) return NULL;
    if (v->rank != 4) {
        dr_fail(DR_ESHAPE, "filter motion: takes images [B,C,H,W], got a tensor of rank %d", v->rank);
        return NULL;
    }
    const double length = f->length * scale_of_image(x, f->reference_size);
    const int64_t r = (int64_t)ceil(length / 2.0) + 1, B = v->shape[0], C = v->shape[1], H = v->shape[2],
                  W = v->shape[3];
    dr_tensor *each = dr_reshape(x, DR_SHAPE(B * C, 1, H, W)); /* channels apart: [B C,1,H,W] */
    dr_tensor *wide = dr_pad(each, DR_PAD_REFLECT, DR_SHAPE(r, r, r, r), 0.0);
    if (!wide) return NULL; /* longer than the image: a kernel for it would be larger by far */
    dr_tensor *kernel = kernel_of(2 * r + 1, length, f->degrees, v->dtype);
    return dr_reshape(dr_conv2d(wide, kernel, NULL, 1, 0), DR_SHAPE(B, C, H, W));
}

DR_FILTER(motion, "A blur along a line", params, .apply = apply, .flags = DR_FILTER_KEEPS_CONSTANTS)
