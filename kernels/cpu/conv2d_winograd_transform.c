/* conv2d_winograd_transform.c: Winograd's transforms, along both axes of a tile, a vector of channels at a time.
 *   y = A^T [(G w) (B^T x)]   for `tile` outputs y[i] = sum over j of w[j] x[i+j]
 * by evaluating polynomials at points p and at infinity: A[p][i] = p^i, G[p][j] = p^j / prod over q of (p - q), B^T the
 * coefficients of prod over q != p of (z - q). The points are chosen for small rounding errors.
 *   Winograd 1980; Lavin & Gray 2016; Barabasz et al. 2018 */
#include "conv2d_winograd_parts.h"
#include <string.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

const winograd_form dr_winograd_forms[FORM_COUNT] = {
    [FORM_43] = { 6, 4, 3 }, [FORM_23] = { 4, 2, 3 }, [FORM_42] = { 5, 4, 2 }, [FORM_32] = { 4, 3, 2 }
};

/* 6 points: 0, +-a, +-b, infinity. 5: 0, -1, 1/2, 2, infinity. 4: 0, +-1, infinity. */
static const float a = 0.625f, a2 = 0.390625f, a3 = 0.244140625f, b = 1.5f, b2 = 2.25f, b3 = 3.375f; /* and powers */

#define always static inline __attribute__((always_inline))

vec dr_winograd_load_part(int type, const void *x, int64_t n)
{
    float part[LANES] = { 0 };
    for (int64_t i = 0; i < n; i++) part[i] = dr_load(type, x, i);
    return *(const vec_unaligned *)part;
}

void dr_winograd_store_part(float *x, vec v, int64_t n)
{
    float part[LANES];
    *(vec_unaligned *)part = v;
    memcpy(x, part, (size_t)n * sizeof(float));
}

/* ---- along one axis ---------------------------------------------------------------------------------------------- */

/* Past the caches, for what will not be there any more when it is read; `to` must lie on whole vectors. */
always void store_past(float *to, vec v)
{
#if defined(__AVX512F__)
    _mm512_stream_ps(to, (__m512)v);
#elif defined(__AVX__)
    _mm256_stream_ps(to, (__m256)v);
#else
    *(vec_unaligned *)to = v;
#endif
}

always void input(const int points, const vec *x, vec *y) /* y = B^T x */
{
    if (points == 6) {
        const vec odd_a = a * (x[3] - b2 * x[1]), odd_b = b * (x[3] - a2 * x[1]);
        const vec even_a = x[4] - b2 * x[2], even_b = x[4] - a2 * x[2];
        y[0] = x[4] - (a2 + b2) * x[2] + a2 * b2 * x[0];
        y[1] = even_a + odd_a;
        y[2] = even_a - odd_a;
        y[3] = even_b + odd_b;
        y[4] = even_b - odd_b;
        y[5] = x[5] - (a2 + b2) * x[3] + a2 * b2 * x[1];
    } else if (points == 5) { /* (z + 1)(z - 1/2)(z - 2) = z^3 - 1.5 z^2 - 1.5 z + 1 */
        y[0] = x[3] - 1.5f * (x[2] + x[1]) + x[0];
        y[1] = x[3] - 2.5f * x[2] + x[1];   /* z (z - 1/2)(z - 2) */
        y[2] = x[3] - x[2] - 2.0f * x[1];   /* z (z + 1)(z - 2) */
        y[3] = x[3] + 0.5f * (x[2] - x[1]); /* z (z + 1)(z - 1/2) */
        y[4] = x[4] - 1.5f * (x[3] + x[2]) + x[1];
    } else {
        y[0] = x[2] - x[0];
        y[1] = x[2] + x[1];
        y[2] = x[2] - x[1];
        y[3] = x[3] - x[1];
    }
}

always void output(const int points, const int tile, const vec *u, vec *y) /* y = A^T u */
{
    if (points == 6) {
        const vec even_a = u[1] + u[2], odd_a = u[1] - u[2], even_b = u[3] + u[4], odd_b = u[3] - u[4];
        y[0] = u[0] + even_a + even_b;
        y[1] = a * odd_a + b * odd_b;
        y[2] = a2 * even_a + b2 * even_b;
        y[3] = a3 * odd_a + b3 * odd_b + u[5];
    } else if (points == 5) {
        y[0] = u[0] + u[1] + u[2] + u[3];
        y[1] = 0.5f * u[2] - u[1] + 2.0f * u[3];
        y[2] = 0.25f * u[2] + u[1] + 4.0f * u[3];
        y[3] = 0.125f * u[2] - u[1] + 8.0f * u[3] + u[4];
    } else {
        y[0] = u[0] + u[1] + u[2];
        y[1] = tile == 2 ? u[1] - u[2] + u[3] : u[1] - u[2];
        if (tile == 3) y[2] = u[1] + u[2] + u[3];
    }
}

