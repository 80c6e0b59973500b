/* my_view.c: the image moved along itself: what leaves on one side comes back on the other.
 *   (V x)[i,j] = x[(i + a) mod H, (j + b) mod W],  a = round(down H), b = round(right W) */
#include <drift/plugin.h>
#include <math.h>

/* Parameters: each is a field here and a row below, with its default, smallest and largest value. */
typedef struct { double down, right; } my_view;

static const dr_param params[] = {
    DR_REAL(my_view, down, 0.5, 0, 1, "how far along the rows, as a share of the height"),
    DR_REAL(my_view, right, 0.5, 0, 1, "how far along the columns, as a share of the width"),
    DR_END
};

/* The axis begins at element `first` (0 .. n) and goes around. */
static dr_tensor *turned(dr_tensor *x, int dim, int64_t n, int64_t first)
{
    if (first % n == 0) return x;
    return dr_concat((dr_tensor *[]){ dr_slice(x, dim, first, n - first), dr_slice(x, dim, 0, first) }, 2, dim);
}

static dr_tensor *moved(const my_view *p, dr_tensor *x, _Bool back)
{
    const dr_view *v = dr_tensor_view(x);
    if (!v) return NULL;                                     /* an earlier error; the host has its message */
    const int64_t H = v->shape[2], W = v->shape[3];
    const int64_t a = (int64_t)round(p->down * (double)H), b = (int64_t)round(p->right * (double)W);
    return turned(turned(x, 2, H, back ? H - a : a), 3, W, back ? W - b : b);
}

/* Images [B,C,H,W] of any C. apply and invert are linear and each other's inverse, exactly; and orthogonal, so that
 * normal noise stays normal noise under the view. A view may change H and W. */
static dr_tensor *apply(void *self, dr_tensor *x) { return moved(self, x, 0); }
static dr_tensor *invert(void *self, dr_tensor *x) { return moved(self, x, 1); }

/* .constant: what is added to every pixel (negate has one); .create and .destroy: tables. All may be left out. */
DR_VIEW(my_view, "Moved along itself", params, .apply = apply, .invert = invert)
