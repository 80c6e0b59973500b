/* conv2d_winograd_sides.h: how a convolution looks to Winograd's forms: an input side and an output side over one grid.
 * With stride 2 the side that is twice as large has 2x2 phases (every other row and column), each as channels of its
 * own, so that what is left is a convolution with stride 1 and a kernel of 2x2. */
#ifndef DRIFT_CPU_CONV2D_WINOGRAD_SIDES_H
#define DRIFT_CPU_CONV2D_WINOGRAD_SIDES_H

#include "conv2d_winograd.h"
#include "conv2d_winograd_parts.h"

/* Position q of the grid, phase f (0 <= f < step): pixel q step + f - before, along each axis. */
typedef struct winograd_side {
    void *data;
    int64_t H, W, C, pitch, step, before;
    int64_t padded; /* channels of one phase, as matrices hold them */
    int64_t phases; /* step^2 */
} winograd_side;

typedef struct winograd_conv {
    int form, type, weight_type; /* of images: DR_F32 or DR_BF16; of weights: DR_F16 as well */
    int64_t points, tile, taps; /* the first two squared are the matrices, and a tile's outputs */
    winograd_side in, out;
    int64_t B, grid_h, grid_w, tiles_h, tiles_w, tiles; /* tiles: of all images */
    int64_t K, pitch_k; /* channels of all input phases: the inner size of the products; as rows lie */
    int64_t panels;     /* of output channels, all phases */
    int64_t stride, k, weight_in, weight_out; /* the weight: [weight_out, weight_in steps][k,k] */
    bool spread;
    int64_t act, add_rows; /* of the epilogue, see conv2d_weight.h; add lies as the output, with its pitch */
    const void *add;
} winograd_conv;

winograd_conv dr_winograd_gathering(const conv_shape *s, int form, dr_winograd_image large, dr_winograd_image small);
winograd_conv dr_winograd_spreading(const conv_shape *s, int form, dr_winograd_image small, dr_winograd_image large);

/* Where the taps [taps^2] between two phases lie in a kernel [k,k]; -1: such a tap is not there */
void dr_winograd_taps(const winograd_conv *w, int64_t in_phase, int64_t out_phase, int64_t *place);

/* One input channel k of K and one panel of output channels: its taps transformed, into the panel's part of U,
 * [points^2][K][PANEL] (conv2d_winograd_filter.c), whose points do not all fall into one place of the caches */
static inline int64_t dr_winograd_step_u(const winograd_conv *w) { return w->K * PANEL + LANES; }
void dr_winograd_filter(const winograd_conv *w, const void *weight, int64_t k, int64_t panel, float *u);

/* The first channel of a panel, and its phase */
static inline int64_t dr_winograd_panel(const winograd_conv *w, int64_t panel, int64_t *phase)
{
    const int64_t each = w->panels / w->out.phases;
    *phase = panel / each;
    return panel % each * PANEL;
}

/* The pixels of tile t: n x n from its corner; `outside` for those that the image has not */
void dr_winograd_pixels(const winograd_conv *w, const winograd_side *side, int64_t t, int64_t phase, int64_t n,
                        void *outside, void **pixel);

#endif
