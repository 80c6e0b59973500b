/* conv2d_winograd_parts.h: the parts that Winograd's convolutions are made of: transforms of tiles between pixels and
 * points (conv2d_winograd_transform.c) and products of small matrices in registers (conv2d_winograd_product.c). */
#ifndef DRIFT_CPU_CONV2D_WINOGRAD_PARTS_H
#define DRIFT_CPU_CONV2D_WINOGRAD_PARTS_H

#include "bf16.h"
#include "cpu_backend.h"

/* A panel is two vectors of channels; ROWS x PANEL sums stay in registers. */
#if defined(__AVX512F__)
enum { LANES = 16, ROWS = 14 };
#else
enum { LANES = 8, ROWS = 6 };
#endif
enum { PANEL = 2 * LANES, MOST_POINTS = 6, MOST_TILE = 4, MOST_TAPS = 3 };

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef float vec_unaligned __attribute__((vector_size(LANES * 4), aligned(4)));

/* Along one axis `tile` outputs of a kernel of `taps` from points = tile + taps - 1 multiplications. */
typedef struct winograd_form {
    int points, tile, taps;
} winograd_form;
enum { FORM_43, FORM_23, FORM_42, FORM_32, FORM_COUNT };
extern const winograd_form dr_winograd_forms[FORM_COUNT];

/* n <= LANES channels of a pixel of f32 or bf16; the rest of a vector is 0. */
vec dr_winograd_load_part(int type, const void *x, int64_t n);
void dr_winograd_store_part(float *x, vec v, int64_t n);

/* A tile of pixels -> a row of each point's matrix: pixel[i * size + j] points at `channels` numbers of `type`, DR_F32
 * or DR_BF16; to[] receives as many, rounded up to whole vectors, at each step of `step` floats. */
void dr_winograd_from_input(int form, int type, const void *const *pixel, int64_t channels, float *to, int64_t step);
/* The same for the other side in the weight's gradient; sum (whole vectors) gains each channel's sum. */
void dr_winograd_from_output(int form, int type, const void *const *pixel, int64_t channels, float *to, int64_t step,
                             float *sum);
/* A row of each point's product -> a tile of pixels in f32; those that are NULL are left out. bias may be NULL. */
void dr_winograd_to_output(int form, const float *from, int64_t step, const float *bias, float *const *pixel,
                           int64_t channels);
/* The same past the caches, where all of the pixels' channels are whole vectors in memory; then, once, _past_done. */
void dr_winograd_to_output_past(int form, const float *from, int64_t step, const float *bias, float *const *pixel,
                                int64_t channels);
void dr_winograd_past_done(void);
/* taps x taps weights, a vector each -> points x points, and the other way for the gradient. */
void dr_winograd_from_weight(int form, const vec *weight, float *to, int64_t step);
void dr_winograd_to_weight(int form, const float *from, int64_t step, float *to);

/* c [rows, PANEL] = a [rows, K] b [K, PANEL], a's rows a_row apart. */
void dr_winograd_product(int64_t rows, int64_t K, const float *a, int64_t a_row, const float *b, float *c);
/* c [rows, PANEL] += a^T b, a [K, rows] and b [K, PANEL] with steps between their rows. */
void dr_winograd_add_product(int64_t rows, int64_t K, const float *a, int64_t a_step, const float *b, int64_t b_step,
                             float *c);

#endif
