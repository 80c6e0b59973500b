/* inner_circle.c: the circle in the middle of the image is turned, its surroundings stay.     Geng et al. 2024
 *   V x = rotation of x where |pixel - middle| <= radius min(H,W)/2, x elsewhere
 * Turned by right angles only, counterclockwise, so that pixels move and none is computed. */
#include "pixels.h"

typedef struct {
    int64_t degrees;
    double radius;
} inner_circle;

static const dr_param params[] = {
    DR_INT(inner_circle, degrees, 180, 90, 270, "counterclockwise: 90, 180 or 270"),
    DR_REAL(inner_circle, radius, 1.0, 0, 1, "of the circle, as a share of the largest one that fits"),
    DR_END,
};

static dr_status create(void *self)
{
    const inner_circle *v = self;
    if (v->degrees % 90 == 0) return DR_OK;
    return dr_fail(DR_EINVAL, "view inner_circle: degrees = %lld; pixels can be turned by 90, 180 or 270",
                   (long long)v->degrees);
}

/* Twice the distances from the middle are whole numbers: row offset dy = 2 y - (H-1), column offset dx. */
static dr_status fill(const void *self, int64_t H, int64_t W, int32_t *from)
{
    const inner_circle *v = self;
    if (v->degrees != 180 && (H - W) % 2 != 0) {
        return dr_fail(
            DR_ESHAPE,
            "view inner_circle: the middle of %lld x %lld pixels is not one that turns by %lld degrees onto itself",
            (long long)H, (long long)W, (long long)v->degrees);
    }
    const double R = v->radius * (double)(H < W ? H : W);
    for (int64_t i = 0; i < H * W; i++) {
        const int64_t dy = 2 * (i / W) - (H - 1), dx = 2 * (i % W) - (W - 1);
        int64_t sy = dy, sx = dx; /* where it comes from */
        if ((double)(dy * dy + dx * dx) <= R * R) {
            if (v->degrees == 180) sy = -dy, sx = -dx;
            if (v->degrees == 90) sy = dx, sx = -dy;
            if (v->degrees == 270) sy = -dx, sx = dy;
        }
        from[i] = (int32_t)((sy + H - 1) / 2 * W + (sx + W - 1) / 2);
    }
    return DR_OK;
}

static dr_tensor *apply(void *self, dr_tensor *x) { return pixels_seen("inner_circle", fill, self, x); }
static dr_tensor *invert(void *self, dr_tensor *y) { return pixels_unseen("inner_circle", fill, self, y); }

DR_VIEW(inner_circle, "The circle in the middle turned, its surroundings as they are", params, .apply = apply,
        .invert = invert, .create = create)
