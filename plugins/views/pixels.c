/* pixels.c: images whose pixels change places, see pixels.h. A channels-last image is a table with a row for each
 * pixel, so the view is that table's rows in another order: op embedding, on any device, exact. */
#include "pixels.h"

#include <stdlib.h>

/* The numbers of B images one after the other: from[B*n]. */
static void repeat(int32_t *from, int64_t B, int64_t n)
{
    for (int64_t i = n; i < B * n; i++) from[i] = from[i - n] + (int32_t)n;
}

static dr_status invert(int32_t *from, int64_t n)
{
    int32_t *to = malloc((size_t)(n > 0 ? n : 1) * sizeof *to);
    if (!to) return dr_fail(DR_ENOMEM, "no memory for the places of %lld pixels", (long long)n);
    for (int64_t i = 0; i < n; i++) to[from[i]] = (int32_t)i;
    for (int64_t i = 0; i < n; i++) from[i] = to[i];
    free(to);
    return DR_OK;
}

/* x [B,C,H,W] -> [B,C,height,width], whose pixels come from those numbers */
static dr_tensor *taken(dr_tensor *x, const int32_t *from, int64_t height, int64_t width)
{
    const dr_view *v = dr_tensor_view(x);
    const int64_t B = v->shape[0], C = v->shape[1], n = v->shape[2] * v->shape[3];
    dr_tensor *ids = dr_tensor_from(DR_I32, DR_SHAPE(B * n), from);
    dr_tensor *pixels = dr_reshape(dr_permute(x, DR_SHAPE(0, 2, 3, 1)), DR_SHAPE(B * n, C));
    dr_tensor *y = dr_reshape(dr_embed(pixels, ids), DR_SHAPE(B, height, width, C)); /* [B,H',W',C] */
    return dr_permute(y, DR_SHAPE(0, 3, 1, 2));
}

/* Room for the numbers of all of x's pixels, and of one image where x has none; NULL after an error. */
static int32_t *numbers_for(const char *view, const dr_view *v)
{
    if (v->rank != 4) {
        dr_fail(DR_ESHAPE, "view %s: takes images [B,C,H,W], got a tensor of rank %d", view, v->rank);
        return NULL;
    }
    const int64_t B = v->shape[0] > 0 ? v->shape[0] : 1, H = v->shape[2], W = v->shape[3];
    if (H > 0 && W > 0 && B > INT32_MAX / H / W) {
        dr_fail(DR_EINVAL, "view %s: %lld images of %lld x %lld pixels; at most 2^31 - 1 pixels", view, (long long)B,
                (long long)H, (long long)W);
        return NULL;
    }
    const int64_t pixels = B * H * W;
    int32_t *from = malloc((size_t)(pixels > 0 ? pixels : 1) * sizeof *from);
    if (!from) dr_fail(DR_ENOMEM, "view %s: no memory for the places of %lld pixels", view, (long long)pixels);
    return from;
}

static dr_tensor *moved(const char *view, pixels_fn *fill, const void *self, dr_tensor *x, _Bool back, _Bool turned)
{
    const dr_view *v = dr_tensor_view(x);
    int32_t *from = v ? numbers_for(view, v) : NULL;
    if (!from) return NULL;
    const int64_t H = v->shape[2], W = v->shape[3];
    dr_tensor *y = NULL;
    if (fill(self, H, W, from) == DR_OK && (!back || invert(from, H * W) == DR_OK)) {
        repeat(from, v->shape[0], H * W);
        y = taken(x, from, turned ? W : H, turned ? H : W);
    }
    free(from);
    return y;
}

dr_tensor *pixels_seen(const char *view, pixels_fn *fill, const void *self, dr_tensor *x)
{
    return moved(view, fill, self, x, 0, 0);
}

dr_tensor *pixels_unseen(const char *view, pixels_fn *fill, const void *self, dr_tensor *y)
{
    return moved(view, fill, self, y, 1, 0);
}

dr_tensor *pixels_turned(const char *view, pixels_fn *fill, const void *self, dr_tensor *x)
{
    return moved(view, fill, self, x, 0, 1);
}

dr_status pixels_of_blocks(const char *view, int64_t rows, int64_t columns, const int32_t *order, int64_t H, int64_t W,
                           int32_t *from)
{
    if (H % rows != 0 || W % columns != 0) {
        return dr_fail(DR_ESHAPE, "view %s: %lld x %lld pixels cannot be cut into %lld x %lld equal pieces", view,
                       (long long)H, (long long)W, (long long)rows, (long long)columns);
    }
    const int64_t h = H / rows, w = W / columns; /* of a block */
    for (int64_t y = 0; y < H; y++) {
        for (int64_t x = 0; x < W; x++) {
            const int64_t source = order[y / h * columns + x / w];
            from[y * W + x] = (int32_t)((source / columns * h + y % h) * W + source % columns * w + x % w);
        }
    }
    return DR_OK;
}
