/* pixels.h: what views that only move pixels share. Pixels are numbered row by row; all channels of a pixel move
 * together, and values are copied, never computed with. */
#ifndef DRIFT_VIEWS_PIXELS_H
#define DRIFT_VIEWS_PIXELS_H

#include <drift/plugin.h>

/* Fills from[H*W], the view of an image of H x W: pixel i of the view is the image's pixel from[i]. */
typedef dr_status pixels_fn(const void *self, int64_t H, int64_t W, int32_t *from);

/* x [B,C,H,W] under a view that keeps the shape, and the way back. `view` names it in messages. */
dr_tensor *pixels_seen(const char *view, pixels_fn *fill, const void *self, dr_tensor *x);
dr_tensor *pixels_unseen(const char *view, pixels_fn *fill, const void *self, dr_tensor *y);

/* The same for a view that may swap height and width: fill(self, H, W, from) is given the image's size. */
dr_tensor *pixels_turned(const char *view, pixels_fn *fill, const void *self, dr_tensor *x);

/* An image cut into rows x columns equal blocks, which change places: block b of the view is the image's block
 * order[b]. Refused where the image's size is not a multiple of that. */
dr_status pixels_of_blocks(const char *view, int64_t rows, int64_t columns, const int32_t *order, int64_t H, int64_t W,
                           int32_t *from);

#endif