always void gradient(const int points, const int tile, const vec *y, vec *u) /* u = A y */
{
    if (points == 6) {
        const vec even_a = y[0] + a2 * y[2], odd_a = a * y[1] + a3 * y[3];
        const vec even_b = y[0] + b2 * y[2], odd_b = b * y[1] + b3 * y[3];
        u[0] = y[0];
        u[1] = even_a + odd_a;
        u[2] = even_a - odd_a;
        u[3] = even_b + odd_b;
        u[4] = even_b - odd_b;
        u[5] = y[3];
    } else if (points == 5) {
        u[0] = y[0];
        u[1] = y[0] - y[1] + y[2] - y[3];
        u[2] = y[0] + 0.5f * y[1] + 0.25f * y[2] + 0.125f * y[3];
        u[3] = y[0] + 2.0f * y[1] + 4.0f * y[2] + 8.0f * y[3];
        u[4] = y[3];
    } else {
        const vec even = tile == 3 ? y[0] + y[2] : y[0];
        u[0] = y[0];
        u[1] = even + y[1];
        u[2] = even - y[1];
        u[3] = y[tile - 1];
    }
}

/* G w: the polynomial of the weights at a point, over the product of that point's distances to the others. */
always void weight(const int points, const int taps, const vec *w, vec *u)
{
    const float at_a = 1.0f / (2.0f * a2 * (a2 - b2)), at_b = 1.0f / (2.0f * b2 * (b2 - a2));
    if (points == 6) {
        const vec even_a = at_a * w[0] + at_a * a2 * w[2], odd_a = at_a * a * w[1];
        const vec even_b = at_b * w[0] + at_b * b2 * w[2], odd_b = at_b * b * w[1];
        u[0] = 1.0f / (a2 * b2) * w[0];
        u[1] = even_a + odd_a;
        u[2] = even_a - odd_a;
        u[3] = even_b + odd_b;
        u[4] = even_b - odd_b;
    } else if (points == 5) {
        u[0] = w[0];                                         /* (0+1)(0-1/2)(0-2) = 1 */
        u[1] = (w[0] - w[1]) * (float)(-1.0 / 4.5);          /* -1 (-3/2)(-3) */
        u[2] = (w[0] + 0.5f * w[1]) * (float)(-1.0 / 1.125); /* 1/2 (3/2)(-3/2) */
        u[3] = (w[0] + 2.0f * w[1]) * (float)(1.0 / 9.0);    /* 2 (3)(3/2) */
    } else {
        const vec even = 0.5f * (taps == 3 ? w[0] + w[2] : w[0]), odd = 0.5f * w[1];
        u[0] = -w[0];
        u[1] = even + odd;
        u[2] = even - odd;
    }
    u[points - 1] = w[taps - 1];
}

always void weight_gradient(const int points, const int taps, const vec *u, vec *w) /* w = G^T u */
{
    const float at_a = 1.0f / (2.0f * a2 * (a2 - b2)), at_b = 1.0f / (2.0f * b2 * (b2 - a2));
    if (points == 6) {
        const vec even_a = at_a * (u[1] + u[2]), even_b = at_b * (u[3] + u[4]);
        w[0] = 1.0f / (a2 * b2) * u[0] + even_a + even_b;
        w[1] = at_a * a * (u[1] - u[2]) + at_b * b * (u[3] - u[4]);
        w[2] = a2 * even_a + b2 * even_b + u[5];
    } else if (points == 5) {
        const vec one = u[1] * (float)(-1.0 / 4.5), half = u[2] * (float)(-1.0 / 1.125),
                  two = u[3] * (float)(1.0 / 9.0);
        w[0] = u[0] + one + half + two;
        w[1] = 0.5f * half - one + 2.0f * two + u[4];
    } else {
        w[0] = 0.5f * (u[1] + u[2]) - u[0];
        w[1] = taps == 2 ? 0.5f * (u[1] - u[2]) + u[3] : 0.5f * (u[1] - u[2]);
        if (taps == 3) w[2] = 0.5f * (u[1] + u[2]) + u[3];
    }
}

/* ---- along both axes; points, tile, taps and type are constants where these are called --------------------------- */

typedef uint32_t bits __attribute__((vector_size(LANES * 4)));
typedef uint16_t halves __attribute__((vector_size(LANES * 2), aligned(2)));

