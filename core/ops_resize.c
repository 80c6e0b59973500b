/* ops_resize.c: nearest (floor(i in/out)), bilinear, bicubic (Keys' kernel, a = -0.75), never antialiased, as PyTorch's
 * interpolate. Every mode is y = M_h x M_w^T with a matrix per axis, which is its composed form. */
#include "ops_shape.h"

#include <math.h>
#include <stdlib.h>

#define LARGEST 1048576
static const dr_param params[] = {
    DR_ENUM(dr_resize_attr, mode, DR_RESIZE_NEAREST, "nearest|bilinear|bicubic", "how pixels between pixels are made"),
    DR_INT_REQUIRED(dr_resize_attr, height, 1, LARGEST, "rows of the result"),
    DR_INT_REQUIRED(dr_resize_attr, width, 1, LARGEST, "columns of the result"),
    DR_BOOL(dr_resize_attr, align_corners, false, "corners of both images lie on each other (not for nearest)"),
    DR_END,
};

static dr_status resize_infer(const char *op, const char *name, const dr_view *in, int n_in, const dr_resize_attr *a,
                              dr_view *out)
{
    const dr_infer c = { op, name, in, n_in };
    if (dr_need_float(&c, 0) != DR_OK || dr_need_rank(&c, 0, 4) != DR_OK) return DR_ESHAPE;
    if (a->mode < DR_RESIZE_NEAREST || a->mode > DR_RESIZE_BICUBIC)
        return dr_refuse(&c, "no mode %lld", (long long)a->mode);
    if (a->mode == DR_RESIZE_NEAREST && a->align_corners)
        return dr_refuse(&c, "align_corners goes with bilinear and bicubic only");
    if (a->height < 1 || a->width < 1 || a->height > LARGEST || a->width > LARGEST || in->shape[2] < 1 ||
        in->shape[3] < 1) {
        return dr_refuse(&c, "cannot resize to %lld x %lld", (long long)a->height, (long long)a->width);
    }
    dr_shape_of(out, in->dtype, 4, (int64_t[]){ in->shape[0], in->shape[1], a->height, a->width });
    return DR_OK;
}

static dr_status infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)offset;
    return resize_infer("resize", "x", in, n_in, attr, out);
}

static dr_status backward_infer(const dr_view *in, int n_in, const void *attr, dr_view *out, int64_t *offset)
{
    (void)offset;
    return resize_infer("resize_backward", "dy", in, n_in, attr, out);
}

static int64_t inside(int64_t i, int64_t n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

static double keys(double t) /* Keys' cubic at distance t */
{
    const double a = -0.75;
    t = fabs(t);
    if (t <= 1.0) return ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
    return t < 2.0 ? ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a : 0.0;
}

/* Row i of `row`, [from] zeros at first: how much of each old pixel goes into new pixel i of `to`. */
static void fill_row(const dr_resize_attr *a, int64_t from, int64_t to, int64_t i, double *row)
{
    if (a->mode == DR_RESIZE_NEAREST) {
        row[inside((int64_t)floor((double)i * (double)from / (double)to), from)] = 1.0;
        return;
    }
    double at = ((double)i + 0.5) * (double)from / (double)to - 0.5;
    if (a->align_corners) at = to > 1 ? (double)i * (double)(from - 1) / (double)(to - 1) : 0.0;
    if (a->mode == DR_RESIZE_BILINEAR) {
        at = fmax(at, 0.0);
        const int64_t left = inside((int64_t)at, from);
        row[left] += 1.0 - (at - (double)left);
        row[inside(left + 1, from)] += at - (double)left;
        return;
    }
    const int64_t left = (int64_t)floor(at);
    for (int64_t k = left - 1; k <= left + 2; k++) row[inside(k, from)] += keys(at - (double)k);
}

/* [to,from], of x's dtype and device */
static dr_tensor *matrix(const dr_resize_attr *a, int64_t from, int64_t to, int32_t dtype)
{
    double *m = calloc((size_t)(from * to), sizeof *m);
    if (!m) {
        dr_fail(DR_ENOMEM, "resize: out of memory for %lld x %lld weights", (long long)to, (long long)from);
        return NULL;
    }
    for (int64_t i = 0; i < to; i++) fill_row(a, from, to, i, m + i * from);
    dr_tensor *t = dr_tensor_from(DR_F64, 2, (int64_t[]){ to, from }, m);
    free(m);
    return dr_to_dtype(t, dtype);
}

static dr_status compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const dr_resize_attr *a = attr;
    (void)n_in;
    const dr_view *x = dr_tensor_view(in[0]);
    dr_tensor *rows = matrix(a, x->shape[2], a->height, x->dtype),
              *columns = matrix(a, x->shape[3], a->width, x->dtype);
    return dr_yield(out, dr_matmul(dr_matmul(rows, in[0], false, false), columns, false, true));
}

/* The attributes of the forward's, but height and width are x's. */
static dr_status backward_compose(dr_tensor *const *in, int n_in, const void *attr, dr_tensor **out)
{
    const dr_resize_attr *a = attr;
    (void)n_in;
    const dr_view *dy = dr_tensor_view(in[0]);
    dr_tensor *rows = matrix(a, a->height, dy->shape[2], dy->dtype),
              *columns = matrix(a, a->width, dy->shape[3], dy->dtype);
    return dr_yield(out, dr_matmul(dr_matmul(rows, in[0], true, false), columns, false, false));
}

static dr_status backward(const dr_backward_args *b)
{
    dr_resize_backward_attr attr = *(const dr_resize_attr *)b->attr;
    attr.height = b->in_view[0].shape[2];
    attr.width = b->in_view[0].shape[3];
    return dr_yield(&b->din[0], dr_apply1("resize_backward", b->dout, 1, &attr));
}

DR_OP_COMPONENT(resize, "resize(x): an image of another size, not antialiased", params, .n_in = 1, .n_out = 1,
                .in_layout = { DR_LAYOUT_CL }, .out_layout = { DR_LAYOUT_CL }, .infer = infer, .compose = compose,
                .backward = backward)
DR_OP_COMPONENT(resize_backward, "resize_backward(dy) -> dx of size height, width", params, .flags = DR_OP_NONDIFF,
                .n_in = 1, .n_out = 1, .in_layout = { DR_LAYOUT_CL }, .out_layout = { DR_LAYOUT_CL },
                .infer = backward_infer, .compose = backward_compose)
