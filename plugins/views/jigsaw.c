/* jigsaw.c: the image cut into pieces x pieces equal parts, which change places at random.     Geng et al. 2024
 *   piece b of V x = piece order[b] of x
 * The seed decides the permutation (Fisher-Yates), for images of any size: both stages of a model see one puzzle. */
#include "pixels.h"

#include <stdlib.h>

typedef struct {
    int64_t pieces, seed;
    int32_t *order; /* piece b of the view is the image's piece order[b] */
} jigsaw;

static const dr_param params[] = {
    DR_INT(jigsaw, pieces, 4, 1, 1024, "along each side; height and width must be multiples of it"),
    DR_INT(jigsaw, seed, 0, 0, 281474976710656, "of the permutation"),
    DR_END,
};

static dr_status create(void *self)
{
    jigsaw *v = self;
    const int64_t n = v->pieces * v->pieces;
    const dr_rng rng = { .seed = (uint64_t)v->seed, .purpose = dr_purpose("jigsaw") };
    v->order = malloc((size_t)n * sizeof *v->order);
    if (!v->order) return dr_fail(DR_ENOMEM, "view jigsaw: no memory for %lld pieces", (long long)n);
    for (int64_t i = 0; i < n; i++) v->order[i] = (int32_t)i;
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t other = (int64_t)(dr_rng_uniform(&rng, (uint32_t)i) * (double)(i + 1));
        const int32_t piece = v->order[i];
        v->order[i] = v->order[other];
        v->order[other] = piece;
    }
    return DR_OK;
}

static void destroy(void *self) { free(((jigsaw *)self)->order); }

static dr_status fill(const void *self, int64_t H, int64_t W, int32_t *from)
{
    const jigsaw *v = self;
    return pixels_of_blocks("jigsaw", v->pieces, v->pieces, v->order, H, W, from);
}

static dr_tensor *apply(void *self, dr_tensor *x) { return pixels_seen("jigsaw", fill, self, x); }
static dr_tensor *invert(void *self, dr_tensor *y) { return pixels_unseen("jigsaw", fill, self, y); }

DR_VIEW(jigsaw, "Cut into pieces that change places at random", params, .apply = apply, .invert = invert,
        .create = create, .destroy = destroy)
