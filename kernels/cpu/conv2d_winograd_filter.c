/* conv2d_winograd_filter.c: the weights of a Winograd convolution, transformed: U [panels][points^2][K][PANEL]. They are
 * read as the caller has them, f32, f16 or bf16. Kernels 3x3 with stride 1, where most of the work is, are read in rows of
 * nine taps and turned in registers. */
#include "conv2d_winograd_sides.h"
#include "weight_pack.h"
#if defined(__AVX512BW__) && defined(__AVX512VL__)
#include <immintrin.h>
#endif

static float number(int type, const void *weight, int64_t i)
{
    return type == DR_F16 ? dr_f16_value(weight, i) : dr_load(type, weight, i);
}

/* taps of one input channel and LANES output channels of which `channels` are there, one by one */
static void take(const winograd_conv *w, const void *weight, int64_t from, int64_t channels,
                 const int64_t *place, vec *taken)
{
    for (int64_t i = 0; i < w->taps * w->taps; i++) {
        float lane[LANES] = { 0 };
        for (int64_t co = 0; co < LANES && co < channels; co++)
            if (place[i] >= 0) lane[co] = number(w->weight_type, weight, from + co * w->weight_out + place[i]);
        taken[i] = *(const vec_unaligned *)lane;
    }
}

#if defined(__AVX512BW__) && defined(__AVX512VL__)
static __m512 nine(int type, const void *weight, int64_t at)
{
    if (type == DR_F32) return _mm512_maskz_loadu_ps(0x1FF, (const float *)weight + at);
    const __m256i half = _mm256_maskz_loadu_epi16(0x1FF, (const uint16_t *)weight + at);
    if (type == DR_F16) return _mm512_cvtph_ps(half);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

/* LANES rows of nine taps -> nine vectors with a row to each lane */
static void take_nine(const winograd_conv *w, const void *weight, int64_t from, int64_t channels, vec *taken)
{
    __m512 r[16], t[16], s[16];
    for (int i = 0; i < 16; i++)
        r[i] = i < channels ? nine(w->weight_type, weight, from + i * w->weight_out) : _mm512_setzero_ps();
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int half = 0; half < 2; half++) {
            const __m512d a = _mm512_castps_pd(t[i + half]), b = _mm512_castps_pd(t[i + 2 + half]);
            s[i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            s[i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    for (int j = 0; j < 4; j++) { /* s[4 i + j], part l: column 4 l + j of rows 4 i to 4 i + 3 */
        const __m512 a = _mm512_shuffle_f32x4(s[j], s[4 + j], 0x88), b = _mm512_shuffle_f32x4(s[8 + j], s[12 + j], 0x88);
        const __m512 c = _mm512_shuffle_f32x4(s[j], s[4 + j], 0xDD), d = _mm512_shuffle_f32x4(s[8 + j], s[12 + j], 0xDD);
        taken[j] = (vec)_mm512_shuffle_f32x4(a, b, 0x88);
        taken[4 + j] = (vec)_mm512_shuffle_f32x4(c, d, 0x88);
        if (j == 0) taken[8] = (vec)_mm512_shuffle_f32x4(a, b, 0xDD);
    }
}
#endif

void dr_winograd_filter(const winograd_conv *w, const void *weight, int64_t k, int64_t panel, float *u)
{
    int64_t phase, place[MOST_TAPS * MOST_TAPS];
    const int64_t first = dr_winograd_panel(w, panel, &phase), ci = k % w->in.padded;
    float *to = u + k * PANEL;
    dr_winograd_taps(w, k / w->in.padded, phase, place);
    for (int64_t half = 0; half < PANEL; half += LANES) {
        vec taken[MOST_TAPS * MOST_TAPS] = { { 0 } };
        const int64_t channels = w->out.C - first - half, from = (first + half) * w->weight_out + ci * w->weight_in;
#if defined(__AVX512BW__) && defined(__AVX512VL__)
        const bool plain = w->k == 3 && w->stride == 1 && !w->spread;
        if (ci < w->in.C && plain) take_nine(w, weight, from, channels, taken);
        else if (ci < w->in.C) take(w, weight, from, channels, place, taken);
#else
        if (ci < w->in.C) take(w, weight, from, channels, place, taken);
#endif
        dr_winograd_from_weight(w->form, taken, to + half, dr_winograd_step_u(w));
    }
}