always vec load(const int type, const void *x, int64_t n) /* n or LANES channels, whichever is less */
{
    if (n < LANES) return dr_winograd_load_part(type, x, n);
    if (type == DR_F32) return *(const vec_unaligned *)x;
    return (vec)(__builtin_convertvector(*(const halves *)x, bits) << 16);
}

always void from_input(const int points, const int type, const void *const *pixel, int64_t channels, float *to,
                       int64_t step)
{
    for (int64_t c = 0; c < channels; c += LANES) {
        vec part[MOST_POINTS][MOST_POINTS]; /* [column][row] */
#pragma GCC unroll 6
        for (int j = 0; j < points; j++) {
            vec x[MOST_POINTS];
#pragma GCC unroll 6
            for (int i = 0; i < points; i++) x[i] = load(type, dr_from(type, pixel[i * points + j], c), channels - c);
            input(points, x, part[j]);
        }
#pragma GCC unroll 6
        for (int i = 0; i < points; i++) {
            vec x[MOST_POINTS], y[MOST_POINTS];
#pragma GCC unroll 6
            for (int j = 0; j < points; j++) x[j] = part[j][i];
            input(points, x, y);
#pragma GCC unroll 6
            for (int j = 0; j < points; j++) *(vec_unaligned *)(to + (i * points + j) * step + c) = y[j];
        }
    }
}

always void from_output(const int points, const int tile, const int type, const void *const *pixel, int64_t channels,
                        float *to, int64_t step, float *sum)
{
    for (int64_t c = 0; c < channels; c += LANES) {
        vec part[MOST_TILE][MOST_POINTS], total = *(const vec_unaligned *)(sum + c);
#pragma GCC unroll 6
        for (int j = 0; j < tile; j++) {
            vec y[MOST_TILE];
#pragma GCC unroll 6
            for (int i = 0; i < tile; i++) {
                y[i] = load(type, dr_from(type, pixel[i * tile + j], c), channels - c);
                total += y[i];
            }
            gradient(points, tile, y, part[j]);
        }
        *(vec_unaligned *)(sum + c) = total;
#pragma GCC unroll 6
        for (int i = 0; i < points; i++) {
            vec y[MOST_TILE], u[MOST_POINTS];
#pragma GCC unroll 6
            for (int j = 0; j < tile; j++) y[j] = part[j][i];
            gradient(points, tile, y, u);
#pragma GCC unroll 6
            for (int j = 0; j < points; j++) *(vec_unaligned *)(to + (i * points + j) * step + c) = u[j];
        }
    }
}

always void to_output(const int points, const int tile, const bool past, const float *from, int64_t step,
                      const float *bias, float *const *pixel, int64_t channels)
{
    for (int64_t c = 0; c < channels; c += LANES) {
        const vec each = bias ? load(DR_F32, bias + c, channels - c) : (vec){ 0 };
        vec part[MOST_POINTS][MOST_TILE];
#pragma GCC unroll 6
        for (int j = 0; j < points; j++) {
            vec u[MOST_POINTS];
#pragma GCC unroll 6
            for (int i = 0; i < points; i++) u[i] = *(const vec_unaligned *)(from + (i * points + j) * step + c);
            output(points, tile, u, part[j]);
        }
#pragma GCC unroll 6
        for (int i = 0; i < tile; i++) {
            vec u[MOST_POINTS], y[MOST_TILE];
#pragma GCC unroll 6
            for (int j = 0; j < points; j++) u[j] = part[j][i];
            output(points, tile, u, y);
#pragma GCC unroll 6
            for (int j = 0; j < tile; j++) {
                float *to = pixel[i * tile + j];
                if (!to) continue;
                if (past) store_past(to + c, y[j] + each);
                else if (channels - c >= LANES) *(vec_unaligned *)(to + c) = y[j] + each;
                else dr_winograd_store_part(to + c, y[j] + each, channels - c);
            }
        }
    }
}

always void from_weight(const int points, const int taps, const vec *w, float *to, int64_t step)
{
    vec part[MOST_TAPS][MOST_POINTS];
#pragma GCC unroll 6
    for (int j = 0; j < taps; j++) {
        vec x[MOST_TAPS];
#pragma GCC unroll 6
        for (int i = 0; i < taps; i++) x[i] = w[i * taps + j];
        weight(points, taps, x, part[j]);
    }
#pragma GCC unroll 6
    for (int i = 0; i < points; i++) {
        vec x[MOST_TAPS], u[MOST_POINTS];
#pragma GCC unroll 6
        for (int j = 0; j < taps; j++) x[j] = part[j][i];
        weight(points, taps, x, u);
#pragma GCC unroll 6
        for (int j = 0; j < points; j++) *(vec_unaligned *)(to + (i * points + j) * step) = u[j];
    }
}

