/* flip.c: the image upside down, or in a mirror.
 *   (V x)[i,j] = x[H-1-i,j] (rows in reverse order), or x[i,W-1-j] (columns) */
#include "pixels.h"

enum { ROWS = 0, COLUMNS };
typedef struct {
    int64_t axis;
} flip;

static const dr_param params[] = {
    DR_ENUM(flip, axis, ROWS, "rows|columns", "what comes in reverse order; rows: the image stands on its head"),
    DR_END,
};

static dr_status fill(const void *self, int64_t H, int64_t W, int32_t *from)
{
    const flip *v = self;
    for (int64_t y = 0; y < H; y++) {
        for (int64_t x = 0; x < W; x++) {
            from[y * W + x] = (int32_t)(v->axis == ROWS ? (H - 1 - y) * W + x : y * W + W - 1 - x);
        }
    }
    return DR_OK;
}

static dr_tensor *flipped(void *self, dr_tensor *x) { return pixels_seen("flip", fill, self, x); }

DR_VIEW(flip, "Upside down, or mirrored", params, .apply = flipped, .invert = flipped)
