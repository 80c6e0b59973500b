/* rotate.c: the image turned by a right angle or more, counterclockwise as torch.rot90 turns:
 *   90: (V x)[i,j] = x[j,W-1-i], so [[1,2],[3,4]] is seen as [[2,4],[1,3]]
 * By 90 and 270 height and width change places. */
#include "pixels.h"

typedef struct {
    int64_t degrees;
} rotate;

static const dr_param params[] = {
    DR_INT(rotate, degrees, 180, 90, 270, "counterclockwise: 90, 180 or 270"),
    DR_END,
};

static dr_status create(void *self)
{
    const rotate *v = self;
    if (v->degrees % 90 == 0) return DR_OK;
    return dr_fail(DR_EINVAL, "view rotate: degrees = %lld; pixels can be turned by 90, 180 or 270",
                   (long long)v->degrees);
}

/* of an image H x W: the view is W x H */
static dr_status quarter(const void *self, int64_t H, int64_t W, int32_t *from)
{
    (void)self;
    for (int64_t y = 0; y < W; y++) {
        for (int64_t x = 0; x < H; x++) from[y * H + x] = (int32_t)(x * W + W - 1 - y);
    }
    return DR_OK;
}

static dr_status half(const void *self, int64_t H, int64_t W, int32_t *from)
{
    (void)self;
    for (int64_t i = 0; i < H * W; i++) from[i] = (int32_t)(H * W - 1 - i);
    return DR_OK;
}

static dr_status three_quarters(const void *self, int64_t H, int64_t W, int32_t *from)
{
    (void)self;
    for (int64_t y = 0; y < W; y++) {
        for (int64_t x = 0; x < H; x++) from[y * H + x] = (int32_t)((H - 1 - x) * W + y);
    }
    return DR_OK;
}

static dr_tensor *turned(const rotate *v, int64_t degrees, dr_tensor *x)
{
    if (degrees == 180) return pixels_seen("rotate", half, v, x);
    return pixels_turned("rotate", degrees == 90 ? quarter : three_quarters, v, x);
}

static dr_tensor *apply(void *self, dr_tensor *x) { return turned(self, ((const rotate *)self)->degrees, x); }
static dr_tensor *invert(void *self, dr_tensor *y) { return turned(self, 360 - ((const rotate *)self)->degrees, y); }

DR_VIEW(rotate, "Turned by 90, 180 or 270 degrees", params, .apply = apply, .invert = invert, .create = create)
