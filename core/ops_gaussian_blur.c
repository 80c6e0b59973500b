/* ops_gaussian_blur.c: weights exp(-i^2/(2 sigma^2)) on -r..r, normalised, along rows and columns, with reflection at
 * the edges (the edge pixel is not repeated). Blurring an axis is a product with a matrix that holds the reflection as
 * well: y = G_h x G_w^T. */
#include "ops_shape.h"

#include <math.h>
#include <stdlib.h>

static const dr_param params[] = {
    DR_INT(dr_gaussian_blur_attr, kernel_size, 33, 1, 4095, "odd: 2 r + 1"),
    DR_REAL(dr_gaussian_blur_attr, sigma, 2.0, 1e-6, 1e6, "standard deviation, in pixels"),
    DR_END,
};

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    const dr_infer c = { "gaussian_blur", "x", in, n_in };
    const dr_gaussian_blur_attr *a = attr;
    (void)offset;
    if (dr_need_float(&c, 0) != DR_OK || dr_need_rank(&c, 0, 4) != DR_OK) return DR_ESHAPE;
    if (a->kernel_size < 1 || a->kernel_size % 2 == 0 || a->kernel_size > 4095) {
        return dr_refuse(&c, "kernel_size %lld must be odd, at most 4095", (long long)a->kernel_size);
    }
    if (!(a->sigma > 0.0)) return dr_refuse(&c, "sigma %g must be above 0", a->sigma);
    const int64_t r = a->kernel_size / 2;
    if (in->shape[2] <= r || in->shape[3] <= r) {
        return dr_refuse(&c, "reflection by %lld needs an image of more than that", (long long)r);
    }
    dr_shape_like(out, in);
    return DR_OK;
}

/* [n,n]: row i holds the weights of the pixels that pixel i becomes the mean of */
static dr_tensor *blur_matrix(const dr_gaussian_blur_attr *a, int64_t n, int32_t dtype)
{
    const int64_t r = a->kernel_size / 2;
    double *m = calloc((size_t)(n * n), sizeof *m);
    if (!m) {
        dr_fail(DR_ENOMEM, "gaussian_blur: out of memory for %lld x %lld weights", (long long)n, (long long)n);
        return NULL;
    }
    double total = 0.0;
    for (int64_t k = -r; k <= r; k++) total += exp(-(double)(k * k) / (2.0 * a->sigma * a->sigma));
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = -r; k <= r; k++) {
            int64_t j = i + k;
            if (j < 0) j = -j;
            if (j >= n) j = 2 * (n - 1) - j;
            m[i * n + j] += exp(-(double)(k * k) / (2.0 * a->sigma * a->sigma)) / total;
        }
    }
    dr_tensor *t = dr_tensor_from(DR_F64, 2, (int64_t[]){ n, n }, m);
    free(m);
    return dr_to_dtype(t, dtype);
}

static dr_status compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    (void)n_in;
    const dr_view *x = dr_tensor_view(in[0]);
    dr_tensor *rows = blur_matrix(attr, x->shape[2], x->dtype), *columns = blur_matrix(attr, x->shape[3], x->dtype);
    return dr_yield(out, dr_matmul(dr_matmul(rows, in[0], false, false), columns, false, true));
}

DR_OP_COMPONENT(gaussian_blur, "gaussian_blur(x): a low-pass filter", params, .n_in = 1, .n_out = 1,
                .in_layout = { DR_LAYOUT_CL }, .out_layout = { DR_LAYOUT_CL }, .infer = infer, .compose = compose)