always void to_weight(const int points, const int taps, const float *from, int64_t step, float *to)
{
    vec part[MOST_POINTS][MOST_TAPS];
#pragma GCC unroll 6
    for (int j = 0; j < points; j++) {
        vec u[MOST_POINTS];
#pragma GCC unroll 6
        for (int i = 0; i < points; i++) u[i] = *(const vec_unaligned *)(from + (i * points + j) * step);
        weight_gradient(points, taps, u, part[j]);
    }
#pragma GCC unroll 6
    for (int i = 0; i < taps; i++) {
        vec u[MOST_POINTS], w[MOST_TAPS];
#pragma GCC unroll 6
        for (int j = 0; j < points; j++) u[j] = part[j][i];
        weight_gradient(points, taps, u, w);
#pragma GCC unroll 6
        for (int j = 0; j < taps; j++) *(vec_unaligned *)(to + (i * taps + j) * PANEL) = w[j];
    }
}

/* ---- by form ----------------------------------------------------------------------------------------------------- */

always void input_of(int form, const int type, const void *const *pixel, int64_t channels, float *to, int64_t step)
{
    switch (dr_winograd_forms[form].points) {
    case 6: from_input(6, type, pixel, channels, to, step); break;
    case 5: from_input(5, type, pixel, channels, to, step); break;
    default: from_input(4, type, pixel, channels, to, step); break;
    }
}

void dr_winograd_from_input(int form, int type, const void *const *pixel, int64_t channels, float *to, int64_t step)
{
    if (type == DR_BF16) input_of(form, DR_BF16, pixel, channels, to, step);
    else input_of(form, DR_F32, pixel, channels, to, step);
}

always void output_of(int form, const int type, const void *const *pixel, int64_t channels, float *to, int64_t step,
                      float *sum)
{
    switch (form) {
    case FORM_43: from_output(6, 4, type, pixel, channels, to, step, sum); break;
    case FORM_23: from_output(4, 2, type, pixel, channels, to, step, sum); break;
    case FORM_42: from_output(5, 4, type, pixel, channels, to, step, sum); break;
    default: from_output(4, 3, type, pixel, channels, to, step, sum); break;
    }
}

void dr_winograd_from_output(int form, int type, const void *const *pixel, int64_t channels, float *to, int64_t step,
                             float *sum)
{
    if (type == DR_BF16) output_of(form, DR_BF16, pixel, channels, to, step, sum);
    else output_of(form, DR_F32, pixel, channels, to, step, sum);
}

always void output_tile(int form, const bool past, const float *from, int64_t step, const float *bias,
                        float *const *pixel, int64_t channels)
{
    switch (form) {
    case FORM_43: to_output(6, 4, past, from, step, bias, pixel, channels); break;
    case FORM_23: to_output(4, 2, past, from, step, bias, pixel, channels); break;
    case FORM_42: to_output(5, 4, past, from, step, bias, pixel, channels); break;
    default: to_output(4, 3, past, from, step, bias, pixel, channels); break;
    }
}

void dr_winograd_to_output(int form, const float *from, int64_t step, const float *bias, float *const *pixel,
                           int64_t channels)
{
    output_tile(form, false, from, step, bias, pixel, channels);
}

void dr_winograd_to_output_past(int form, const float *from, int64_t step, const float *bias, float *const *pixel,
                                int64_t channels)
{
    output_tile(form, true, from, step, bias, pixel, channels);
}

/* After the last of a thread's stores past the caches: others may read what they wrote. */
void dr_winograd_past_done(void)
{
#ifdef __AVX__
    _mm_sfence();
#endif
}

void dr_winograd_from_weight(int form, const vec *w, float *to, int64_t step)
{
    switch (form) {
    case FORM_43: from_weight(6, 3, w, to, step); break;
    case FORM_23: from_weight(4, 3, w, to, step); break;
    case FORM_42: from_weight(5, 2, w, to, step); break;
    default: from_weight(4, 2, w, to, step); break;
    }
}

void dr_winograd_to_weight(int form, const float *from, int64_t step, float *to)
{
    switch (form) {
    case FORM_43: to_weight(6, 3, from, step, to); break;
    case FORM_23: to_weight(4, 3, from, step, to); break;
    case FORM_42: to_weight(5, 2, from, step, to); break;
    default: to_weight(4, 2, from, step, to); break;
    }
}
